"""`burnish regions EDIT`: a command for each edit that is made of a region."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.batch import BatchOptions
from burnish.cli.options import (
    Device,
    Photos,
    Threads,
    copy_signature,
    expand,
    param_help,
    param_option,
)
from burnish.cli.region_options import MaskOutput, SaveMask, with_region_options
from burnish.params import Value
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.edits.table import EDITS
from burnish.regions.options import RegionOptions
from burnish.video.formats import has_video_extension

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


def make_command(edit: RegionEdit) -> Callable[..., None]:
    """Return the command of an edit, with an option for each of its parameters."""

    def command(
        photos: Photos,
        batch: BatchOptions,
        device: Device = "auto",
        threads: Threads = None,
        save_mask: SaveMask = None,
        *,
        more: dict[str, Any],
        where: RegionOptions,
    ) -> None:
        from burnish.cli.batch import collect_paths, run

        keeping = MaskOutput(save_mask, photos, batch)
        run(
            _build_edit(edit, where, more, keeping, device, threads),
            photos,
            replace(batch, format=batch.format or _default_format(edit, photos, batch.output)),
            collect_paths(more, where, save_mask),
        )

    return _dressed(edit, command)


def _dressed(edit: RegionEdit, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its edit's name, words and options."""
    command.__name__ = edit.name
    command.__doc__ = f"{edit.about}."
    defaults = {**edit.selection_defaults, **edit.edge_defaults}
    defaults["only"] = defaults.pop("classes", None)
    return expand(with_region_options(_with_own(edit, command), defaults))


def _build_edit(
    edit: RegionEdit,
    where: RegionOptions,
    more: dict[str, Any],
    keeping: MaskOutput,
    device: str,
    threads: int | None,
) -> "Edit":
    """Return what is to be done to each photo."""
    from burnish.editing.region_edit import region_edit

    params: dict[str, Value] = {param.name: more[param.argument_name] for param in edit.params}
    edit.resolve_params(params)  # what is wrong with them is said before a detector is opened
    region = where.to_region(
        edit.selection_defaults, edit.edge_defaults, device=device, threads=threads
    )
    forget = False if more.get("keep_metadata") else None
    return region_edit(edit, params, region, keeping.mask_writer(), strip_metadata=forget)


def _with_own(edit: RegionEdit, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that are its edit's own; it takes them as its argument `more`."""
    added = [param_option(param, _capital(param_help(param))) for param in edit.params]
    added += [KEEP_METADATA] if edit.strips_metadata else []

    def wrapped(**given: Any) -> None:
        command(more={p.name: given.pop(p.name) for p in added}, **given)

    copy_signature(wrapped, command, "more", added)
    return wrapped


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _default_format(edit: RegionEdit, photos: list[Path], output: str | None) -> str | None:
    """Return the format of results that need transparency, unless a file's name tells it."""
    if all(map(has_video_extension, photos)):
        return None
    is_file = output is not None and Path(output).suffix and not Path(output).is_dir()
    named = is_file and not str(output).endswith("/")
    return None if edit.function or named else "png"


def register(group: typer.Typer) -> None:
    """Enter a command for each edit into a group."""
    for edit in EDITS.values():
        group.command(edit.name)(make_command(edit))
