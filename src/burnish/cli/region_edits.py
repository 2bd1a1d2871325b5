"""`burnish regions EDIT`: a command for each edit that is made of a region."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.batch_options import BatchOptions, with_batch_options
from burnish.cli.options import Device, Photos, Threads, described, dress, option_of
from burnish.cli.region_options import Keeping, SaveMask, with_region_options
from burnish.params import Value
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.edits.table import EDITS
from burnish.regions.options import RegionWish
from burnish.video.formats import is_called_film

if TYPE_CHECKING:
    from burnish.editing.edit import Edit

KEEP_METADATA = inspect.Parameter(
    "keep_metadata",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool,
        typer.Option(
            "--keep-metadata",
            help="Keep EXIF, XMP and the like, which may name places and people, or hold a small "
            "copy of the photo as it was.",
        ),
    ],
)


def command_of(edit: RegionEdit) -> Callable[..., None]:
    """Return the command of an edit, with an option for each of its parameters."""

    def command(
        photos: Photos,
        batch: BatchOptions,
        device: Device = "auto",
        threads: Threads = None,
        save_mask: SaveMask = None,
        *,
        more: dict[str, Any],
        where: RegionWish,
    ) -> None:
        from burnish.cli.batch import files_named, run

        keeping = Keeping(save_mask, photos, batch)
        run(
            _edit(edit, where, more, keeping, device, threads),
            photos,
            replace(batch, format=batch.format or _format_of(edit, photos, batch.output)),
            files_named(more, where, save_mask),
        )

    return _dressed(edit, command)


def _dressed(edit: RegionEdit, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its edit's name, words and options."""
    command.__name__ = edit.name
    command.__doc__ = f"{edit.about}."
    defaults = {**edit.selection, **edit.edges}
    defaults["only"] = defaults.pop("classes", None)
    return with_batch_options(with_region_options(_with_own(edit, command), defaults))


def _edit(
    edit: RegionEdit,
    where: RegionWish,
    more: dict[str, Any],
    keeping: Keeping,
    device: str,
    threads: int | None,
) -> "Edit":
    """Return what is to be done to each photo."""
    from burnish.editing.region_edit import region_edit

    params: dict[str, Value] = {param.name: more[param.keyword] for param in edit.params}
    edit.settle(params)  # what is wrong with them is said before a detector is opened
    region = where.region(edit.selection, edit.edges, device=device, threads=threads)
    forget = False if more.get("keep_metadata") else None
    return region_edit(edit, params, region, keeping.keeper(), forget=forget)


def _with_own(edit: RegionEdit, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that are its edit's own; it takes them as its argument `more`."""
    added = [option_of(param, _capital(described(param))) for param in edit.params]
    added += [KEEP_METADATA] if edit.forgets else []

    def wrapped(**given: Any) -> None:
        command(more={p.name: given.pop(p.name) for p in added}, **given)

    dress(wrapped, command, "more", added)
    return wrapped


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _format_of(edit: RegionEdit, photos: list[Path], output: str | None) -> str | None:
    """Return the format of results that need transparency, unless a file's name tells it."""
    if all(map(is_called_film, photos)):
        return None
    is_file = output is not None and Path(output).suffix and not Path(output).is_dir()
    named = is_file and not str(output).endswith("/")
    return None if edit.call or named else "png"


def register(group: typer.Typer) -> None:
    """Enter a command for each edit into a group."""
    for edit in EDITS.values():
        group.command(edit.name)(command_of(edit))
