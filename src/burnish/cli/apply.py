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
from burnish.cli.region_options import MaskOutput, SaveMask, with_region_options
from burnish.params import Value
from burnish.regions.options import RegionOptions
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
    where: RegionOptions,
) -> None:
    """Apply an operator to photos and films. All that is in the files is kept, or it is said."""
    from burnish.cli.batch import collect_paths, run
    from burnish.editing.edit import load_edit

    edit = load_edit(operator, params, slow=slow, device=device, threads=threads, engine=engine)
    if where != RegionOptions() or save_mask is not None:
        from burnish.editing.masked import masked_edit

        keeping = MaskOutput(save_mask, photos, batch)
        edit = masked_edit(
            edit, where.to_region(device=device, threads=threads), keeping.mask_writer()
        )
    run(edit, photos, batch, collect_paths(operator, params, where, save_mask))
