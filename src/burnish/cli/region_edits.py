"""`burnish regions EDIT`: a command for each edit that is made of a region."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.options import (
    Crf,
    Depth,
    Device,
    DryRun,
    FilmCodec,
    Format,
    JsonOutput,
    Name,
    Output,
    Overwrite,
    Photos,
    Quality,
    Quiet,
    Recursive,
    SkipExisting,
    Threads,
    described,
    dress,
    option_of,
)
from burnish.cli.region_options import Keeping, SaveMask, with_region_options
from burnish.editing.names import DEFAULT_NAME
from burnish.params import Value
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.edits.table import EDITS
from burnish.regions.wish import RegionWish

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
        output: Output = None,
        name: Name = DEFAULT_NAME,
        format: Format = None,
        recursive: Recursive = False,
        overwrite: Overwrite = False,
        skip_existing: SkipExisting = False,
        dry_run: DryRun = False,
        quality: Quality = None,
        depth: Depth = None,
        codec: FilmCodec = None,
        crf: Crf = None,
        device: Device = "auto",
        threads: Threads = None,
        json_output: JsonOutput = False,
        quiet: Quiet = False,
        save_mask: SaveMask = None,
        *,
        where: RegionWish,
        more: dict[str, Any],
    ) -> None:
        from burnish.cli.batch import files_named, run
        from burnish.editing.plan import Wish
        from burnish.editing.video.formats import Coding

        wish = Wish(
            output=output,
            name=name,
            format=format or _format_of(edit, output),
            recursive=recursive,
            overwrite=overwrite,
            skip_existing=skip_existing,
            quality=quality,
            depth=depth,
            coding=Coding(codec, crf),
            beside=files_named(more, where, save_mask),
        )
        run(
            _edit(
                edit, where, more, Keeping(save_mask, photos, overwrite, dry_run), device, threads
            ),
            photos,
            wish,
            dry_run=dry_run,
            json_output=json_output,
            quiet=quiet,
        )

    return _dressed(edit, command)


def _dressed(edit: RegionEdit, command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its edit's name, words and options."""
    command.__name__ = edit.name
    command.__doc__ = f"{edit.about}."
    defaults = {**edit.selection, **edit.edges}
    defaults["only"] = defaults.pop("classes", None)
    return with_region_options(_with_own(edit, command), defaults)


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


def _format_of(edit: RegionEdit, output: str | None) -> str | None:
    """Return the format of results that need transparency, unless a file's name tells it."""
    is_file = output is not None and Path(output).suffix and not Path(output).is_dir()
    named = is_file and not str(output).endswith("/")
    return None if edit.call or named else "png"


def register(group: typer.Typer) -> None:
    """Enter a command for each edit into a group."""
    for edit in EDITS.values():
        group.command(edit.name)(command_of(edit))
