"""`burnish apply` and `burnish replay`: edit photos, videos and folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from burnish.cli.batch import BatchOptions, SaveMask, collect_paths, mask_writer, run
from burnish.cli.operator_options import (
    NetworkCommand,
    OperatorCommand,
    ParamText,
    find_params,
    network_texts,
    operator_params,
    recorded_text,
)
from burnish.cli.options import Device, Engine, Guide, OperatorOrModel, Photos, Threads, expand
from burnish.errors import UsageError
from burnish.params import AnyParam
from burnish.regions.options import RegionOptions
from burnish.runtime.engines import DEFAULT_ENGINE

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=NetworkCommand)
@expand
def apply(
    context: typer.Context,
    operator: OperatorOrModel,
    photos: Photos,
    slow: Annotated[
        bool, Option("--slow", help="Run the operator itself instead of its network.")
    ] = False,
    guide: Guide = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    *,
    batch: BatchOptions,
    region: RegionOptions,
    save_mask: SaveMask = None,
) -> None:
    """Apply an operator to photos and videos.

    Metadata, colour profile and bit depth are kept; a warning names those that are lost.

    `burnish apply OPERATOR --help` also lists the parameters that the network of that operator
    accepts, and with --slow those of the operator itself.
    """
    from burnish.editing.edit import load_edit

    params = operator_params(context)
    edit = load_edit(
        operator,
        params,
        slow=slow,
        guide=guide,
        device=device,
        threads=threads,
        engine=engine,
    )
    if region != RegionOptions() or save_mask is not None:
        from burnish.editing.region_edit import MaskedEdit
        from burnish.regions.region import open_region

        opened_region = open_region(region, device=device, threads=threads)
        edit = MaskedEdit(edit, opened_region, mask_writer(save_mask, photos, batch))
    run(edit, photos, batch, collect_paths(operator, params, region, save_mask))


class ReplayCommand(OperatorCommand):
    """A command that takes the parameters of all operators in the history of a file."""

    operator_arguments = ("edited",)

    def find_params(self, spec: str) -> Sequence[AnyParam]:
        """Return the parameters of the operators that a file was edited with."""
        from burnish.editing.history import read_history
        from burnish.operators.registry import OPERATORS
        from burnish.regions.registry import EDITS
        from burnish.runtime.model_registry import model_names

        params: list[AnyParam] = []
        for name in (record.operator for record in read_history(Path(spec))):
            if name in EDITS:
                params += EDITS[name].params
            elif name in OPERATORS or name in model_names():
                params += find_params(name)
            else:  # never opened as a path: the file may come from a stranger
                raise UsageError(name, "is not an operator of burnish", "name its model file")
        return params

    def param_texts(self, spec: str, *, slow: bool) -> dict[str, ParamText]:
        """Return the help of the parameters, with the recorded values as defaults."""
        from burnish.editing.history import read_history
        from burnish.regions.registry import EDITS

        texts: dict[str, ParamText] = {}
        for record in read_history(Path(spec)):
            if record.model is not None:
                texts |= network_texts(record.operator, record.params)
                continue
            recorded = {**record.files, **record.params}
            params = EDITS[record.operator].params if record.operator in EDITS else ()
            for param in params or find_params(record.operator):
                if param.name in recorded:
                    texts[param.name] = recorded_text(param, recorded[param.name])
        return texts

    def check_spec(self, spec: str) -> None:
        """Accept any argument: the command reports a file without a history."""


@app.command(cls=ReplayCommand)
@expand
def replay(
    context: typer.Context,
    edited: Annotated[Path, Argument(help="A photo or video that burnish edited.")],
    photos: Photos,
    model: Annotated[
        list[Path] | None,
        Option(help="Network that is not bundled; may be repeated.", metavar="FILE"),
    ] = None,
    detector: Annotated[
        str | None, Option(help="Detector that is not bundled.", metavar="FILE")
    ] = None,
    objects: Annotated[
        Path | None,
        Option(help="COCO JSON file with the objects that the recorded region selects from."),
    ] = None,
    mask: Annotated[
        Path | None, Option(metavar="FILE or FOLDER", help="The mask of the recorded region.")
    ] = None,
    guide: Annotated[
        str | None,
        Option(metavar="operator or network", help="Guide to use instead of the recorded one."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = DEFAULT_ENGINE,
    *,
    batch: BatchOptions,
) -> None:
    """Repeat the edits of one photo or video on others.

    EDITED names the operators, their order, parameters and networks. A parameter given here
    replaces its recorded value; `burnish replay EDITED --help` lists them.
    """
    from burnish.editing.history import read_history
    from burnish.editing.replay import replay as load_replay

    params = operator_params(context)
    options = RegionOptions(detector=detector, objects=objects)
    source = None
    if options.selects_objects:
        from burnish.regions.objects import open_object_source

        source = open_object_source(options, device=device, threads=threads)
    edit = load_replay(
        read_history(edited),
        params,
        models=model or (),
        object_source=source,
        mask=mask,
        guide=guide,
        device=device,
        threads=threads,
        engine=engine,
    )
    run(edit, photos, batch, collect_paths(edited, model, params, detector, objects, mask))
