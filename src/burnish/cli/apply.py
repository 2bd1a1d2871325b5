"""`burnish apply`: a network, or the slow operator itself, over photos, films and folders."""

from typing import Annotated

import typer

from burnish.cli.batch_options import BatchOptions, with_batch_options
from burnish.cli.options import (
    Device,
    Engine,
    Photos,
    Threads,
    complete_operator,
    with_operator_params,
)
from burnish.cli.region_options import Keeping, SaveMask, with_region_options
from burnish.params import Value
from burnish.regions.options import RegionWish
from burnish.runtime.engines import DEFAULT_ENGINE


@with_batch_options
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
    slow: Annotated[
        bool, typer.Option("--slow", help="Run the slow operator itself, also one of your own.")
    ] = False,
    *,
    batch: BatchOptions,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    save_mask: SaveMask = None,
    params: dict[str, Value],
    where: RegionWish,
) -> None:
    """Apply an operator to photos and films. All that is in the files is kept, or it is said."""
    from burnish.cli.batch import files_named, run
    from burnish.editing.edit import choose

    edit = choose(operator, params, slow=slow, device=device, threads=threads, engine=engine)
    if where != RegionWish() or save_mask is not None:
        from burnish.editing.masked import within

        keeping = Keeping(save_mask, photos, batch)
        edit = within(edit, where.region(device=device, threads=threads), keeping.keeper())
    run(edit, photos, batch, files_named(operator, params, where, save_mask))
