"""`burnish doctor` and `burnish demo`: check an installation, and try it on a sample photo."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import JsonOutput, Overwrite, Threads
from burnish.errors import DeviceError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder to write into.", file_okay=False)
    ] = Path(),
    overwrite: Overwrite = False,
) -> None:
    """Smooth a sample photo, and write a before/after image of it."""
    from burnish.evaluation.demo import demonstrate

    for path in demonstrate(output, overwrite=overwrite):
        typer.echo(str(path))


@app.command()
def doctor(
    bench: Annotated[
        bool, typer.Option("--bench", help="Time all models on all engines instead.")
    ] = False,
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Print versions, engines and devices, and run a self-test."""
    if bench:
        _bench(threads, json_output=json_output)
        return
    from burnish.evaluation.doctor import default_device, installation_info, self_test

    installed, checks = installation_info() | {"device": default_device()}, self_test()
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
            typer.echo(f"{'FAILED' if check.failure else 'ok':<10}{check.name} {check.failure}")
    if any(check.failure for check in checks):
        raise typer.Exit(DeviceError.exit_code)


def _bench(threads: int | None, *, json_output: bool) -> None:
    from burnish.evaluation.doctor import time_models

    if not json_output:
        typer.echo(f"{'seconds per megapixel':<32}{'engine':<14}{'device':<9}{'median':>8}  spread")
    for timing in time_models(threads):
        if json_output:
            typer.echo(json.dumps(dataclasses.asdict(timing)))
        else:
            typer.echo(
                f"{timing.model:<32}{timing.engine:<14}{timing.device:<9}{timing.median:8.3f}  "
                f"{timing.minimum:.3f} to {timing.maximum:.3f}"
            )
