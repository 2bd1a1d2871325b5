"""`burnish apply`: run a network or a reference operator over photos, videos and folders."""

from typing import Annotated

import typer

from burnish.cli.batch import BatchOptions, MaskOutput, SaveMask
from burnish.cli.operator_options import OperatorCommand, operator_params
from burnish.cli.options import Device, Engine, OperatorOrModel, Photos, Threads, expand
from burnish.regions.options import RegionOptions
from burnish.runtime.engines import DEFAULT_ENGINE

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=OperatorCommand)
@expand
def apply(
    context: typer.Context,
    operator: OperatorOrModel,
    photos: Photos,
    slow: Annotated[
        bool, typer.Option("--slow", help="Run the reference operator instead of a network.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    *,
    batch: BatchOptions,
    region: RegionOptions,
    save_mask: SaveMask = None,
) -> None:
    """Apply an operator to photos and videos.

    Metadata, colour profile and bit depth are kept; a warning names anything that cannot be.

    `burnish apply OPERATOR --help` also lists the parameters of that operator.
    """
    from burnish.cli.batch import collect_paths, run
    from burnish.editing.edit import load_edit

    params = operator_params(context)
    edit = load_edit(operator, params, slow=slow, device=device, threads=threads, engine=engine)
    if region != RegionOptions() or save_mask is not None:
        from burnish.editing.masked import MaskedEdit
        from burnish.regions.region import open_region

        masks = MaskOutput(save_mask, photos, batch)
        edit = MaskedEdit(
            edit, open_region(region, device=device, threads=threads), masks.mask_writer()
        )
    run(edit, photos, batch, collect_paths(operator, params, region, save_mask))
