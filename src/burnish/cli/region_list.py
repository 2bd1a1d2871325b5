"""`burnish regions list`: the objects in photos, numbered, and their masks."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from burnish.cli.options import (
    Device,
    JsonOutput,
    Overwrite,
    Photos,
    Recursive,
    SectionedCommand,
    Threads,
    expand,
)
from burnish.errors import BurnishError, UsageError, as_usage_error
from burnish.files import check_absent, check_not_input
from burnish.regions.options import RegionOptions

if TYPE_CHECKING:
    from burnish.editing.detections import PhotoDetections


@expand
def list_regions(
    photos: Photos,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Draw the numbered objects over the photo."),
    ] = None,
    coco: Annotated[
        Path | None, typer.Option(help="Write the objects and their masks as COCO JSON.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder for one grey image per object, named PHOTO.EXT.NUMBER.CLASS.png."
        ),
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
    *,
    region: RegionOptions,
) -> None:
    """List the objects in photos: number, class, score, area in % of the photo, and box."""
    from burnish.editing.detections import detect, write_annotated, write_coco, write_masks
    from burnish.editing.inputs import find_inputs
    from burnish.regions.object_sources import open_object_source
    from burnish.regions.select import check_classes

    _check_options(photos, output, coco, region, overwrite=overwrite)
    object_source = open_object_source(region, device=device, threads=threads)
    check_classes(region.only, object_source.classes)
    several = len(photos) > 1 or photos[0].is_dir()
    written: list[PhotoDetections] = []
    failed = False
    for source in find_inputs(photos, recursive=recursive).files:
        try:
            detections = detect(source.path, object_source, region)
            if masks is not None:
                write_masks(detections, masks, overwrite=overwrite)
        except BurnishError as error:
            print(f"burnish: {error}", file=sys.stderr)
            failed = True
            continue
        if coco or output:
            written.append(detections)
        records = detections.records()
        if not records:
            print(f"burnish: warning: {source.path}: no object found", file=sys.stderr)
        for record in records:
            typer.echo(json.dumps(record) if json_output else _format_row(record, several=several))
    if coco is not None:
        write_coco(written, coco, overwrite=overwrite)
    if output is not None and written:
        write_annotated(written[0], output, overwrite=overwrite)
    if failed:
        raise typer.Exit(BurnishError.exit_code)


def _check_options(
    photos: list[Path],
    output: Path | None,
    coco: Path | None,
    region: RegionOptions,
    *,
    overwrite: bool,
) -> None:
    from burnish.photo.formats import check_writable

    if region.mask is not None or region.invert or region.exclude:
        raise UsageError(
            "--mask, --invert, --exclude", "these options do not select objects", "leave them out"
        )
    if output is not None and (len(photos) > 1 or any(photo.is_dir() for photo in photos)):
        raise UsageError(f"-o {output}", "only one photo can be drawn on", "list photos one by one")
    if output is not None and coco is not None and output.resolve() == coco.resolve():
        raise UsageError(f"-o {output}", "--coco names the same file", "give two different files")
    for target in filter(None, (output, coco)):
        check_absent(target, overwrite=overwrite)
        check_not_input(target, [*photos, *([region.objects] if region.objects else [])])
    if output is not None:
        with as_usage_error():
            check_writable(output)


def _format_row(record: dict[str, Any], *, several: bool) -> str:
    row = (
        f"{record['number']:>4}  {record['class']:<16}{record['score']:>6.2f}"
        f"{record['area']:>8.2f} %  {','.join(map(str, record['box']))}"
    )
    return f"{record['photo']}{row}" if several else row


def register(group: typer.Typer) -> None:
    """Add the command to a group."""
    group.command("list", cls=SectionedCommand)(list_regions)
