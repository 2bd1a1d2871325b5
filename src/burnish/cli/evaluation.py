"""`burnish compare` and `burnish evaluate`: how close networks come to their operator."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import (
    Device,
    Engine,
    JsonOutput,
    OperatorOrModel,
    Overwrite,
    Threads,
    complete_operator,
)
from burnish.runtime.engines import DEFAULT_ENGINE

if TYPE_CHECKING:
    from burnish.evaluation.benchmark import Benchmark, ModelScore

Reference = Annotated[
    str | None,
    typer.Option(help="The reference operator. [default: the one that the model's card names]"),
]

app = typer.Typer(rich_markup_mode=None)


class CompareCommand(OperatorCommand):
    """A command that takes the parameters of a model."""

    operator_arguments = ("model",)


class EvaluateCommand(OperatorCommand):
    """A command that takes the parameters of several models."""

    operator_arguments = ("models",)


@app.command(cls=CompareCommand)
def compare(
    context: typer.Context,
    model: OperatorOrModel,
    photo: Annotated[Path, typer.Argument(help="The photo to compare on.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The image to write. [default: PHOTO.OPERATOR.compare.png]"
        ),
    ] = None,
    operator: Reference = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
) -> None:
    """Show a photo, the reference result and the network's result side by side.

    The error of the network and both times are printed.

    `burnish compare MODEL --help` also lists the parameters of that model.
    """
    from burnish.evaluation.compare import compare_photo

    comparison, target = compare_photo(
        model,
        photo,
        output,
        reference=operator,
        overwrite=overwrite,
        device=device,
        threads=threads,
        engine=engine,
        params=operator_params(context),
    )
    if json_output:
        typer.echo(json.dumps(comparison.record() | {"output": str(target)}))
        return
    typer.echo(f"slow  {comparison.slow_seconds:.2f} s")
    typer.echo(
        f"fast  {comparison.fast_seconds:.2f} s, {comparison.psnr:.2f} dB from the slow result "
        f"(the unedited photo: {comparison.identity_psnr:.2f} dB)"
    )
    typer.echo(str(target))


@app.command(cls=EvaluateCommand)
def evaluate(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            help="Names or files of models, all of one operator.",
            autocompletion=complete_operator,
        ),
    ],
    photos: Annotated[Path, typer.Option(help="Folder of photos to evaluate on.")],
    size: Annotated[
        list[int] | None,
        typer.Option(min=11, help="Evaluate at this shorter side in pixels, too; may be repeated."),
    ] = None,
    max_size: Annotated[
        int, typer.Option(min=11, help="Shrink photos to this longer side in pixels first.")
    ] = 10**6,
    operator: Reference = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
) -> None:
    """Evaluate networks on a folder of photos: PSNR, SSIM, MSE, multiply-adds and time.

    `burnish evaluate MODEL --help` also lists the parameters of that model.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.benchmark import evaluate_models

    with ConsoleProgress() as progress:
        tables = evaluate_models(
            models,
            photos,
            params=operator_params(context),
            operator=operator,
            sizes=size or (),
            max_size=max_size,
            device=device,
            threads=threads,
            engine=engine,
            progress=progress,
        )
    if json_output:
        typer.echo(json.dumps([dataclasses.asdict(table) for table in tables], indent=2))
        return
    for table in tables:
        for line in _table_lines(table):
            typer.echo(line)


def _table_lines(table: "Benchmark") -> list[str]:
    size = "their own size" if table.short_side is None else f"a shorter side of {table.short_side}"
    return [
        f"{table.count} photos at {size}, {table.megapixels:.2f} megapixels on average",
        f"{'':24}{'PSNR':>7}{'worst':>7}{'SSIM':>8}{'worst':>8}{'MSE':>10}"
        f"{'k mult-adds':>13}{'parameters':>12}{'s/Mpx':>9}",
        *map(_score_line, table.scores),
    ]


def _score_line(row: "ModelScore") -> str:
    line = f"{row.name:24}"
    if row.report:
        mean, worst = row.report.mean, row.report.worst
        line += (
            f"{mean.psnr:7.2f}{worst.psnr:7.2f}{mean.ssim:8.4f}{worst.ssim:8.4f}{mean.mse:10.6f}"
        )
    else:
        line += " " * 40
    line += f"{row.macs_per_pixel / 1000:13.1f}" if row.macs_per_pixel is not None else " " * 13
    line += f"{row.parameters:12,d}" if row.parameters is not None else " " * 12
    line += f"{row.seconds_per_megapixel:9.3f}" if row.seconds_per_megapixel is not None else ""
    return line.rstrip()
