"""`burnish apply` and `burnish replay`: edit photos, videos and folders."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from burnish.cli.batch import BatchOptions, SaveMask, collect_paths, mask_writer, run
from burnish.cli.operator_options import (
    PANEL,
    NetworkCommand,
    OperatorCommand,
    ParamText,
    network_texts,
    operator_params,
    recorded_text,
)
from burnish.cli.options import (
    Device,
    Engine,
    Guide,
    Operators,
    Photos,
    Precision,
    Strength,
    Threads,
    expand,
    param_help,
)
from burnish.editing.operator_names import (
    SEPARATOR,
    find_params,
    labelled_params,
    split_operators,
)
from burnish.errors import UsageError
from burnish.operators.registry import OPERATORS
from burnish.params import STRENGTH, AnyParam
from burnish.regions.options import RegionOptions
from burnish.runtime.engines import AUTO

if TYPE_CHECKING:
    from burnish.editing.edit import Edit
    from burnish.editing.history import EditRecord
    from burnish.editing.region_edit import MaskWriter

app = typer.Typer(rich_markup_mode=None)


class ApplyCommand(NetworkCommand):
    """A command that takes several operators. A parameter may begin with the operator's name."""

    def find_specs(self, values: dict[str, Any]) -> list[str]:
        """Return the operators, which are separated by commas."""
        names = [name for text in super().find_specs(values) for name in text.split(SEPARATOR)]
        return list(filter(None, map(str.strip, names)))

    def all_params(self, specs: Sequence[str]) -> dict[str, AnyParam]:
        """Return the parameters, each with and without the name of its operator."""
        labelled = {param.name: param for spec in specs for param in labelled_params(spec)}
        return super().all_params(specs) | labelled

    def all_texts(self, specs: Sequence[str], *, slow: bool) -> dict[str, ParamText | None]:
        """Return the help texts: with the operator's name if several have the parameter."""
        owners = Counter(param.name for spec in set(specs) for param in self.find_params(spec))
        texts: dict[str, ParamText | None] = {}
        for spec in specs:
            own = self.param_texts(spec, slow=slow)
            for param, labelled in zip(self.find_params(spec), labelled_params(spec), strict=True):
                text = own.get(param.name) or ParamText(PANEL, param_help(param))
                shared = owners[param.name] > 1
                texts[param.name] = None if shared else text
                texts[labelled.name] = text if shared else None
        return texts


@app.command(cls=ApplyCommand)
@expand
def apply(
    context: typer.Context,
    operator: Operators,
    photos: Photos,
    strength: Strength = None,
    slow: Annotated[
        bool, Option("--slow", help="Run the operator itself instead of its network.")
    ] = False,
    guide: Guide = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = AUTO,
    precision: Precision = AUTO,
    *,
    batch: BatchOptions,
    region: RegionOptions,
    save_mask: SaveMask = None,
) -> None:
    """Apply an operator, or several in order, to photos and videos.

    Metadata, colour profile and bit depth are kept; a warning names those that are lost.

    `burnish apply OPERATOR --help` also lists the parameters that the network of that operator
    accepts, and with --slow those of the operator itself. If several of the operators have a
    parameter, the option names the operator, too: --tv-l1.lambda.
    """
    params = operator_params(context)
    _check_photos(operator, photos)
    has_region = region != RegionOptions() or save_mask is not None
    if has_region:
        from burnish.cli.regions import check_videos, print_detector

        check_videos(photos, region, save_mask)
        if region.selects_objects:
            print_detector(region, quiet=batch.quiet)
    load = partial(
        _load_edit,
        operator=operator,
        params=params,
        region=region if has_region else None,
        masks=mask_writer(save_mask, photos, batch),
        strength=strength,
        device=device,
        slow=slow,
        guide=guide,
        engine=engine,
        precision=precision,
        quality=batch.qualities.network,
    )
    paths = collect_paths(split_operators(operator), params, region, save_mask)
    run(load, photos, batch, threads, paths, has_network=True)


def _load_edit(
    threads: int | None,
    *,
    operator: str,
    params: dict[str, Any],
    region: RegionOptions | None,
    masks: "MaskWriter | None",
    strength: float | None,
    device: str,
    **options: Any,
) -> "Edit":
    """Return the edit of `burnish apply`; `options` are further arguments of `load_edits`."""
    from burnish.editing.combined_edit import load_edits, mix

    edit = load_edits(operator, params, device=device, threads=threads, **options)
    if region is not None:
        from burnish.editing.region_edit import MaskedEdit
        from burnish.regions.region import open_region

        opened_region = open_region(region, device=device, threads=threads)
        edit = MaskedEdit(edit, opened_region, masks)
    return edit if strength is None else mix(edit, strength)


def _check_photos(operator: str, photos: list[Path]) -> None:
    """Raise a UsageError for a photo that is the name of a further operator, and no file."""
    if not all(name in OPERATORS for name in operator.split(SEPARATOR)):
        return  # the operator is reported
    for photo in photos:
        if str(photo) in OPERATORS and not photo.exists():
            remedy = f"separate operators by commas: {operator}{SEPARATOR}{photo}"
            raise UsageError(str(photo), "this is an operator, not a photo", remedy)


class ReplayCommand(OperatorCommand):
    """A command that takes the parameters of all operators in the history of a file."""

    operator_arguments = ("edited",)

    def find_params(self, spec: str) -> Sequence[AnyParam]:
        """Return the parameters of the operators that a file was edited with."""
        from burnish.editing.history import read_history
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
    strength: Annotated[
        float | None,
        Option(
            min=STRENGTH.low,
            max=STRENGTH.high,
            metavar="NUMBER",
            help="Strength to use instead of the recorded one, 0 to 1.",
        ),
    ] = None,
    guide: Annotated[
        str | None,
        Option(metavar="operator or network", help="Guide to use instead of the recorded one."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    engine: Engine = AUTO,
    precision: Annotated[
        str | None,
        Option(metavar="NAME", help="Precision to use instead of the recorded one."),
    ] = None,
    *,
    batch: BatchOptions,
) -> None:
    """Repeat the edits of one photo or video on others.

    EDITED names the operators, their order, parameters and networks. A parameter given here
    replaces its recorded value; `burnish replay EDITED --help` lists them.
    """
    from burnish.editing.history import read_history

    params = operator_params(context)
    load = partial(
        _load_replay,
        history=read_history(edited),
        params=params,
        region=RegionOptions(detector=detector, objects=objects),
        device=device,
        models=model or (),
        mask=mask,
        strength=strength,
        guide=guide,
        engine=engine,
        precision=precision,
        quality=batch.qualities.network,
    )
    paths = collect_paths(edited, model, params, detector, objects, mask)
    run(load, photos, batch, threads, paths, has_network=True)


def _load_replay(
    threads: int | None,
    *,
    history: "Sequence[EditRecord]",
    params: dict[str, Any],
    region: RegionOptions,
    device: str,
    **options: Any,
) -> "Edit":
    """Return the edit of `burnish replay`; `options` are further arguments of `replay`."""
    from burnish.editing.replay import replay as load_replay

    source = None
    if region.selects_objects:
        from burnish.regions.objects import open_object_source

        source = open_object_source(region, device=device, threads=threads)
    return load_replay(
        history, params, object_source=source, device=device, threads=threads, **options
    )
