"""`burnish train`: train a network on an operator or on pairs of photos."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import Ray, expand, option
from burnish.cli.progress import ConsoleProgress
from burnish.cluster.connection import connect
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS
from burnish.training import StepInfo, TrainCallbacks
from burnish.training.config import TrainConfig

_SHORT_SIDES = ", ".join(map(str, TrainConfig.short_sides))

app = typer.Typer(rich_markup_mode=None)

# Seconds between two lines, if there is no terminal.
LINE_INTERVAL = 30.0


class TrainingProgress(ConsoleProgress, TrainCallbacks):
    """Show the steps and the early validations of a training."""

    def __init__(self) -> None:
        super().__init__()
        self._is_training = False
        self._last_line = 0.0

    def start(self, task: str, total: float | None = None) -> None:
        """Show another task."""
        super().start(task, total)
        self._is_training = False

    def on_step(self, info: StepInfo) -> None:
        """Show a step. The total number of steps is an estimate."""
        from burnish.metrics import psnr

        if not self._is_training:
            self.start("training")
            self._is_training = True
        if "mse" in info.loss_terms:
            terms = [f"{psnr(info.loss):.2f} dB"]
        else:
            terms = [f"{name} {loss:.3f}" for name, loss in info.loss_terms.items()]
        note = "  ".join([f"loss {info.loss:.6f}", *terms])
        self.update(info.step, round(info.step / info.progress) if info.progress else None, note)
        if self.plain and time.monotonic() - self._last_line > LINE_INTERVAL:
            self._last_line = time.monotonic()
            self.message(f"step {info.step}, {100 * info.progress:.1f} %, {note}")

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print the result of an early validation."""
        self.message(f"step {step}: {psnr:.2f} dB on the validation photos, see {preview}")


@dataclass(frozen=True)
class TrainOptions:
    """The arguments of `burnish.training.request.validate_request`."""

    photos: Path | None = option(
        None, "Folder of training photos (not for pairs:).", metavar="FOLDER"
    )
    validation: Path | None = option(
        None,
        "Folder of validation photos; for pairs: with before/ and after/. "
        "[default: one in ten photos]",
        metavar="FOLDER",
    )
    output: Path | None = option(None, "The model file. [default: OPERATOR.onnx]", "-o", "--output")
    network: str = option(DEFAULT_NETWORK, f"One of {', '.join(NETWORKS)}.")
    sliders: tuple[str, ...] = option(
        (),
        "A parameter that stays adjustable, over its whole range or a part of it; may be repeated.",
        "--slider",
        metavar="NAME[=LOW:HIGH]",
    )
    guided: bool | None = option(
        None,
        "Train a network that refines the operator's output for a smaller copy of the photo. "
        "[default: if the network can]",
        "--guided/--no-guided",
    )
    start: str | None = option(
        None,
        "Name or .onnx file of a model that the start network begins with. That network can take "
        "the operator's place for the smallest copy. [default: random weights]",
        metavar="NAME or FILE",
    )
    start_fraction: float = option(
        TrainConfig.start_fraction,
        "Fraction of the training, at its beginning, that trains the start network. At 0, it is "
        "that of --start, or there is none.",
        min=0,
        max=1,
    )
    start_full_size: bool = option(
        TrainConfig.start_full_size,
        "Let the start network compute a photo at full size where the operator is missing, in "
        "place of the cascade.",
    )
    global_context: bool | None = option(
        None,
        "Give the network a thumbnail of the photo, too. [default: for operators that need it]",
        "--global-context/--no-global-context",
    )
    budget: str | None = option(None, "Training time, such as 1h30m. [default: 30m]")
    steps: int | None = option(None, "Number of training steps, instead of a budget.", min=1)
    init_from: str | None = option(
        None,
        "Name or .onnx file of a model of the same network to start from. "
        "[default: random weights]",
        metavar="NAME or FILE",
    )
    run_dir: Path | None = option(
        None,
        "Folder for checkpoint, log, curve and previews. [default: runs/NAME]",
        metavar="FOLDER",
    )
    batch: int | None = option(None, "Crops per step. [default: set by the network]", min=1)
    crop: int | None = option(
        None, "Side of a crop in pixels. [default: set by the network]", min=16
    )
    max_lr: float | None = option(None, "Peak learning rate. [default: set by the network]", min=0)
    slider_samples: int = option(
        TrainConfig.slider_samples, "Random slider values at which each photo is computed.", min=1
    )
    slider_fraction: float = option(
        TrainConfig.slider_fraction,
        "Fraction of the training, at its end, that trains the sliders.",
        min=0,
        max=1,
    )
    synthetic_fraction: float = option(
        TrainConfig.synthetic_fraction,
        "Synthetic images (flat areas, gradients, plain shapes) per training photo.",
        "--synthetic",
        min=0,
        max=1,
    )
    varied_fraction: float = option(
        TrainConfig.varied_fraction,
        "Varied pictures (small crops in other light, haze and tones) per training photo.",
        "--varied",
        min=0,
    )
    short_sides: tuple[int, ...] = option(
        (),
        "Train on each photo at this shorter side in pixels, too; may be repeated. "
        f"[default: {_SHORT_SIDES}]",
        "--size",
        min=16,
    )
    max_size: int = option(
        TrainConfig.max_size, "Shrink photos to this longer side in pixels first.", min=16
    )
    seed: int = option(TrainConfig.seed, "Seed of all random choices.", min=0)
    device: str = option("auto", "auto, cpu, cuda or cuda:N; a named device must be available.")
    tensorboard: bool = option(
        False, "Also write the losses for TensorBoard (pip install tensorboard)."
    )
    save_every: float = option(60.0, "Seconds between checkpoints.", min=0)
    licence: str = option("unstated", "Licence of the model, for its card.")
    overwrite: bool = option(False, "Replace an existing output.")


@app.command(cls=OperatorCommand)
@expand
def train(
    context: typer.Context,
    operator: Annotated[
        str,
        typer.Argument(
            help="Name of an operator, python:module:function, 'command:prog {input} {output}' or "
            "pairs:FOLDER (with before/ and after/)."
        ),
    ],
    options: TrainOptions,
    ray: Ray = None,
) -> None:
    """Train a network on an operator. An interrupted training resumes.

    `burnish train OPERATOR --help` also lists the parameters of that operator.

    Several processes: torchrun --nproc-per-node N -m burnish train ... A Ray cluster computes the
    pairs for the training, but does not train.
    """
    from burnish.runtime.model_registry import find_model
    from burnish.training.pipeline import train_and_export
    from burnish.training.request import validate_request

    values = vars(options) | {
        "init_from": find_model(options.init_from) if options.init_from else None,
        "start": find_model(options.start) if options.start else None,
        "short_sides": options.short_sides or None,
    }
    request = validate_request(operator, params=operator_params(context), **values)
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of torchrun
    with connect(ray if is_first else None), TrainingProgress() as progress:
        model = train_and_export(request, progress)
    if model is None:  # only the first of several processes has the model
        return
    typer.echo(f"{model.path}")
    for validated in model.validation:
        report = validated.report
        typer.echo(
            f"{report.mean.psnr:.2f} dB mean, {report.worst.psnr:.2f} worst, unedited "
            f"{report.identity_psnr:.2f}, cast {report.mean.cast:.1f}: {validated.label}"
        )
