"""`burnish train`: train a network on an operator or on pairs of photos."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import Overwrite
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS
from burnish.training.config import TrainConfig

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=OperatorCommand)
def train(
    context: typer.Context,
    operator: Annotated[
        str,
        typer.Argument(
            help="Name of an operator, python:module:function, 'command:prog {input} {output}' or "
            "pairs:FOLDER (with before/ and after/)."
        ),
    ],
    photos: Annotated[
        Path | None, typer.Option(help="Folder of training photos (not for pairs:).")
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(help="Folder of validation photos. [default: one in ten of --photos]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The model file. [default: OPERATOR.onnx]"),
    ] = None,
    network: Annotated[str, typer.Option(help=f"One of {', '.join(NETWORKS)}.")] = DEFAULT_NETWORK,
    slider: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=LOW:HIGH]",
            help="A parameter that stays adjustable, over its whole range or a part of it; "
            "may be repeated.",
        ),
    ] = None,
    global_context: Annotated[
        bool | None,
        typer.Option(
            "--global-context/--no-global-context",
            help="Whether the network also sees a thumbnail of the whole photo. "
            "[default: for operators that need it]",
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Training time, such as 1h30m. [default: 30m]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of training steps, instead of a budget.")
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            help="Name or .onnx file of a model of the same network to start from. "
            "[default: random weights]"
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoint, log and previews. [default: runs/NAME]"),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Crops per step. [default: set by the network]")
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(min=16, help="Side of a crop in pixels. [default: set by the network]"),
    ] = None,
    max_lr: Annotated[
        float | None,
        typer.Option(min=0, help="Peak learning rate. [default: set by the network]"),
    ] = None,
    slider_samples: Annotated[
        int, typer.Option(min=1, help="Random slider values at which each photo is computed.")
    ] = TrainConfig.slider_samples,
    slider_fraction: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Fraction of the training, at its end, that trains the sliders."
        ),
    ] = TrainConfig.slider_fraction,
    synthetic: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Synthetic images (flat areas, gradients, plain shapes) per training photo.",
        ),
    ] = TrainConfig.synthetic_fraction,
    size: Annotated[
        list[int] | None,
        typer.Option(
            min=16,
            help="Train on each photo at this shorter side in pixels, too; may be repeated. "
            f"[default: {', '.join(map(str, TrainConfig.short_sides))}]",
        ),
    ] = None,
    max_size: Annotated[
        int, typer.Option(min=16, help="Shrink photos to this longer side in pixels first.")
    ] = TrainConfig.max_size,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of all random choices.")
    ] = TrainConfig.seed,
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")] = 60.0,
    licence: Annotated[str, typer.Option(help="Who may use the model, for its card.")] = "unstated",
    overwrite: Overwrite = False,
) -> None:
    """Train a network on an operator. An interrupted training resumes.

    `burnish train OPERATOR --help` also lists the parameters of that operator.

    Several processes: torchrun --nproc-per-node N -m burnish train ...
    """
    from burnish.cli.training_progress import TrainingProgress
    from burnish.runtime.model_registry import find_model
    from burnish.training.pipeline import train_and_export
    from burnish.training.request import validate_request

    request = validate_request(
        operator,
        params=operator_params(context),
        photos=photos,
        validation=validation,
        output=output,
        run_dir=run_dir,
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
        network=network,
        budget=budget,
        steps=steps,
        sliders=slider or (),
        global_context=global_context,
        init_from=find_model(init_from) if init_from else None,
        slider_samples=slider_samples,
        slider_fraction=slider_fraction,
        synthetic_fraction=synthetic,
        short_sides=tuple(size) if size else None,
        max_size=max_size,
        batch=batch,
        crop=crop,
        max_lr=max_lr,
        seed=seed,
    )
    with TrainingProgress() as progress:
        model = train_and_export(request, progress)
    if model is None:  # only the first of several processes has the model
        return
    typer.echo(f"{model.path}")
    for validated in model.validation:
        report = validated.report
        typer.echo(
            f"{report.mean.psnr:.2f} dB mean, {report.worst.psnr:.2f} worst, unedited "
            f"{report.identity.psnr:.2f}: {validated.photos}"
        )
