"""Replay of the edits that are recorded in a photo's or video's history."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from burnish.editing.edit import Edit, FrameEdit, SampleFrames, load_edit
from burnish.editing.history import EditRecord
from burnish.editing.region_edit import MaskedEdit, RegionEditor, restore_region
from burnish.errors import ModelError, UsageError, read_error, warn
from burnish.files import digest
from burnish.modelfile.card import CardParam
from burnish.modelfile.reader import read_card, read_model
from burnish.operators.registry import OPERATORS
from burnish.params import AnyParam, FileParam, Value
from burnish.photo import Photo
from burnish.regions.objects import ObjectSource
from burnish.regions.region import Region
from burnish.regions.registry import EDITS, RegionEdit
from burnish.runtime import model_registry
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.types import OnProgress, Pixels

# A region edit, an operator's name, or the path of a network.
Target = RegionEdit | str | Path


def replay(
    history: Sequence[EditRecord],
    params: Mapping[str, Value] | None = None,
    *,
    models: Sequence[Path] = (),
    object_source: ObjectSource | None = None,
    mask: Path | None = None,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Edit:
    """Return the edit that applies all steps of a history in order.

    Parameters
    ----------
    params : values that override recorded ones, in every step that has the parameter. Parameters
        that are files must be given, because a history holds only the names of files
    models : files of networks that are not bundled, identified by their SHA-256
    object_source, mask : source of the objects and mask to use instead of the recorded ones
    guide : the guide to use instead of the recorded ones, in every step with a guided network

    Raises
    ------
    UsageError : a step used a user-defined operator, or a file that is not given; or there is no
        guided network for `guide`
    ModelError : a network is not available
    DeviceError, MissingLibraryError : as in `load_edit`

    Warns
    -----
    UserWarning : a network's version differs from the recorded one
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
    _check_overrides(history, object_source=object_source, mask=mask)
    guides = [_guide(step, target, guide) for step, target in zip(history, targets, strict=True)]
    if guide is not None and not any(guides):
        raise UsageError("guide", "no edit in the history takes a guide", "leave it out")
    values = _distribute_values(overrides, history, targets)
    edits: list[Edit] = []
    for step, target, step_values, step_guide in zip(history, targets, values, guides, strict=True):
        for name, file in step.files.items():
            if name not in overrides:
                problem = f"{step.operator} used {file}, and a history holds only its name"
                raise UsageError(f"--{name}", problem, "give the file")
        step_params = {**step.params, **step_values}
        region = (
            restore_region(step.region, object_source=object_source, mask=mask)
            if step.region
            else Region()
        )
        try:
            if isinstance(target, RegionEdit):
                edits.append(RegionEditor(target, step_params, region))
                continue
            edit = load_edit(
                target,
                step_params,
                slow=step.slow,
                guide=step_guide,
                device=device,
                threads=threads,
                engine=engine,
            )
        except UsageError as error:
            if error.where == step.operator:
                raise
            raise error.with_context(f"{step.operator}: {error.where}") from error
        edits.append(MaskedEdit(edit, region) if step.region else edit)
    return edits[0] if len(edits) == 1 else _ChainedEdit(edits)


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


class _ChainedEdit(Edit):
    """Applies several edits, one after another."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        history = [step for edit in edits for step in edit.history]
        super().__init__(".".join(edit.name for edit in edits), edits[0].device, history)
        self._edits = edits
        self.stateful = any(edit.stateful for edit in edits)
        if all(edit.tiled_stages for edit in edits):
            self.tiled_stages = [stage for edit in edits for stage in edit.tiled_stages]

    def run(self, pixels: Pixels, on_progress: OnProgress | None = None) -> Pixels:
        """Edit an image."""
        for index, edit in enumerate(self._edits):
            pixels = edit.run(pixels, partial(self._report, on_progress, index))
        return pixels

    def edit_photo(
        self, photo: Photo, source: Path | None = None, on_progress: OnProgress | None = None
    ) -> Photo:
        """Edit a photo. Between two edits that only change pixels, nothing is rounded."""
        for index, edit in enumerate(self._edits):
            photo = edit.edit_photo(photo, source, partial(self._report, on_progress, index))
        return photo

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for a video's frames.

        The earlier edits are applied to the samples of each edit.
        """

        def edited_samples(earlier: Sequence[Edit]) -> Iterator[Pixels]:
            for pixels in samples():
                for edit in earlier:
                    pixels = edit.run(pixels)
                yield pixels

        frame_edits = [
            edit.frame_edit(partial(edited_samples, self._edits[:index]))
            for index, edit in enumerate(self._edits)
        ]

        def edit_frame(pixels: Pixels, index: int, seconds: float) -> Pixels:
            for frame_edit in frame_edits:
                pixels = frame_edit(pixels, index, seconds)
            return pixels

        return edit_frame

    def for_video(self) -> Edit:
        """Return the edits for videos."""
        return _ChainedEdit([edit.for_video() for edit in self._edits])

    def fingerprint(self) -> str:
        """Return the fingerprints of all edits."""
        return "\n".join(edit.fingerprint() for edit in self._edits)

    def _report(self, on_progress: OnProgress | None, index: int, fraction: float) -> None:
        """Report the completed fraction of one edit as a fraction of all."""
        if on_progress is not None:
            on_progress((index + fraction) / len(self._edits))
