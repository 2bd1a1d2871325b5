"""Again: the edit that a photo or film was made by, taken from what it says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from burnish.editing.edit import Edit, FrameEdit, Progress, Samples, choose
from burnish.editing.history import Made
from burnish.editing.masked import within
from burnish.editing.region_edit import region_edit
from burnish.editing.region_record import region_of
from burnish.errors import ModelError, UsageError, warn
from burnish.files import digest
from burnish.modelfile.reader import read
from burnish.operators.registry import OPERATORS
from burnish.params import FileParam, Value
from burnish.photo import Photo
from burnish.regions.edits.edit import RegionEdit
from burnish.regions.edits.table import EDITS
from burnish.regions.region import Finder, Region
from burnish.runtime import model_registry as shelf
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.types import Pixels


def again(
    made: Sequence[Made],
    params: Mapping[str, Value] | None = None,
    *,
    models: Sequence[Path] = (),
    finder: Finder | None = None,
    mask: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Edit:
    """Return the edit that does all of `made`, in order.

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
    given = {name: value for name, value in (params or {}).items() if value is not None}
    files = {_digest(file): file for file in models}
    whats = [_what(step, files) for step in made]
    made = [_closed(step, what) for step, what in zip(made, whats, strict=True)]
    _check_taken(made, finder=finder, mask=mask)
    edits = []
    for step, what, mine in zip(made, whats, _shares(given, made, whats), strict=True):
        for name, file in step.files.items():
            if name not in given:
                raise UsageError(
                    f"--{name}",
                    expected=f"the file {file} that {step.operator} was given",
                    got="none",
                    remedy="name it: a photo keeps no more than its name",
                )
        values = {**step.params, **mine}
        region = region_of(step.where, finder=finder, mask=mask) if step.where else Region()
        try:
            if isinstance(what, RegionEdit):
                edits.append(region_edit(what, values, region))
                continue
            edit = choose(
                what, values, slow=step.slow, device=device, threads=threads, engine=engine
            )
        except UsageError as error:
            if error.where == step.operator:
                raise
            raise error.at(f"{step.operator}: {error.where}") from error
        edits.append(within(edit, region) if step.where else edit)
    return edits[0] if len(edits) == 1 else _in_turn(edits)


def _what(step: Made, files: Mapping[str, Path]) -> RegionEdit | str | Path:
    """Return what made a step: an edit of a region, an operator's name, or a network's file."""
    if step.where and step.operator in EDITS and step.model is None and not step.slow:
        return EDITS[step.operator]
    return _operator(step) if step.slow else _model(step, files)


def _digest(model: Path) -> str:
    try:
        return digest(model)
    except OSError as error:
        raise ModelError(
            f"--model {model}",
            expected="a file",
            got=(error.strerror or str(error)).lower(),
            remedy="check the path",
        ) from error


def _closed(step: Made, what: RegionEdit | str | Path) -> Made:
    """Return a step that keeps no more than the names of files, whatever its photo says."""
    if isinstance(what, Path):
        return step
    params = what.params if isinstance(what, RegionEdit) else OPERATORS[what].params
    named = {p.name for p in params if isinstance(p, FileParam)} & step.params.keys()
    return step.model_copy(
        update={
            "params": {k: v for k, v in step.params.items() if k not in named},
            "files": step.files | {name: Path(str(step.params[name])).name for name in named},
        }
    )


def _check_taken(made: Sequence[Made], *, finder: Finder | None, mask: Path | None) -> None:
    """See that a mask or a finder that is given takes the place of one."""
    places = [step.where for step in made if step.where is not None]
    if mask is not None and not any(where.mask for where in places):
        raise _not_taken("--mask", "a mask")
    if finder is not None and not any(where.detector for where in places):
        raise _not_taken("--detector or --objects", "a detector")


def _not_taken(option: str, what: str) -> UsageError:
    return UsageError(
        option,
        expected=f"an edit that was made with {what}",
        got="none",
        remedy="leave it out",
    )


def _shares(
    given: Mapping[str, Value], made: Sequence[Made], whats: Sequence[RegionEdit | str | Path]
) -> list[dict[str, Value]]:
    """Deal values out to the steps that they turn; what turns none goes to all, to be refused."""
    if not given or len(made) == 1:  # networks need not be read for it
        return [dict(given) for _ in made]
    turned = [_turned(what) | {*step.files} for step, what in zip(made, whats, strict=True)]
    known = set().union(*turned)
    return [{k: v for k, v in given.items() if k in names or k not in known} for names in turned]


def _turned(what: RegionEdit | str | Path) -> set[str]:
    """Return the names of what can be turned."""
    if isinstance(what, Path):
        return {param.name for param in read(what).card.sliders}
    params = what.params if isinstance(what, RegionEdit) else OPERATORS[what].params
    return {param.name for param in params}


def _operator(step: Made) -> str:
    if step.operator not in OPERATORS:
        raise UsageError(
            step.operator,
            expected="an operator of burnish's",
            got="one of your own, of which a photo keeps no more than the name",
            remedy="name it: burnish apply --slow python:FILE:FUNCTION PHOTO",
        )
    return step.operator


def _model(step: Made, files: Mapping[str, Path]) -> Path:
    if (file := files.get(step.model or "")) is not None:
        return file
    # A photo may be a stranger's: what it names is looked up, never opened as a path.
    if step.operator not in shelf.names():
        raise ModelError(
            step.operator,
            expected="a network that comes with burnish",
            got="another",
            remedy="name its file with --model",
        )
    model = shelf.find(step.operator)
    if digest(model) != step.model:
        warn(
            f"the network {step.operator} is another version than the photo was made with "
            f"(burnish {step.version}); the result may differ"
        )
    return model


def _in_turn(edits: Sequence[Edit]) -> Edit:
    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        for number, edit in enumerate(edits):

            def share(part: float, number: int = number) -> None:
                if progress is not None:
                    progress((number + part) / len(edits))

            pixels = edit.run(pixels, share)
        return pixels

    def change(photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        for edit in edits:
            photo = edit.photo(photo, source, progress)
        return photo

    return Edit(
        ".".join(edit.name for edit in edits),
        run,
        edits[0].device,
        tuple(step for edit in edits for step in edit.made),
        # In parts only if all of them are.
        passes=tuple(over for edit in edits for over in edit.passes)
        if all(edit.passes for edit in edits)
        else (),
        film=lambda samples: _film_in_turn(edits, samples),
        remembers=any(edit.remembers for edit in edits),
        identity=lambda: "\n".join(edit.identity() for edit in edits),
        change=change if any(edit.change for edit in edits) else None,
    )


def _film_in_turn(edits: Sequence[Edit], samples: Samples) -> FrameEdit:
    """Make the functions for a film's frames; an edit's samples have gone through those before."""
    runs: list[FrameEdit] = []

    def all_of(pixels: Pixels, number: int, seconds: float) -> Pixels:
        for run in runs:
            pixels = run(pixels, number, seconds)
        return pixels

    def through(before: Sequence[Edit]) -> Iterator[Pixels]:
        for pixels in samples():
            for edit in before:
                pixels = edit.run(pixels)
            yield pixels

    for number, edit in enumerate(edits):
        runs.append(edit.on_film(partial(through, edits[:number])))
    return all_of
