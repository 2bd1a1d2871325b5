"""`burnish regions EDIT`: one command for each edit that needs a region."""

from collections.abc import Callable
from dataclasses import field, make_dataclass, replace
from pathlib import Path

import typer

from burnish.cli.batch import BatchOptions
from burnish.cli.options import Device, Photos, SectionedCommand, Threads, expand, params_class
from burnish.cli.region_options import MaskOutput, SaveMask, region_options_class
from burnish.regions.registry import EDITS, RegionEdit
from burnish.video.formats import has_video_extension

_KEEP_METADATA = field(
    default=False,
    metadata={
        "help": "Keep EXIF, XMP and other metadata, which may name places and people or hold a "
        "preview of the original photo."
    },
)


def make_command(edit: RegionEdit) -> Callable[..., None]:
    """Return the command of an edit, with an option for each of its parameters."""
    edit_params = params_class("EditParams", edit.params)
    if edit.strips_metadata:
        extra = [("keep_metadata", bool, _KEEP_METADATA)]
        edit_params = make_dataclass("EditParams", extra, bases=(edit_params,), frozen=True)
    region_options = region_options_class(edit.region_defaults)

    def command(
        photos: Photos,
        *,
        params: edit_params,  # type: ignore[valid-type]
        device: Device = "auto",
        threads: Threads = None,
        batch: BatchOptions,
        region: region_options,  # type: ignore[valid-type]
        save_mask: SaveMask = None,
    ) -> None:
        from burnish.cli.batch import collect_paths, run
        from burnish.editing.region_edit import RegionEditor
        from burnish.regions.region import open_region

        values = {param.name: getattr(params, param.argument_name) for param in edit.params}
        edit.resolve_params(values)  # raises errors before the detector is opened
        editor = RegionEditor(
            edit,
            values,
            open_region(region, defaults=edit.region_defaults, device=device, threads=threads),
            MaskOutput(save_mask, photos, batch).mask_writer(),
            strip_metadata=False if getattr(params, "keep_metadata", False) else None,
        )
        output_format = batch.format or _default_format(edit, photos, batch.output)
        paths = collect_paths(values, region, save_mask)
        run(editor, photos, replace(batch, format=output_format), paths)

    command.__name__ = edit.name
    command.__doc__ = f"{edit.about}."
    return expand(command)


def _default_format(edit: RegionEdit, photos: list[Path], output: str | None) -> str | None:
    """Return the format of outputs with transparency, unless the output's name has one."""
    if edit.function or all(map(has_video_extension, photos)):
        return None
    if output is None or output.endswith("/") or not Path(output).suffix or Path(output).is_dir():
        return "png"
    return None


def register(group: typer.Typer) -> None:
    """Add a command for each edit to a group."""
    for edit in EDITS.values():
        group.command(edit.name, cls=SectionedCommand)(make_command(edit))
