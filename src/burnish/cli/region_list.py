"""`burnish regions list`: the objects in photos, numbered, and their masks."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import (
    Device,
    JsonOutput,
    Overwrite,
    Photos,
    Recursive,
    Threads,
)
from burnish.cli.region_options import with_region_options
from burnish.errors import BurnishError, UsageError, as_usage_error
from burnish.files import check_absent, check_not_input
from burnish.regions.options import RegionOptions


@with_region_options
def list_regions(
    photos: Photos,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Draw the photo with its objects numbered."),
    ] = None,
    coco: Annotated[
        Path | None, typer.Option(help="Write the objects as COCO's JSON, with masks.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            help="A folder for a grey picture of each object, PHOTO.EXT.NUMBER.CLASS.png."
        ),
    ] = None,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
    threads: Threads = None,
    json_output: JsonOutput = False,
    *,
    where: RegionOptions,
) -> None:
    """List the objects in photos: number, class, score, share of the picture, box."""
    from burnish.editing.detections import detect, write_annotated, write_coco, write_masks
    from burnish.editing.inputs import find_inputs
    from burnish.photo.formats import check_writable

    _check_options(photos, output, coco, where)
    for target in filter(None, (output, coco)):
        check_absent(target, overwrite=overwrite)
        check_not_input(target, [*photos, *([where.objects] if where.objects else [])])
    if output is not None:
        with as_usage_error():
            check_writable(output)
    region = where.to_region({"classes": ()}, device=device, threads=threads)
    finder = region.object_source or where.open_object_source(device=device, threads=threads)
    done, failed = [], 0
    for source in find_inputs(photos, recursive=recursive).files:
        try:
            one = detect(source.path, finder, region)
            if masks is not None:
                write_masks(one, masks, overwrite=overwrite)
        except BurnishError as error:
            print(f"burnish: {error}", file=sys.stderr)
            failed += 1
            continue
        done.append(one if coco or output else None)
        records = one.records()
        if not records:
            print(f"burnish: warning: {source.path}: no object is found", file=sys.stderr)
        for record in records:
            if json_output:
                typer.echo(json.dumps(record))
            else:
                typer.echo(_format_row(record, several=len(photos) > 1 or photos[0].is_dir()))
    kept = [one for one in done if one is not None]
    if coco is not None:
        write_coco(kept, coco, overwrite=overwrite)
    if output is not None and kept:
        write_annotated(kept[0], output, overwrite=overwrite)
    if failed:
        raise typer.Exit(BurnishError.exit_code)


def _check_options(
    photos: list[Path], output: Path | None, coco: Path | None, where: RegionOptions
) -> None:
    several = len(photos) > 1 or any(photo.is_dir() for photo in photos)
    got = {
        "--mask": where.mask is not None,
        "--invert or --except": where.invert or bool(where.excepted),
    }
    if any(got.values()):
        raise UsageError(
            "regions list",
            expected="a choice of objects",
            got=next(option for option, is_so in got.items() if is_so),
            remedy="leave it out: it tells where an edit shows",
        )
    if output is not None and several:
        raise UsageError(
            f"-o {output}",
            expected="one photo to draw on",
            got="several",
            remedy="draw them one by one",
        )
    if output is not None and coco is not None and output.resolve() == coco.resolve():
        raise UsageError(
            f"-o {output}", expected="another file than --coco", got="the same", remedy="name two"
        )


def _format_row(record: dict[str, object], *, several: bool) -> str:
    box = ",".join(map(str, record["box"]))  # type: ignore[call-overload]
    line = (
        f"{record['number']:>4}  {record['class']:<16}{record['score']:>6.2f}"
        f"{record['area']:>8.2f} %  {box}"
    )
    return f"{record['photo']}{line}" if several else line


def register(group: typer.Typer) -> None:
    """Enter the command into a group."""
    group.command("list")(list_regions)
