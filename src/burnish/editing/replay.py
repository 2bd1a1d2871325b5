"""Replay of the edits that are recorded in a photo's or video's history."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from burnish.editing.combined_edit import ChainedEdit, chain, mix
from burnish.editing.edit import Edit, load_edit
from burnish.editing.history import EditRecord
from burnish.editing.region_edit import MaskedEdit, edit_region
from burnish.editing.region_record import restore_region
from burnish.errors import ModelError, PrecisionError, UsageError, read_error, warn
from burnish.files import digest
from burnish.modelfile.card import CardParam
from burnish.modelfile.reader import read_card, read_model
from burnish.operators.registry import OPERATORS
from burnish.params import STRENGTH, AnyParam, FileParam, Value
from burnish.regions.objects import ObjectSource
from burnish.regions.region import Region
from burnish.regions.registry import EDITS, RegionEdit
from burnish.runtime import model_registry
from burnish.runtime.engines import AUTO

# A region edit, an operator's name, or the path of a network.
Target = RegionEdit | str | Path


def replay(
    history: Sequence[EditRecord],
    params: Mapping[str, Value] | None = None,
    *,
    models: Sequence[Path] = (),
    object_source: ObjectSource | None = None,
    mask: Path | None = None,
    strength: Value = None,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = AUTO,
    precision: str | None = None,
    quality: str | None = None,
) -> Edit:
    """Return the edit that applies all steps of a history in order.

    Parameters
    ----------
    params : values that override recorded ones, in every step that has the parameter. Parameters
        that are files must be given, because a history holds only the names of files
    models : files of networks that are not bundled, identified by their SHA-256
    object_source, mask : source of the objects and mask to use instead of the recorded ones
    strength : the strength to use instead of the recorded ones
    guide : the guide to use instead of the recorded ones, in every step with a guided network
    precision : the precision to use instead of the recorded ones
    quality : the quality to use instead of the recorded ones, in every step with a network that has
        several

    Raises
    ------
    UsageError : a step used a user-defined operator, or a file that is not given; or there is no
        guided network for `guide`
    ModelError : a network is not available
    DeviceError, MissingLibraryError : as in `load_edit`

    Warns
    -----
    UserWarning : a network's version differs from the recorded one, or its precision is not
        available here
    """
    overrides = {name: value for name, value in (params or {}).items() if value is not None}
    files: dict[str, Path] = {}
    for model in models:
        try:
            files[digest(model)] = model
        except OSError as error:
            raise read_error(f"--model {model}", error, ModelError) from error
    targets = [_target(step, files) for step in history]
    history = [_without_paths(step, target) for step, target in zip(history, targets, strict=True)]
    if strength is not None:
        share = STRENGTH.check(strength)
        history = [step.model_copy(update={"strength": share}) for step in history]
    _check_overrides(history, object_source=object_source, mask=mask)
    guides = [_guide(step, target, guide) for step, target in zip(history, targets, strict=True)]
    if guide is not None and not any(guides):
        raise UsageError("guide", "no edit in the history takes a guide", "leave it out")
    if quality is not None and not any(step.quality for step in history):
        raise UsageError("quality", "no network in the history has several", "leave it out")
    values = _distribute_values(overrides, history, targets)
    load = partial(load_edit, device=device, threads=threads, engine=engine)
    edits: list[Edit] = []
    for step, target, step_values, step_guide in zip(history, targets, values, guides, strict=True):
        for name, file in step.files.items():
            if name not in overrides:
                problem = f"{step.operator} used {file}, and a history holds only its name"
                raise UsageError(f"--{name}", problem, "give the file")
        step_params = {**step.params, **step_values}
        with _named_step(step):
            if isinstance(target, RegionEdit):
                region = _region(step, object_source, mask)
                edits.append(edit_region(target, step_params, region, strength=step.strength))
            else:
                options = {"slow": step.slow, "guide": step_guide}
                options["quality"] = _quality(step, quality)
                edits.append(_load(step, load, target, step_params, precision, options))
    joint_edits = [
        edits[first]
        if isinstance(targets[first], RegionEdit)
        else _joint_edit(edits[first:end], history[first], object_source, mask)
        for first, end in _joint_steps(history, targets)
    ]
    return joint_edits[0] if len(joint_edits) == 1 else ChainedEdit(joint_edits)


def _load(
    step: EditRecord,
    load: Callable[..., Edit],
    target: Target,
    params: Mapping[str, Value],
    precision: str | None,
    options: Mapping[str, Any],
) -> Edit:
    """Load the operator of a step, in the precision that is wanted or recorded."""
    try:
        return load(target, params, precision=precision or step.precision or AUTO, **options)
    except PrecisionError as error:
        if precision is not None:
            raise
        warn(f"{step.operator} ran in {step.precision} before, and runs in fp32 now: {error}")
        return load(target, params, precision="fp32", **options)


@contextmanager
def _named_step(step: EditRecord) -> Iterator[None]:
    """Add the step's operator to the message of a UsageError."""
    try:
        yield
    except UsageError as error:
        if error.where == step.operator:
            raise
        raise error.with_context(f"{step.operator}: {error.where}") from error


