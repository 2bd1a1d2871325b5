"""`burnish compare`, `evaluate`, `demo` and `doctor`: the quality and speed of networks."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from burnish.cli.operator_options import (
    NetworkCommand,
    ParamText,
    network_texts,
    operator_params,
    value_text,
)
from burnish.cli.options import (
    BurnishCommand,
    Device,
    Engine,
    Guide,
    JsonOutput,
    OperatorOrModel,
    Overwrite,
    Precision,
    Quality,
    Ray,
    Strength,
    Threads,
    complete_operator,
)
from burnish.cluster.connection import connect
from burnish.errors import DeviceError
from burnish.runtime.engines import AUTO

if TYPE_CHECKING:
    from burnish.evaluation.benchmark import Benchmark, ModelScore

Reference = Annotated[
    str | None,
    Option(help="The operator to compare with. [default: the one that the model's card names]"),
]

app = typer.Typer(rich_markup_mode=None)

_AS_FAST = "the operator itself is as fast: --slow"
# Characters, for the longest name of a bundled network and its guide.
_NAME_WIDTH = 42


class ModelCommand(NetworkCommand):
    """A command that takes the parameters of one or several models."""

    operator_arguments = ("model", "models")

    def param_texts(self, spec: str, *, slow: bool) -> dict[str, ParamText]:
        """Return the ranges and defaults of the network."""
        return network_texts(spec)


@app.command(cls=ModelCommand)
def compare(
    context: typer.Context,
    model: OperatorOrModel,
    photo: Annotated[Path, Argument(help="The photo to compare on.")],
    output: Annotated[
        Path | None,
        Option("-o", "--output", help="The image to write. [default: PHOTO.OPERATOR.compare.png]"),
    ] = None,
    strength: Strength = None,
    guide: Guide = None,
    operator: Reference = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = AUTO,
    precision: Precision = AUTO,
    quality: Quality = None,
    json_output: JsonOutput = False,
) -> None:
    """Write a photo beside the operator's and the network's result.

    The error of the network and both times are printed. This needs the extra 'operators'.

    `burnish compare MODEL --help` also lists the parameters of that model.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.compare import compare_photo

    with ConsoleProgress(2, plain=False) as progress:
        comparison, target = compare_photo(
            model,
            photo,
            output,
            reference=operator,
            overwrite=overwrite,
            guide=guide,
            device=device,
            threads=threads,
            engine=engine,
            precision=precision,
            quality=quality,
            params=operator_params(context),
            strength=1 if strength is None else strength,
            progress=progress,
        )
    if json_output:
        typer.echo(json.dumps(comparison.record() | {"output": str(target)}))
        return
    typer.echo(f"operator  {comparison.slow_seconds:.2f} s")
    typer.echo(
        f"network   {comparison.fast_seconds:.2f} s, PSNR {comparison.psnr:.2f} dB "
        f"(unedited photo: {comparison.identity_psnr:.2f} dB)"
        + (f", guide: {comparison.guide}" if comparison.guide else "")
        + f", {comparison.engine} {comparison.precision}"
    )
    if comparison.slow_seconds <= comparison.fast_seconds:
        typer.echo(f"{_AS_FAST}, on photos of this size")
    typer.echo(str(target))


