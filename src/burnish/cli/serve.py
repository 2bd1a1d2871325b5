"""`burnish serve`: edit photos over HTTP on this machine."""

import inspect
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer import Option

from burnish.cli.options import BurnishCommand, Threads, expand, parse_field
from burnish.regions.options import RegionOptions
from burnish.serve.limits import Limits

if TYPE_CHECKING:
    from burnish.serve.query import Group, QueryOption

app = typer.Typer(rich_markup_mode=None)

DEFAULT_PORT = 8470

# Options of `burnish apply` that requests take, besides those of regions.
_GROUPS: "dict[str, Group]" = {
    "strength": "edit",
    "guide": "edit",
    "engine": "edit",
    "precision": "edit",
    "format": "output",
    "depth": "output",
    "qualities": "output",
}


@app.command(cls=BurnishCommand)
@expand
def serve(
    port: Annotated[
        int, Option(min=0, max=65535, help="Port; 0 takes any free one.")
    ] = DEFAULT_PORT,
    host: Annotated[
        str,
        Option(help="Address; one that other machines can reach needs --token-file."),
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        Option(
            help="File that holds a token, which every request has to send; only you may read it."
        ),
    ] = None,
    threads: Threads = None,
    *,
    limits: Limits,
) -> None:
    """Edit photos over HTTP, on this machine only.

    `curl --data-binary @photo.jpg 'http://127.0.0.1:8470/v1/apply/l0-smoothing?lambda=0.05' -o
    smooth.jpg` gives the same file as `burnish apply`. GET /v1/operators lists the operators and
    /openapi.json describes everything. docs/serve.md states the limits.
    """
    from burnish.serve.guard import read_token
    from burnish.serve.server import serve

    serve(
        host,
        port,
        list(query_options()),
        limits,
        token=None if token_file is None else read_token(token_file),
        threads=threads,
    )


def query_options() -> "Iterator[QueryOption]":
    """Yield the options of `burnish apply` that requests take: those that name no file."""
    from burnish.cli.apply import apply
    from burnish.cli.batch import BatchOptions
    from burnish.serve.query import QueryOption

    option_fields: dict[str, Any] = {
        field.name: field for group in (BatchOptions, RegionOptions) for field in fields(group)
    }
    regions = {field.name for field in fields(RegionOptions)}
    for key, parameter in inspect.signature(apply).parameters.items():
        if key not in _GROUPS and key not in regions:
            continue
        kind, option = get_args(parameter.annotation)
        if "FILE" in (option.metavar or ""):
            continue
        [kind] = [part for part in get_args(kind) or [kind] if part is not NoneType]
        low, high, flags = option.min, option.max, (f"--{key}",)
        field = option_fields.get(key)
        if field is not None:
            low, high = field.metadata.get("range", (None, None))
            flags = field.metadata.get("flags", flags)
        yield QueryOption(
            name=flags[0].partition("/")[0].removeprefix("--").replace("_", "-"),
            key=key,
            kind=kind,
            description=option.help,
            group=_GROUPS.get(key, "region"),
            low=low,
            high=high,
            convert=partial(parse_field, field) if field else lambda value: value,
        )