def _joint_steps(
    history: Sequence[EditRecord], targets: Sequence[Target]
) -> Iterator[tuple[int, int]]:
    """Yield the first step and the end of each part of the history that was one edit."""
    first = 0
    for index in range(1, len(history) + 1):
        joint = index < len(history) and history[index].continues
        # A region edit has a mask of its own.
        if joint and not any(isinstance(t, RegionEdit) for t in targets[first : index + 1]):
            continue
        yield first, index
        first = index


def _joint_edit(
    edits: Sequence[Edit], step: EditRecord, object_source: ObjectSource | None, mask: Path | None
) -> Edit:
    """Return one edit of several, with the region and the strength that a step records."""
    edit = chain(edits)
    if step.region is not None:
        with _named_step(step):
            edit = MaskedEdit(edit, _region(step, object_source, mask))
    return mix(edit, step.strength)


def _region(step: EditRecord, object_source: ObjectSource | None, mask: Path | None) -> Region:
    if step.region is None:
        return Region()
    return restore_region(step.region, object_source=object_source, mask=mask)


def _target(step: EditRecord, files: Mapping[str, Path]) -> Target:
    """Return the region edit, the operator's name or the network's file that a step names."""
    if step.region and step.operator in EDITS and step.model is None and not step.slow:
        return EDITS[step.operator]
    if not step.slow:
        return _find_model(step, files)
    if step.operator not in OPERATORS:
        problem = "a history holds only the name of a user-defined operator"
        remedy = "run the operator: burnish apply --slow python:FILE:FUNCTION PHOTO"
        raise UsageError(step.operator, problem, remedy)
    return step.operator


def _find_model(step: EditRecord, files: Mapping[str, Path]) -> Path:
    if (file := files.get(step.model or "")) is not None:
        return file
    # Histories may come from strangers. A name is looked up, and never opened as a path.
    if step.operator not in model_registry.model_names():
        problem = "this network is not bundled"
        raise ModelError(step.operator, problem, "give its file with --model")
    model = model_registry.find_model(step.operator)
    if digest(model) != step.model:
        warn(
            f"the network {step.operator} differs from the one that was used "
            f"(burnish {step.version}); the output may differ"
        )
    return model


def _without_paths(step: EditRecord, target: Target) -> EditRecord:
    """Return a step with paths among its parameters replaced by file names."""
    params = [] if isinstance(target, Path) else _params(target)
    names = {p.name for p in params if isinstance(p, FileParam)} & step.params.keys()
    return step.model_copy(
        update={
            "params": {k: v for k, v in step.params.items() if k not in names},
            "files": step.files | {name: Path(str(step.params[name])).name for name in names},
        }
    )


def _check_overrides(
    history: Sequence[EditRecord], *, object_source: ObjectSource | None, mask: Path | None
) -> None:
    """Check that a region of the history uses a mask or a detector that is given."""
    regions = [step.region for step in history if step.region is not None]
    if mask is not None and not any(region.mask for region in regions):
        raise UsageError("--mask", "no edit in the history used a mask", "leave it out")
    if object_source is not None and not any(r.detector or r.objects for r in regions):
        problem = "no edit in the history used a detector"
        raise UsageError("--detector or --objects", problem, "leave it out")


def _guide(step: EditRecord, target: Target, wanted: str | None) -> str | None:
    """Return the guide of a guided network: the wanted one, or the recorded one."""
    guide = wanted or step.guide
    if guide is None or not isinstance(target, Path) or read_card(target).guide is None:
        return None
    return guide


def _quality(step: EditRecord, wanted: str | None) -> str | None:
    """Return the quality of a network with several: the wanted one, or the recorded one."""
    return wanted if wanted is not None and step.quality is not None else step.quality


def _distribute_values(
    overrides: Mapping[str, Value], history: Sequence[EditRecord], targets: Sequence[Target]
) -> list[dict[str, Value]]:
    """Assign each value to the steps that have that parameter, or to all if none has it.

    A step rejects the values that it does not have.
    """
    if not overrides or len(history) == 1:  # avoids reading the networks
        return [dict(overrides) for _ in history]
    names = [
        {param.name for param in _params(target)} | step.files.keys()
        for step, target in zip(history, targets, strict=True)
    ]
    known_names = set().union(*names)
    return [
        {k: v for k, v in overrides.items() if k in step_names or k not in known_names}
        for step_names in names
    ]


def _params(target: Target) -> Sequence[CardParam | AnyParam]:
    """Return the parameters that can be changed."""
    if isinstance(target, Path):
        return read_model(target).card.sliders
    return target.params if isinstance(target, RegionEdit) else OPERATORS[target].params
