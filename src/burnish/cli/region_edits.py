"""`burnish regions EDIT`: one command for each edit that needs a region."""

from collections.abc import Callable, Mapping
from dataclasses import field, fields, make_dataclass, replace
from pathlib import Path
from typing import Any

import typer

from burnish.cli.batch import BatchOptions, MaskOutput, SaveMask
from burnish.cli.options import Device, Photos, SectionedCommand, Threads, expand, params_class
from burnish.regions.options import RegionOptions
from burnish.regions.registry import EDITS, RegionEdit
from burnish.video.formats import has_video_extension

_KEEP_METADATA = field(
    default=False,
    metadata={
        "help": "Keep EXIF, XMP and other metadata, which may name places and people or hold a "
        "preview of the original photo."
    },
)


def region_options_class(defaults: Mapping[str, Any]) -> type[RegionOptions]:
    """Return `RegionOptions` with a command's own defaults in the help texts.

    The fields' values do not change. The defaults hold for regions of objects only, and are applied
    by `burnish.regions.region.open_region`.
    """
    overrides: list[tuple[str, Any, Any]] = []
    for option in fields(RegionOptions):
        if option.name in defaults:
            value = defaults[option.name]
            text = ",".join(value) if isinstance(value, tuple) else f"{value}"
            if isinstance(value, bool):
                text = "on" if value else "off"
            help_text = f"{option.metadata['help'].partition(' [default:')[0]} [default: {text}]"
            metadata = {**option.metadata, "help": help_text}
            overrides.append(
                (option.name, option.type, field(default=option.default, metadata=metadata))
            )
    return make_dataclass("RegionOptions", overrides, bases=(RegionOptions,), frozen=True)


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
