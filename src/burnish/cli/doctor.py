"""`burnish doctor`: versions, engines, devices, and a self-test."""

import dataclasses
import json

import typer

from burnish.cli.options import JsonOutput
from burnish.errors import DeviceError


def doctor(json_output: JsonOutput = False) -> None:
    """Print versions, engines and devices, and run a self-test."""
    from burnish.editing.doctor import device, installation, self_test

    found, checks = installation() | {"device": device()}, self_test()
    if json_output:
        tests = [dataclasses.asdict(check) for check in checks]
        typer.echo(json.dumps(found | {"self_test": tests}, indent=2))
    else:
        for name, value in found.items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {text or 'not installed'}" for key, text in value.items())
            elif isinstance(value, list):
                value = ", ".join(value) or "none"
            typer.echo(f"{name:<10}{value}")
        for check in checks:
            typer.echo(f"{'FAILED' if check.complaint else 'ok':<10}{check.name} {check.complaint}")
    if any(check.complaint for check in checks):
        raise typer.Exit(DeviceError.exit_code)
