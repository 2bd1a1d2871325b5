"""`burnish evaluate`: how close networks come to their operator on a folder of photos."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from burnish.cli.options import (
    Device,
    Engine,
    JsonOutput,
    Threads,
    with_operator_params,
)
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE

if TYPE_CHECKING:
    from burnish.evaluation.benchmark import Benchmark, ModelScore


@with_operator_params
def evaluate(
    models: Annotated[
        list[str], typer.Argument(help="Operators' names or model files, of one operator.")
    ],
    photos: Annotated[Path, typer.Option(help="Folder of photos to judge on.")],
    short_side: Annotated[
        list[int] | None,
        typer.Option(min=11, help="Also at this shorter side, in pixels; may be repeated."),
    ] = None,
    largest: Annotated[
        int, typer.Option(min=11, help="Bring photos down to this longer side first, in pixels.")
    ] = 10**6,
    operator: Annotated[
        str | None,
        typer.Option(help="The slow operator, where a card names none that burnish has."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
    *,
    params: dict[str, Value],
) -> None:
    """Judge networks on a folder of photos: error, similarity, arithmetic and time, in a table."""
    from burnish.cli.task_progress import TaskProgress
    from burnish.evaluation.benchmark import evaluate_models

    with TaskProgress(sys.stderr) as progress:
        tables = evaluate_models(
            models,
            photos,
            params=params,
            operator=operator,
            sizes=short_side or (),
            max_size=largest,
            device=device,
            threads=threads,
            engine=engine,
            on_task=progress.start,
            on_progress=progress.advance,
        )
    if json_output:
        typer.echo(json.dumps([dataclasses.asdict(table) for table in tables], indent=2))
        return
    for table in tables:
        for line in _lines(table):
            typer.echo(line)


def _lines(table: "Benchmark") -> list[str]:
    size = "their own size" if table.short_side is None else f"a shorter side of {table.short_side}"
    return [
        f"{table.count} photos at {size}, {table.megapixels:.2f} megapixels in the mean",
        f"{'':24}{'PSNR':>7}{'worst':>7}{'SSIM':>8}{'worst':>8}{'MSE':>10}"
        f"{'k mult-adds':>13}{'parameters':>12}{'s a Mpx':>9}",
        *map(_line, table.scores),
    ]


def _line(row: "ModelScore") -> str:
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
