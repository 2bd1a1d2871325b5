"""`burnish cache`: list and remove what trainings have computed."""

import dataclasses
import json
import time
from typing import Annotated, Any

import typer
from typer import Argument

from burnish.cli.options import BurnishCommand, JsonOutput

app = typer.Typer(rich_markup_mode=None)
cache = typer.Typer(
    no_args_is_help=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    help="List the pairs and features that trainings have computed, or remove them.",
)
app.add_typer(cache, name="cache")


@cache.callback()
def _list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_files()


@cache.command("list", cls=BurnishCommand)
def list_files(json_output: JsonOutput = False) -> None:
    """List the pairs of each operator, and the features of photos for keywords.

    Each has its number of files, their size, and the date of the newest one. The folder is
    BURNISH_CACHE, or ~/.cache/burnish.
    """
    from burnish.files import cache_root
    from burnish.training.cache import cache_entries

    entries = cache_entries()
    if json_output:
        typer.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
        return
    _print_table(entries)
    size = sum(entry.size for entry in entries)
    typer.echo(f"{size_text(size)} in {cache_root()}")


@cache.command("clear", cls=BurnishCommand)
def clear(
    name: Annotated[
        str | None,
        Argument(help="A name in the list of `burnish cache`. [default: all of them]"),
    ] = None,
) -> None:
    """Remove cached files. A training computes those that it needs again.

    Do not remove the files of a training that is running.
    """
    from burnish.training.cache import clear_cache

    removed = clear_cache(name)
    _print_table(removed)
    typer.echo(f"{size_text(sum(entry.size for entry in removed))} freed")


def size_text(size: int) -> str:
    """Return a number of bytes as text.

    Examples
    --------
    >>> size_text(900), size_text(2_340_000), size_text(12_000_000_000)
    ('0.0 MB', '2.3 MB', '12.0 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _print_table(entries: list[Any]) -> None:
    width = max([26, *(len(entry.name) + 2 for entry in entries)])
    for entry in entries:
        day = time.strftime("%Y-%m-%d", time.localtime(entry.modified))
        files = f"{entry.files} file{'' if entry.files == 1 else 's'}"
        typer.echo(f"{entry.name:<{width}}{files:>14}{size_text(entry.size):>12}  {day}")
