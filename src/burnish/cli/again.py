"""`burnish again`: what was done to one photo, done to others."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import (
    Crf,
    Depth,
    Device,
    DryRun,
    Engine,
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
    with_operator_params,
)
from burnish.editing.names import DEFAULT_NAME
from burnish.params import Value
from burnish.regions.wish import RegionWish
from burnish.runtime.engines import DEFAULT_ENGINE


@with_operator_params
def again(
    made: Annotated[
        Path, typer.Argument(help="A photo or film that burnish made, and that says how.")
    ],
    photos: Photos,
    output: Output = None,
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", help="The file of a network that does not come with burnish."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="The file of a detector that does not come with burnish."),
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="The file of objects that a region was taken from.")
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(help="The mask, or folder of masks, of a region.")
    ] = None,
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
    engine: Engine = DEFAULT_ENGINE,
    json_output: JsonOutput = False,
    quiet: Quiet = False,
    *,
    params: dict[str, Value],
) -> None:
    """Do to photos and films what was done to the first: operators, values, networks, order."""
    from burnish.cli.batch import files_named, run
    from burnish.editing.again import again as repeat
    from burnish.editing.again import how_made
    from burnish.editing.plan import Wish
    from burnish.editing.video.formats import Coding

    finding = RegionWish(detector=detector, objects=objects)
    edit = repeat(
        how_made(made),
        params,
        models=model or (),
        finder=finding.finder(device=device, threads=threads) if finding.of_objects else None,
        mask=mask,
        device=device,
        threads=threads,
        engine=engine,
    )
    wish = Wish(
        output=output,
        name=name,
        format=format,
        recursive=recursive,
        overwrite=overwrite,
        skip_existing=skip_existing,
        quality=quality,
        depth=depth,
        coding=Coding(codec, crf),
        beside=files_named(made, model, params, detector, objects, mask),
    )
    run(
        edit,
        photos,
        wish,
        dry_run=dry_run,
        json_output=json_output,
        quiet=quiet,
    )
