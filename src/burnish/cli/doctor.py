"""`burnish doctor`: versions, engines, devices, and a self-test."""

import dataclasses
import json
from typing import Annotated

import typer

from burnish.cli.options import JsonOutput, Threads
from burnish.errors import DeviceError


def doctor(
    bench: Annotated[
        bool, typer.Option("--bench", help="Time every model on every engine instead.")
    ] = False,
    threads: Threads = None,
    json_output: JsonOutput = False,
) -> None:
    """Print versions, engines and devices, and run a self-test; or time the models here."""
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
        typer.echo(f"{'seconds a megapixel':<32}{'engine':<14}{'device':<9}{'median':>8}  spread")
    for timing in time_models(threads):
        if json_output:
            typer.echo(json.dumps(dataclasses.asdict(timing)))
        else:
            typer.echo(
                f"{timing.model:<32}{timing.engine:<14}{timing.device:<9}{timing.median:8.3f}  "
                f"{timing.minimum:.3f} to {timing.maximum:.3f}"
            )