@app.command(cls=ModelCommand)
def evaluate(
    context: typer.Context,
    models: Annotated[
        list[str],
        Argument(
            metavar="MODEL...",
            help="Names or files of models, all of one operator.",
            autocompletion=complete_operator,
        ),
    ],
    photos: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder of photos to evaluate on (not for pairs:)."),
    ] = None,
    size: Annotated[
        list[int] | None,
        Option(min=11, help="Evaluate at this shorter side in pixels, too; may be repeated."),
    ] = None,
    max_size: Annotated[
        int, Option(min=11, help="Shrink photos to this longer side in pixels first.")
    ] = 10**6,
    sliders: Annotated[
        bool, Option("--sliders", help="Evaluate at the ends and thirds of each slider, too.")
    ] = False,
    guide: Guide = None,
    operator: Annotated[
        str | None,
        Option(
            help="The operator to compare with, or pairs:FOLDER (with before/ and after/). "
            "[default: the one that the model's card names]"
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = AUTO,
    precision: Precision = AUTO,
    ray: Ray = None,
    json_output: JsonOutput = False,
) -> None:
    """Evaluate networks on a folder of photos: PSNR, SSIM, cast, grain, multiply-adds and time.

    The operator edits the photos, too, which needs the extra 'operators'. Models of the same name
    are listed by their files. Cast is the difference of colours in areas, as CIEDE2000: 2.3 is just
    noticeable. Grain is the texture where the operator's output is flat, in 8-bit codes. The worst
    values and the photo with the lowest PSNR follow the means.

    `burnish evaluate MODEL --help` also lists the parameters of that model.
    """
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.benchmark import evaluate_models

    with connect(ray), ConsoleProgress() as progress:
        tables = evaluate_models(
            models,
            photos,
            params=operator_params(context),
            operator=operator,
            sizes=size or (),
            max_size=max_size,
            sliders=sliders,
            guide=guide,
            device=device,
            threads=threads,
            engine=engine,
            precision=precision,
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
    values = "".join(f", {name} {value_text(value)}" for name, value in table.params.items())
    names = [_row_name(row) for row in table.scores]
    width = max(_NAME_WIDTH, *(len(name) + 2 for name in names))
    return [
        f"{table.count} photos at {size}, {table.megapixels:.2f} megapixels on average{values}",
        f"{'':{width}}{'PSNR':>7}{'worst':>7}{'SSIM':>8}{'worst':>8}{'cast':>6}{'worst':>6}"
        f"{'grain':>6}{'k mult-adds':>13}{'parameters':>12}{'s/Mpx':>9}  worst photo",
        *(_score_line(row, f"{n:{width}}") for n, row in zip(names, table.scores, strict=True)),
    ]


def _row_name(row: "ModelScore") -> str:
    guide = f", guide: {row.guide}" if row.guide else ""
    return f"{row.name}{guide}{f', {row.precision}' if row.precision not in (None, 'fp32') else ''}"


def _score_line(row: "ModelScore", name: str) -> str:
    line = name
    if row.report:
        mean, worst = row.report.mean, row.report.worst
        line += f"{mean.psnr:7.2f}{worst.psnr:7.2f}{mean.ssim:8.4f}{worst.ssim:8.4f}"
        line += f"{mean.cast:6.1f}{worst.cast:6.1f}"
        line += " " * 6 if mean.grain is None else f"{mean.grain:6.1f}"
    else:
        line += " " * 48
    line += f"{row.macs_per_pixel / 1000:13.1f}" if row.macs_per_pixel is not None else " " * 13
    line += f"{row.parameters:12,d}" if row.parameters is not None else " " * 12
    seconds = row.seconds_per_megapixel
    line += f"{seconds:9.3f}" if seconds is not None else " " * 9
    return f"{line}  {row.report.worst_photo if row.report else ''}".rstrip()


@app.command(cls=BurnishCommand)
def demo(
    output: Annotated[
        Path,
        Option(
            "-o", "--output", metavar="FOLDER", help="The folder to write into.", file_okay=False
        ),
    ] = Path(),
    overwrite: Overwrite = False,
) -> None:
    """Smooth a sample photo, and write a before/after image of it."""
    from burnish.evaluation.doctor import demonstrate

    for path in demonstrate(output, overwrite=overwrite):
        typer.echo(str(path))


@app.command(cls=BurnishCommand)
def doctor(
    bench: Annotated[
        bool,
        Option(
            "--bench",
            help="Time all models on all engines instead, and the operators that they imitate.",
        ),
    ] = False,
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Print versions, engines and devices, and run a self-test."""
    if bench:
        _bench(threads, json_output=json_output)
        return
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.doctor import defaults, installation_info, self_test

    with ConsoleProgress(plain=False) as progress:
        installed = installation_info() | defaults()
        checks = self_test(progress)
    if json_output:
        tests = [dataclasses.asdict(check) for check in checks]
        typer.echo(json.dumps(installed | {"self_test": tests}, indent=2))
    else:
        for name, value in installed.items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {text or 'not installed'}" for key, text in value.items())
            elif isinstance(value, list):
                value = ", ".join(value) or "none"
            typer.echo(f"{name:<10}{value}")
        for check in checks:
            status = "FAILED" if check.failure else "ok"
            typer.echo(f"{status:<10}{check.name} {check.failure}".rstrip())
    if any(check.failure for check in checks):
        raise typer.Exit(DeviceError.exit_code)


def _bench(threads: int | None, *, json_output: bool) -> None:
    from burnish.cli.progress import ConsoleProgress
    from burnish.evaluation.doctor import time_models, time_operators
    from burnish.evaluation.operator_speed import save_speeds

    if not json_output:
        columns = f"{'engine':<14}{'precision':<11}{'device':<9}{'median':>8}  spread"
        typer.echo(f"{'seconds per megapixel':<32}{columns}")
    with ConsoleProgress(plain=False) as progress:
        progress.start("networks")
        for timing in time_models(threads):
            line = (
                f"{timing.model:<32}{timing.engine:<14}{timing.precision:<11}{timing.device:<9}"
                f"{timing.median:8.3f}  {timing.minimum:.3f} to {timing.maximum:.3f}"
            )
            progress.echo(json.dumps(dataclasses.asdict(timing)) if json_output else line)
        if not json_output:
            progress.echo(f"\n{'seconds at one megapixel':<32}{'operator':>9}{'network':>9}  guide")
        progress.start("operators")
        speeds = []
        for speed in time_operators():
            speeds.append(speed)
            line = f"{speed.operator:<32}{speed.operator_seconds:9.3f}{speed.network_seconds:9.3f}"
            line += f"  {speed.guide or 'none':<10}{_AS_FAST if speed.as_fast else ''}"
            record = dataclasses.asdict(speed) | {"as_fast": speed.as_fast}
            progress.echo(json.dumps(record) if json_output else line.rstrip())
    save_speeds(speeds)
