"""`burnish apply`: a network, or the slow operator itself, over photos, films and folders."""

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
    complete_operator,
    with_operator_params,
)
from burnish.cli.region_options import Keeping, SaveMask, with_region_options
from burnish.editing.names import DEFAULT_NAME
from burnish.params import Value
from burnish.regions.wish import RegionWish
from burnish.runtime.engines import DEFAULT_ENGINE


@with_region_options
@with_operator_params
def apply(
    operator: Annotated[
        str,
        typer.Argument(
            help="An operator's name, or a model file (.onnx).", autocompletion=complete_operator
        ),
    ],
    photos: Photos,
    output: Output = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="Run the slow operator itself, also one of your own.")
    ] = False,
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
    save_mask: SaveMask = None,
    *,
    params: dict[str, Value],
    where: RegionWish,
) -> None:
    """Apply an operator to photos and films. All that is in the files is kept, or it is said."""
    from burnish.cli.batch import files_named, run
    from burnish.editing.edit import choose
    from burnish.editing.plan import Wish
    from burnish.editing.video.formats import Coding

    edit = choose(operator, params, slow=slow, device=device, threads=threads, engine=engine)
    if where != RegionWish() or save_mask is not None:
        from burnish.editing.regional import within

        keeping = Keeping(save_mask, photos, overwrite, dry_run)
        edit = within(edit, where.region(device=device, threads=threads), keeping.keeper())
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
        beside=files_named(operator, params, where, save_mask),
    )
    run(
        edit,
        photos,
        wish,
        dry_run=dry_run,
        json_output=json_output,
        quiet=quiet,
    )
