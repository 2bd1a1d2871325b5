"""`burnish again`: what was done to one photo, done to others."""

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.batch_options import BatchOptions, with_batch_options
from burnish.cli.options import Device, Engine, Photos, Threads, with_operator_params
from burnish.params import Value
from burnish.regions.options import RegionOptions
from burnish.runtime.engines import DEFAULT_ENGINE


@with_batch_options
@with_operator_params
def again(
    made: Annotated[
        Path, typer.Argument(help="A photo or film that burnish made, and that says how.")
    ],
    photos: Photos,
    batch: BatchOptions,
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
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    *,
    params: dict[str, Value],
) -> None:
    """Do to photos and films what was done to the first: operators, values, networks, order."""
    from burnish.cli.batch import collect_paths, run
    from burnish.editing.history import read_history
    from burnish.editing.replay import replay as repeat

    finding = RegionOptions(detector=detector, objects=objects)
    edit = repeat(
        read_history(made),
        params,
        models=model or (),
        finder=finding.open_object_source(device=device, threads=threads)
        if finding.selects_objects
        else None,
        mask=mask,
        device=device,
        threads=threads,
        engine=engine,
    )
    run(edit, photos, batch, collect_paths(made, model, params, detector, objects, mask))
