"""`burnish train`: learn a network from an operator or from pairs of photos."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import Overwrite, with_operator_params
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS
from burnish.params import Value
from burnish.training.config import TrainConfig


@with_operator_params
def train(
    operator: Annotated[
        str,
        typer.Argument(
            help="An operator's name, python:module:function, 'command:prog {input} {output}' or "
            "pairs:FOLDER (with before/ and after/)."
        ),
    ],
    photos: Annotated[
        Path | None, typer.Option(help="Folder of photos to learn from (not for pairs:).")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Folder of photos to judge on; by default one photo in ten is held out."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The model file; NAME.onnx by default.")
    ] = None,
    network: Annotated[str, typer.Option(help=f"One of {', '.join(NETWORKS)}.")] = DEFAULT_NETWORK,
    slider: Annotated[
        list[str] | None,
        typer.Option(
            help="A parameter to learn over its whole range, or NAME=LOW:HIGH; may be repeated."
        ),
    ] = None,
    thumbnail: Annotated[
        bool | None,
        typer.Option(
            "--thumbnail/--no-thumbnail",
            help="Whether the network sees the whole photo, small; by default for operators that "
            "look far.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="How long to train: 30m, 1h30m. By default 30m.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Train so many steps instead of a budget.")
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="A model of the same network to go on from, by name or as an .onnx file; by "
            "default from random weights."
        ),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoint, log and early pictures; runs/NAME by default."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Crops a step; by default as suits the network.")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=16, help="Side of a crop in pixels; by default as suits the network."),
    ] = None,
    peak_rate: Annotated[
        float | None,
        typer.Option(min=0, help="The highest learning rate; by default as suits the network."),
    ] = None,
    draws: Annotated[
        int,
        typer.Option(min=1, help="Random values of the sliders that each photo is learnt at."),
    ] = TrainConfig.slider_samples,
    slider_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="The share of the training, at its end, that is the sliders'."
        ),
    ] = TrainConfig.slider_fraction,
    drawn: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Drawn pictures, of flat areas, slopes and plain shapes, to learn for each photo.",
        ),
    ] = TrainConfig.synthetic_fraction,
    short_side: Annotated[
        list[int] | None,
        typer.Option(
            min=16,
            help="Each photo is also learnt at this shorter side, in pixels; may be repeated. "
            f"By default {', '.join(map(str, TrainConfig.short_sides))}.",
        ),
    ] = None,
    largest: Annotated[
        int, typer.Option(min=16, help="Bring photos down to this longer side first, in pixels.")
    ] = TrainConfig.max_size,
    seed: Annotated[
        int, typer.Option(min=0, help="Every random choice follows from it.")
    ] = TrainConfig.seed,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two checkpoints.")
    ] = 60.0,
    licence: Annotated[
        str, typer.Option(help="Who may use the model, said on its card.")
    ] = "unstated",
    overwrite: Overwrite = False,
    *,
    params: dict[str, Value],
) -> None:
    """Learn a network from an operator; resumes an interrupted run.

    Several processes: torchrun --nproc-per-node N -m burnish train ...
    """
    from burnish.cli.training_progress import TrainingProgress
    from burnish.runtime.model_registry import find_model
    from burnish.training.pipeline import train_and_export
    from burnish.training.request import validate_request

    order = validate_request(
        operator,
        params=params,
        photos=photos,
        validation=held_out,
        output=output,
        run_dir=run_folder,
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
        network=network,
        budget=budget,
        steps=steps,
        sliders=slider or (),
        global_context=thumbnail,
        init_from=find_model(start_from) if start_from else None,
        draws=draws,
        slider_share=slider_share,
        drawn=drawn,
        short_sides=tuple(short_side) if short_side else None,
        largest=largest,
        batch=batch,
        crop=crop,
        peak_rate=peak_rate,
        seed=seed,
    )
    with TrainingProgress(sys.stderr) as progress:
        published = train_and_export(order, progress)
    if published is None:  # another process of the same training has the result
        return
    typer.echo(f"{published.path}")
    for judgement in published.validation:
        report = judgement.report
        typer.echo(
            f"{report.mean.psnr:.2f} dB mean, {report.worst.psnr:.2f} worst, untouched "
            f"{report.identity.psnr:.2f}: {judgement.photos}"
        )
