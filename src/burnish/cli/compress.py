"""`burnish compress`: make a network faster at a stated loss."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from burnish.cli.evaluation import ModelCommand
from burnish.cli.operator_options import operator_params
from burnish.cli.options import OperatorOrModel, expand, option
from burnish.cli.train import TrainingProgress
from burnish.errors import BurnishError, UsageError
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES

if TYPE_CHECKING:
    from rich.table import Table

    from burnish.compression.request import CompressionRequest
    from burnish.compression.steps import Step

app = typer.Typer(rich_markup_mode=None)

# Characters of a table that is not shown on a terminal.
_WIDTH = 160


@dataclass(frozen=True)
class CompressOptions:
    """The arguments of `burnish.compression.request.validate_request`."""

    photos: Path | None = option(
        None, "Folder of photos to train and measure on (not for pairs:).", metavar="FOLDER"
    )
    validation: Path | None = option(
        None,
        "Folder of held-out photos to measure on. [default: one in ten photos]",
        metavar="FOLDER",
    )
    speed: str | None = option(
        None,
        "How many times as fast the network has to become, such as 2x. [default: as fast as the "
        "loss allows]",
        metavar="FACTOR",
    )
    loss: str | None = option(
        None,
        "Largest loss of PSNR against the operator, such as 0.2dB. [default: 0.1dB without "
        "--speed, else any]",
        metavar="DECIBEL",
    )
    output: Path | None = option(
        None, "The model file. [default: NAME-compressed.onnx]", "-o", "--output"
    )
    engine: str = option(DEFAULT_ENGINE, f"Library to become faster on: {' or '.join(ENGINES)}.")
    operator: str | None = option(
        None,
        "The operator that the network imitates, such as python:file.py:function. "
        "[default: the one that the model's card names, if it is bundled]",
    )
    nest: tuple[str, ...] = option(
        (),
        "Only add a network of another quality to the file: preview, a smaller one for videos, or "
        "best, a larger one; may be repeated.",
        metavar="NAME",
    )
    int8: bool | None = option(
        None,
        "Only train the network for 8-bit integers and keep its size, or leave this step out. "
        "[default: one of the steps]",
        "--int8/--no-int8",
    )
    time: str | None = option(None, "Training time, such as 1h30m. [default: 10m]")
    steps: int | None = option(None, "Number of training steps, instead of a time.", min=1)
    separable: bool = option(
        False,
        "Let layers also become separable: a filter for each channel and a mixture of channels.",
        "--separable/--no-separable",
    )
    taught: tuple[str, ...] = option(
        ("result",),
        "What the original network teaches the pruned one, beside the operator: result, features, "
        "affinities (of features, pair by pair); may be repeated. [default: result]",
        "--teach",
    )
    compare_scratch: bool = option(
        True,
        "Also train a network of the same shape from random weights for as long. The better one is "
        "written.",
        "--compare-scratch/--no-compare-scratch",
    )
    nearest: bool = option(False, "Write the nearest result if the target is out of reach.")
    run_dir: Path | None = option(
        None,
        "Folder for the steps, from which an interrupted run resumes. [default: runs/NAME]",
        metavar="FOLDER",
    )
    overwrite: bool = option(False, "Replace an existing output.")


@app.command(cls=ModelCommand)
@expand
def compress(
    context: typer.Context,
    model: OperatorOrModel,
    options: CompressOptions,
    json_output: bool = typer.Option(False, "--json", help="Print JSON on stdout."),
) -> None:
    """Make a network faster at a stated loss, and print a table of what each step brought.

    Channels and layers are pruned, what is left is trained on the operator and on the original
    network, and steps that make it slower or cost too much are undone. Times are CPU time on one
    thread of this machine. An interrupted run resumes.
    """
    from burnish.compression.pipeline import run_compression
    from burnish.compression.request import validate_request

    arguments = vars(options) | {"int8": options.int8 is not False}
    qualities = arguments.pop("nest")
    request = validate_request(model, params=operator_params(context), **arguments)
    if qualities:
        _nest(request, qualities, json_output=json_output)
        return
    if options.int8:
        _quantise(request, json_output=json_output)
        return
    with TrainingProgress() as progress:
        result = run_compression(request, progress)
    if json_output:
        record = {"path": result.path and str(result.path), "problem": result.problem}
        record["precision"] = result.precision
        typer.echo(json.dumps(record | {"steps": [s.record() for s in result.steps]}, indent=2))
    else:
        print_table(result.steps)
    if result.path is None:
        remedy = "ask for less, train longer with --time, or write the nearest with --nearest"
        raise BurnishError(request.target, f"out of reach: {result.problem}", remedy)
    if not json_output:
        note = "; run it with --precision int8" if result.precision == "int8" else ""
        typer.echo(f"{result.path}{note}")


def _nest(request: "CompressionRequest", qualities: Sequence[Any], *, json_output: bool) -> None:
    """Add networks of other qualities to a model file, and print the scores of each."""
    from burnish.compression.nest import nest

    if request.speed is not None:
        raise UsageError("--nest", "it cannot be combined with --speed", "leave one of them out")
    with TrainingProgress() as progress:
        card = nest(request, qualities, progress)
    if json_output:
        rows = {name: card.at_quality(name).model_dump(mode="json") for name in card.qualities}
        scores = {name: row["metrics"] for name, row in rows.items()}
        typer.echo(json.dumps({"path": str(request.output), "scores": scores}, indent=2))
        return
    for name in card.qualities:
        own = card.at_quality(name)
        for row in own.metrics:
            guide = f", guide: {row.guide}" if row.guide else ""
            scores_text = f"{row.precision}  {row.psnr_mean:.2f} dB  {row.photos}{guide}"
            typer.echo(f"{name:<9} {own.macs_per_pixel:>6,d} mult-adds/px  {scores_text}")
    typer.echo(f"{request.output}; choose with --quality")


def _quantise(request: "CompressionRequest", *, json_output: bool) -> None:
    """Train a network for 8-bit integers, and print its scores."""
    from burnish.compression.quantise import quantise

    if request.speed is not None:
        remedy = "leave one of them out"
        raise UsageError("--int8", "it cannot be combined with --speed", remedy)
    with TrainingProgress() as progress:
        card = quantise(request, progress)
    if json_output:
        scores = [row.model_dump(mode="json") for row in card.metrics]
        typer.echo(json.dumps({"path": str(request.output), "scores": scores}, indent=2))
        return
    for row in card.metrics:
        guide = f", guide: {row.guide}" if row.guide else ""
        typer.echo(f"{row.precision}  {row.psnr_mean:.2f} dB  {row.photos}{guide}")
    typer.echo(f"{request.output}")


def print_table(steps: "Sequence[Step]") -> None:
    """Print the table of the steps on stdout."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(_table(steps))


def _table(steps: "Sequence[Step]") -> "Table":
    """Return the table of the steps."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    is_guided = steps[0].figures.total_milliseconds is not None
    columns = ["ms/Mpx", *(["with guide"] if is_guided else []), "speed", "MB", "mult-adds/px"]
    columns += ["dB to operator", "dB to original"]
    table.add_column("step")
    for column in columns:
        table.add_column(column, justify="right")
    table.add_column("")
    for step in steps:
        figures = step.figures
        cells = [step.name, f"{figures.milliseconds:.1f}"]
        if is_guided:
            cells.append(f"{figures.total_milliseconds:.1f}")
        cells += [f"{figures.speed:.2f}x", f"{figures.megabytes:.2f}"]
        cells += [f"{figures.macs_per_pixel:,d}", f"{figures.psnr:.2f}"]
        cells.append("" if figures.original_psnr is None else f"{figures.original_psnr:.2f}")
        table.add_row(*cells, step.remark)
    return table
