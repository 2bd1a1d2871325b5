"""`burnish regions`: list the objects in photos, edit them, and train detectors."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import field, fields, make_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from burnish.cli import region_training
from burnish.cli.batch import STREAM, BatchOptions, SaveMask, collect_paths, mask_writer, run
from burnish.cli.options import (
    STRENGTH_HELP,
    BurnishCommand,
    Device,
    JsonOutput,
    Overwrite,
    Photos,
    Threads,
    expand,
    option,
    params_class,
)
from burnish.errors import BurnishError, UsageError, as_usage_error, join_or
from burnish.files import check_absent, check_not_input, is_folder
from burnish.params import STRENGTH, Value
from burnish.regions.options import RegionOptions, photos_only
from burnish.regions.registry import EDITS, RegionEdit
from burnish.video.formats import has_video_extension

if TYPE_CHECKING:
    from burnish.editing.detections import PhotoDetections
    from burnish.editing.edit import Edit

app = typer.Typer(rich_markup_mode=None)
regions = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="List and edit the objects in photos, and train detectors.",
)
app.add_typer(regions, name="regions")

_KEEP_METADATA = option(
    False,
    "Keep EXIF, XMP and other metadata, which may name places and people or hold a preview of the "
    "original photo.",
)


_STRENGTH = option(
    None,
    STRENGTH_HELP,
    metavar="NUMBER",
    min=STRENGTH.low,
    max=STRENGTH.high,
)


def region_options_class(
    defaults: Mapping[str, Any], helps: Mapping[str, str] | None = None
) -> type[RegionOptions]:
    """Return `RegionOptions` with a command's own defaults in the help texts.

    Parameters
    ----------
    defaults : the defaults, by field
    helps : other help texts, by field; an option with the text "" is left out of the help

    The fields' values do not change. The defaults hold for regions of objects only, and are applied
    by `burnish.regions.region.open_region`.
    """
    overrides: list[tuple[str, Any, Any]] = []
    for f in fields(RegionOptions):
        if f.name in defaults:
            value = defaults[f.name]
            text = ",".join(value) if isinstance(value, tuple) else f"{value}"
            if isinstance(value, bool):
                text = "on" if value else "off"
            description = f.metadata["help"].partition(" [default:")[0]
            metadata = {**f.metadata, "help": f"{description} [default: {text}]"}
            overrides.append((f.name, f.type, field(default=f.default, metadata=metadata)))
        elif helps and f.name in helps:
            metadata = {**f.metadata, "help": helps[f.name], "hidden": not helps[f.name]}
            overrides.append((f.name, f.type, field(default=f.default, metadata=metadata)))
    return make_dataclass("RegionOptions", overrides, bases=(RegionOptions,), frozen=True)


# An object is listed whole, and a mask or the inverse of a selection is no list of objects.
if TYPE_CHECKING:
    _ListOptions = RegionOptions
else:
    _ListOptions = region_options_class(
        {},
        {
            "only": "List only objects of these classes, such as person.",
            "numbers": "List only the object with this number; may be repeated.",
            "clicks": "List only the smallest object at this pixel; may be repeated.",
            "box": "List only objects with at least half their area in this rectangle, px.",
            "grow": "Grow each mask, px; 0 to 1000. [default: 0]",
            "shrink": "Shrink each mask, px, after --grow; 0 to 1000. [default: 0]",
            **dict.fromkeys(("exclude", "mask", "invert", "feather"), ""),
        },
    )


@regions.command("list", cls=BurnishCommand)
@expand
def list_regions(
    photos: Annotated[
        list[Path],
        Argument(metavar="PHOTO...", help="Photos, and folders of them.", readable=False),
    ],
    output: Annotated[
        Path | None,
        Option("-o", "--output", help="Write a copy of the photo with the numbered objects."),
    ] = None,
    coco: Annotated[
        Path | None, Option(help="Write the objects and their masks as COCO JSON.")
    ] = None,
    masks: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Folder for one grey image per object, named PHOTO.EXT.NUMBER.CLASS.png.",
        ),
    ] = None,
    recursive: Annotated[bool, Option("-r", "--recursive", help="Include subfolders.")] = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
    *,
    region: _ListOptions,
) -> None:
    """List the objects in photos: number, class, score, area in % of the photo, and box."""
    from burnish.editing.detections import detect, write_annotated, write_coco, write_masks
    from burnish.editing.inputs import find_inputs
    from burnish.regions.objects import check_classes, nothing_found, open_object_source

    _check_options(photos, output, coco, region, overwrite=overwrite)
    inputs = find_inputs(photos, recursive=recursive)
    sources = [file.path for file in inputs.files if not has_video_extension(file.path)]
    if masks is not None:
        _check_names(sources, masks)
    object_source = open_object_source(region, device=device, threads=threads)
    check_classes(region.only, object_source.classes)
    print_detector(region)
    with_path = len(photos) > 1 or is_folder(photos[0])
    listed: list[PhotoDetections] = []
    for error in inputs.unreadable:
        print(f"burnish: {error}", file=sys.stderr)
    failed = bool(inputs.unreadable)
    for source in sources:
        try:
            detections = detect(source, object_source, region)
            if masks is not None:
                write_masks(detections, masks, overwrite=overwrite)
        except BurnishError as error:
            print(f"burnish: {error}", file=sys.stderr)
            failed = True
            continue
        if coco or output:
            listed.append(detections)
        records = detections.records()
        if not records:
            problem = nothing_found(region, detections.missed)
            print(f"burnish: warning: {source}: {problem}", file=sys.stderr)
        for record in records:
            row = json.dumps(record) if json_output else _format_row(record, with_path=with_path)
            typer.echo(row)
    if coco is not None:
        write_coco(listed, coco, overwrite=overwrite)
    if output is not None and listed:
        write_annotated(listed[0], output, overwrite=overwrite)
    if failed:
        raise typer.Exit(BurnishError.exit_code)


def print_detector(region: RegionOptions, *, quiet: bool = False) -> None:
    """Print the name of the default detector if it is the downloaded one."""
    from burnish.detection import detector_file

    is_default = region.detector is None and region.objects is None
    if is_default and not quiet and detector_file.default_name() == detector_file.DOWNLOADED:
        print(
            f"burnish: objects are found by the detector {detector_file.DOWNLOADED}",
            file=sys.stderr,
        )


def _check_options(
    photos: list[Path],
    output: Path | None,
    coco: Path | None,
    region: RegionOptions,
    *,
    overwrite: bool,
) -> None:
    from burnish.photo.formats import check_writable

    for photo in photos:
        if photo == STREAM or has_video_extension(photo):
            problem = "objects are listed for files of photos only"
            raise UsageError(str(photo), problem, "name photos, or folders of them")
    if region.mask is not None or region.invert or region.exclude:
        raise UsageError(
            "--mask, --invert, --exclude", "these options do not select objects", "leave them out"
        )
    if output is not None and (len(photos) > 1 or any(map(is_folder, photos))):
        raise UsageError(f"-o {output}", "only one photo can be drawn on", "list photos one by one")
    if output is not None and coco is not None and output.resolve() == coco.resolve():
        raise UsageError(f"-o {output}", "--coco names the same file", "give two different files")
    for target in filter(None, (output, coco)):
        check_absent(target, overwrite=overwrite)
        check_not_input(target, [*photos, *([region.objects] if region.objects else [])])
    if output is not None:
        with as_usage_error():
            check_writable(output)


def _check_names(sources: list[Path], masks: Path) -> None:
    """Check that no two photos have the same name, which those of their masks begin with."""
    [(name, count)] = Counter(source.name for source in sources).most_common(1) or [("", 0)]
    if count > 1:
        remedy = "list their folders separately, each with its own --masks"
        raise UsageError(f"--masks {masks}", f"{count} photos are called {name}", remedy)


def _format_row(record: dict[str, Any], *, with_path: bool) -> str:
    row = (
        f"{record['number']:>4}  {record['class']:<16}{record['score']:>6.2f}"
        f"{record['area']:>8.2f} %  {','.join(map(str, record['box']))}"
    )
    return f"{record['photo']}{row}" if with_path else row


def make_command(edit: RegionEdit) -> Callable[..., None]:
    """Return the command of an edit, with an option for each of its parameters."""
    edit_params = params_class("EditParams", edit.params)
    if edit.has_strength:
        extra = [("strength", float | None, _STRENGTH)]
        edit_params = make_dataclass("EditParams", extra, bases=(edit_params,), frozen=True)
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
        values = {param.name: getattr(params, param.argument_name) for param in edit.params}
        edit.resolve_params(values)  # raises errors before the detector is opened
        check_videos(photos, region, save_mask, edit)
        if not edit.function:
            _check_transparency(batch)
        # Without any region, an edit has default objects.
        options: RegionOptions = region
        if options.selects_objects or (options.mask is None and options.box is None):
            print_detector(region, quiet=batch.quiet)
        strength = getattr(params, "strength", None)
        load = partial(
            _load_edit,
            name=edit.name,
            values=values,
            region=region,
            device=device,
            mask_writer=mask_writer(save_mask, photos, batch),
            strength=1 if strength is None else strength,
            strip_metadata=False if getattr(params, "keep_metadata", False) else None,
        )
        output_format = batch.format or _default_format(edit, photos, batch.output)
        paths = collect_paths(values, region, save_mask)
        run(load, photos, replace(batch, format=output_format), threads, paths)

    command.__name__ = edit.name
    command.__doc__ = f"{edit.about}."
    return expand(command)


def _load_edit(
    threads: int | None,
    *,
    name: str,
    values: Mapping[str, Value],
    region: RegionOptions,
    device: str,
    **options: Any,
) -> "Edit":
    """Return the edit of a region; `options` are further arguments of `edit_region`."""
    from burnish.editing.region_edit import edit_region
    from burnish.regions.region import open_region

    edit = EDITS[name]
    opened = open_region(region, defaults=edit.region_defaults, device=device, threads=threads)
    return edit_region(edit, values, opened, **options)


def check_videos(
    photos: list[Path],
    region: RegionOptions,
    save_mask: str | None = None,
    edit: RegionEdit | None = None,
) -> None:
    """Check, before any work, that videos can be edited with these options, if there are any.

    Raises
    ------
    UsageError : the edit or an option is for photos only
    """
    if not any(map(has_video_extension, photos)):
        return
    features = {
        edit.name if edit else "": edit is not None and not edit.function,
        "--save-mask": save_mask is not None,
        "--objects": region.objects is not None,
        "--mask with a folder": region.mask is not None and is_folder(region.mask),
    }
    for feature, is_used in features.items():
        if is_used:
            raise photos_only(feature)


def _check_transparency(batch: BatchOptions) -> None:
    """Check that the format of the outputs, if it is given, can store transparency."""
    from burnish.photo.formats import FORMATS, writable_format

    output = batch.output or ""
    is_file = not output.endswith("/") and not is_folder(Path(output))
    names = {
        "--format": batch.format,
        "--name": "" if batch.name.endswith("}") else Path(batch.name).suffix,
        "-o": Path(output).suffix if is_file else "",
    }
    for option_name, name in names.items():
        with as_usage_error():
            format = writable_format(name, f"{option_name} {name}") if name else None
        if format is not None and not format.alpha:
            others = [other.name for other in FORMATS.values() if other.alpha and other.depths]
            raise UsageError(
                f"{option_name} {output if option_name == '-o' else name}",
                f"{format.name} cannot store transparency",
                f"choose {join_or(others)}",
            )


def _default_format(edit: RegionEdit, photos: list[Path], output: str | None) -> str | None:
    """Return the format of outputs with transparency, unless the output's name has one."""
    if edit.function or all(map(has_video_extension, photos)):
        return None
    if output is None or output.endswith("/") or not Path(output).suffix or is_folder(output):
        return "png"
    return None


for _edit in EDITS.values():
    regions.command(_edit.name, cls=BurnishCommand)(make_command(_edit))
for _command in (
    region_training.train,
    region_training.evaluate,
    region_training.compress,
    region_training.get,
    region_training.export,
    region_training.synthesize,
    region_training.explain,
):
    regions.command(cls=BurnishCommand)(_command)
