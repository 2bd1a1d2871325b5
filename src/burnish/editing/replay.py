"""Again: the edit that a photo or film was made by, taken from what it says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from burnish.editing.edit import Edit, FrameEdit, Progress, SampleFrames, load_edit
from burnish.editing.history import EditRecord
from burnish.editing.masked import masked_edit
from burnish.editing.region_edit import region_edit
from burnish.editing.region_record import restore_region
from burnish.errors import ModelError, UsageError, warn
from burnish.files import digest
from burnish.modelfile.reader import read_model
from burnish.operators.registry import OPERATORS
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.edits.table import EDITS
from burnish.regions.region import ObjectSource, Region
from burnish.runtime import model_registry as shelf
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.types import Pixels


def replay(
    history: Sequence[EditRecord],
    params: Mapping[str, Value] | None = None,
    *,
    models: Sequence[Path] = (),
    finder: ObjectSource | None = None,
    mask: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Edit:
    """Return the edit that does all of `history`, in order.

    Parameters
    ----------
    params : values to take in place of those that were recorded, in every step that can be turned
        by them, and the files of parameters that are files, of which a photo keeps only the names
    models : files of networks that do not come with burnish, told by their SHA-256
    finder, mask : what finds the objects of regions, and their mask, where they did not come with
        burnish

    Raises
    ------
    UsageError : an operator of the user's own, or a file that has to be named anew
    ModelError : a network that is not there
    DeviceError, MissingLibraryError : see `choose`

    Warns
    -----
    UserWarning : a network is there in another version than the photo was made with
    """
    overrides = {name: value for name, value in (params or {}).items() if value is not None}
    files = {_model_digest(file): file for file in models}
    targets = [_target(step, files) for step in history]
    history = [_resolved(step, target) for step, target in zip(history, targets, strict=True)]
    _check_overrides(history, finder=finder, mask=mask)
    edits = []
    for step, what, step_overrides in zip(
        history, targets, _distribute_values(overrides, history, targets), strict=True
    ):
        for name, file in step.files.items():
            if name not in overrides:
                raise UsageError(
                    f"--{name}",
                    expected=f"the file {file} that {step.operator} was given",
                    got="none",
                    remedy="name it: a photo keeps no more than its name",
                )
        values = {**step.params, **step_overrides}
        region = (
            restore_region(step.region, object_source=finder, mask=mask)
            if step.region
            else Region()
        )
        try:
            if isinstance(what, RegionEdit):
                edits.append(region_edit(what, values, region))
                continue
            edit = load_edit(
                what, values, slow=step.slow, device=device, threads=threads, engine=engine
            )
        except UsageError as error:
            if error.where == step.operator:
                raise
            raise error.with_context(f"{step.operator}: {error.where}") from error
        edits.append(masked_edit(edit, region) if step.region else edit)
    return edits[0] if len(edits) == 1 else _chain(edits)


def _target(step: EditRecord, files: Mapping[str, Path]) -> RegionEdit | str | Path:
    """Return what made a step: an edit of a region, an operator's name, or a network's file."""
    if step.region and step.operator in EDITS and step.model is None and not step.slow:
        return EDITS[step.operator]
    return _bundled_operator(step) if step.slow else _find_step_model(step, files)


def _model_digest(model: Path) -> str:
    try:
        return digest(model)
    except OSError as error:
        raise ModelError(
            f"--model {model}",
            expected="a file",
            got=(error.strerror or str(error)).lower(),
            remedy="check the path",
        ) from error


def _resolved(step: EditRecord, target: RegionEdit | str | Path) -> EditRecord:
    """Return a step that keeps no more than the names of files, whatever its photo says."""
    if isinstance(target, Path):
        return step
    params = target.params if isinstance(target, RegionEdit) else OPERATORS[target].params
    file_params = {p.name for p in params if isinstance(p, FileParam)} & step.params.keys()
    return step.model_copy(
        update={
            "params": {k: v for k, v in step.params.items() if k not in file_params},
            "files": step.files | {name: Path(str(step.params[name])).name for name in file_params},
        }
    )


def _check_overrides(
    history: Sequence[EditRecord], *, finder: ObjectSource | None, mask: Path | None
) -> None:
    """See that a mask or a finder that is given takes the place of one."""
    regions = [step.region for step in history if step.region is not None]
    if mask is not None and not any(where.mask for where in regions):
        raise _unused_option("--mask", "a mask")
    if finder is not None and not any(where.detector for where in regions):
        raise _unused_option("--detector or --objects", "a detector")


def _unused_option(option: str, source: str) -> UsageError:
    return UsageError(
        option,
        expected=f"an edit that was made with {source}",
        got="none",
        remedy="leave it out",
    )


def _distribute_values(
    overrides: Mapping[str, Value],
    history: Sequence[EditRecord],
    targets: Sequence[RegionEdit | str | Path],
) -> list[dict[str, Value]]:
    """Deal values out to the steps that they turn; what turns none goes to all, to be refused."""
    if not overrides or len(history) == 1:  # networks need not be read for it
        return [dict(overrides) for _ in history]
    param_names = [
        _param_names(target) | {*step.files} for step, target in zip(history, targets, strict=True)
    ]
    known = set().union(*param_names)
    return [
        {k: v for k, v in overrides.items() if k in names or k not in known}
        for names in param_names
    ]


def _param_names(target: RegionEdit | str | Path) -> set[str]:
    """Return the names of what can be turned."""
    if isinstance(target, Path):
        return {param.name for param in read_model(target).card.sliders}
    params = target.params if isinstance(target, RegionEdit) else OPERATORS[target].params
    return {param.name for param in params}


def _bundled_operator(step: EditRecord) -> str:
    if step.operator not in OPERATORS:
        raise UsageError(
            step.operator,
            expected="an operator of burnish's",
            got="one of your own, of which a photo keeps no more than the name",
            remedy="name it: burnish apply --slow python:FILE:FUNCTION PHOTO",
        )
    return step.operator


def _find_step_model(step: EditRecord, files: Mapping[str, Path]) -> Path:
    if (file := files.get(step.model or "")) is not None:
        return file
    # A photo may be a stranger's: what it names is looked up, never opened as a path.
    if step.operator not in shelf.model_names():
        raise ModelError(
            step.operator,
            expected="a network that comes with burnish",
            got="another",
            remedy="name its file with --model",
        )
    model = shelf.find_model(step.operator)
    if digest(model) != step.model:
        warn(
            f"the network {step.operator} is another version than the photo was made with "
            f"(burnish {step.version}); the result may differ"
        )
    return model


def _chain(edits: Sequence[Edit]) -> Edit:
    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        for number, edit in enumerate(edits):

            def report(fraction: float, number: int = number) -> None:
                if progress is not None:
                    progress((number + fraction) / len(edits))

            pixels = edit.run(pixels, report)
        return pixels

    def change(photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        for edit in edits:
            photo = edit.edit_photo(photo, source, progress)
        return photo

    return Edit(
        ".".join(edit.name for edit in edits),
        run,
        edits[0].device,
        tuple(step for edit in edits for step in edit.history),
        # In parts only if all of them are.
        tiled_stages=tuple(over for edit in edits for over in edit.tiled_stages)
        if all(edit.tiled_stages for edit in edits)
        else (),
        prepare_video=lambda samples: _chain_frames(edits, samples),
        stateful=any(edit.stateful for edit in edits),
        fingerprint=lambda: "\n".join(edit.fingerprint() for edit in edits),
        apply_to_photo=change if any(edit.apply_to_photo for edit in edits) else None,
    )


def _chain_frames(edits: Sequence[Edit], samples: SampleFrames) -> FrameEdit:
    """Make the functions for a film's frames; an edit's samples have gone through those before."""
    runs: list[FrameEdit] = []

    def run_all(pixels: Pixels, number: int, seconds: float) -> Pixels:
        for run in runs:
            pixels = run(pixels, number, seconds)
        return pixels

    def edited_samples(earlier: Sequence[Edit]) -> Iterator[Pixels]:
        for pixels in samples():
            for edit in earlier:
                pixels = edit.run(pixels)
            yield pixels

    for number, edit in enumerate(edits):
        runs.append(edit.frame_edit(partial(edited_samples, edits[:number])))
    return run_all
