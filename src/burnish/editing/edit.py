"""Edit: what is done to a photo's pixels, by a network or by the slow operator itself."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from burnish.editing.history import EditRecord, record_edit
from burnish.errors import DeviceError, OutputError, UsageError
from burnish.files import digest
from burnish.metrics import went_black
from burnish.modelfile.card import Card, FixedParam
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import Value, resolve_params
from burnish.photo import Photo
from burnish.runtime.area_resize import area_resize
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model import Model, ReadRegion, WriteRegion
from burnish.types import Pixels

# Told the share that is done, from 0 to 1.
Progress = Callable[[float], None]


# A frame's pixels, its number from 0 and its time in seconds -> the edited pixels.
FrameEdit = Callable[[Pixels, int, float], Pixels]
# Gives pictures from all over a film, each time anew.
SampleFrames = Callable[[], Iterable[Pixels]]


class ImageFunction(Protocol):
    """(H, W, 3) float32 in [0, 1] -> the same; tells `progress` if it knows it."""

    def __call__(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """Edit a picture."""


class TiledStage(Protocol):
    """An edit of a picture in parts; see `Model.over`."""

    def __call__(
        self,
        read: ReadRegion,
        write: WriteRegion,
        size: tuple[int, int],
        progress: Progress | None = None,
    ) -> None:
        """Edit a picture of this height and width."""


class PhotoFunction(Protocol):
    """A photo -> the photo edited; `source` is its file, where it has one."""

    def __call__(self, photo: Photo, source: Path | None, progress: Progress | None) -> Photo:
        """Edit a photo."""


@dataclass(frozen=True)
class Edit:
    """A function from pixels to pixels, and how it names itself.

    Parameters
    ----------
    name : goes into the names of outputs
    run : the function
    device : what it runs on, in words
    history : the operators that it runs and their values, in order
    tiled_stages : one after another they are what `run` is, for a picture in parts; none where the edit
        needs the whole picture
    prepare_video : makes, once for a film, the function that its frames go through in order; None where
        `run` does for each. What has to hold for all frames is found out there, from samples
    stateful : whether what becomes of a film's frame depends on the frames before it
    fingerprint : a text that changes where the result could, beyond what `history` tells
    apply_to_photo : the same of a whole photo, where that is more than the function of its pixels: what
        depends on its file, or alters its transparency or metadata
    """

    name: str
    run: ImageFunction
    device: str
    history: tuple[EditRecord, ...]
    tiled_stages: tuple[TiledStage, ...] = ()
    prepare_video: Callable[[SampleFrames], FrameEdit] | None = None
    stateful: bool = False
    fingerprint: Callable[[], str] = lambda: ""
    apply_to_photo: PhotoFunction | None = None

    def frame_edit(self, samples: SampleFrames) -> FrameEdit:
        """Return the function for the frames of one film, each of which it is given in order."""
        if self.prepare_video is not None:
            return self.prepare_video(samples)
        return lambda pixels, number, seconds: self.run(pixels)

    def edit_photo(
        self, photo: Photo, source: Path | None = None, progress: Progress | None = None
    ) -> Photo:
        """Return the photo edited.

        Parameters
        ----------
        source : the photo's file, where it has one
        """
        if self.apply_to_photo is not None:
            return self.apply_to_photo(photo, source, progress)
        return photo.with_pixels(self.run(photo.pixels, progress))


def load_edit(
    name_or_path: str | Path,
    params: Mapping[str, Value],
    *,
    slow: bool = False,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Edit:
    """Find the network for `name_or_path`, or with `slow` the operator itself.

    Parameters
    ----------
    name_or_path : an operator's name, the path of a model file, or with `slow` a user's own operator
    params : parameter values by name or keyword; None is 'not said'

    Raises
    ------
    UsageError : an unknown operator, parameter or engine, or a value the network has not learnt
    ModelError : no such model, or one that does not fit
    DeviceError : the device cannot be had
    MissingLibraryError : the slow operator or the engine needs a library that is not installed
    """
    if not isinstance(name_or_path, str | Path):
        raise UsageError(
            "operator",
            expected="a name or the path of a model file",
            got=type(name_or_path).__name__,
            remedy="see `burnish models list`",
        )
    if slow:
        return _operator_edit(find_runnable_operator(str(name_or_path)), params, device)
    if str(name_or_path).startswith(("python:", "command:", "pairs:")):
        raise UsageError(
            str(name_or_path),
            expected="a network",
            got="an operator of your own",
            remedy=f"add --slow to run it as it is, or learn it: burnish train {_quote(name_or_path)}",
        )
    model = Model.open(name_or_path, device=device, threads=threads, engine=engine)
    slider_values = slider_params(model.card, params)

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        return model(pixels, slider_values, on_progress=progress)

    def run_tiled(
        read: ReadRegion,
        write: WriteRegion,
        size: tuple[int, int],
        progress: Progress | None = None,
    ) -> None:
        model.process_tiles(read, write, size, slider_values, on_progress=progress)

    param_values = operator_params(model.card, params)
    return Edit(
        model.card.name,
        run,
        model.device,
        (record_edit(model.card.name, param_values, model=model.sha256),),
        (run_tiled,),
        _shared_thumbnail(model, slider_values) if model.card.thumbnail_size else None,
    )


def _shared_thumbnail(
    model: Model, slider_values: Mapping[str, Value]
) -> Callable[[SampleFrames], FrameEdit]:
    """Have a model see one thumbnail for a whole film, the mean of the samples'."""

    def prepare_video(samples: SampleFrames) -> FrameEdit:
        side = model.card.thumbnail_size
        # In double precision, and rounded once.
        thumbnails = [area_resize(pixels, side).astype(np.float64) for pixels in samples()]
        thumbnail = np.mean(thumbnails, axis=0).astype(np.float32)
        return lambda pixels, number, seconds: model(pixels, slider_values, thumbnail=thumbnail)

    return prepare_video


def _operator_edit(operator: Operator, params: Mapping[str, Value], device: str) -> Edit:
    if device not in ("auto", "cpu"):
        raise DeviceError(
            f"--device {device}",
            expected="cpu, where a slow operator runs",
            got=device,
            remedy="leave --device out",
        )
    values = operator.resolve_params(params)
    operator.load_function()  # what it needs is missed now rather than at the first photo

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        output: Pixels = operator.run(pixels, **values)
        if went_black(pixels, output):
            raise OutputError(
                f"operator {operator.name}",
                expected="a picture",
                got="all black",
                remedy="mend the operator, or try another photo",
            )
        return output

    return Edit(
        operator.name,
        run,
        "cpu",
        (record_edit(operator.name, values, operator.params),),
        fingerprint=lambda: operator.fingerprint(values),
    )


def reference_function(
    card: Card, slider_values: Mapping[str, Value]
) -> Callable[[Pixels], Pixels]:
    """Return the slow operator that a model imitates, at the values of its card and its sliders.

    Raises
    ------
    UsageError : see `reference_operator`; or the operator was given a file, which a card does not hold
    """
    operator = reference_operator(card)
    values = operator_params(card, slider_values)
    for fixed in card.fixed_params:
        if fixed.sha256:
            raise UsageError(
                f"model {card.name}",
                expected="an operator that needs no file",
                got=f"one that was given {fixed.value}",
                remedy=f"run it by itself: burnish apply --slow {card.operator} "
                f"--{fixed.name} FILE",
            )
    return lambda pixels: operator.run(pixels, **values)


def reference_operator(card: Card) -> Operator:
    """Return the slow operator that a card names.

    Raises
    ------
    UsageError : it is not one of the table; a stranger's card names no code to run
    """
    operator = OPERATORS.get(card.operator)
    if operator is None:
        raise UsageError(
            f"model {card.name}",
            expected="an operator that burnish knows",
            got=repr(card.operator),
            remedy="name it with --operator",
        )
    return operator


def operator_params(card: Card, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values, by name, that a model imitates its operator at.

    Parameters
    ----------
    params : by name or keyword; None is 'not said'. A file that the model was made with is to be
        given, as a card holds no files

    Raises
    ------
    UsageError : see `slider_params`
    """
    values: dict[str, Value] = {param.name: param.value for param in card.params}
    values |= slider_params(card, params)
    for fixed in card.fixed_params:
        file = params.get(fixed.name)
        values[fixed.name] = str(file) if file and fixed.sha256 else fixed.value
    return values


def slider_params(card: Card, params: Mapping[str, Value]) -> dict[str, Value]:
    """See that what is asked for is what a network has learnt, and return its sliders' values.

    Parameters
    ----------
    params : parameter values by name or keyword; None is 'not said'

    Raises
    ------
    UsageError : an unknown parameter, or a value that the network has not learnt
    """
    values = {name: value for name, value in params.items() if value is not None}
    for fixed in card.fixed_params:
        _check_fixed_param(card, fixed, values.pop(fixed.name, None))
    resolved = resolve_params([param.as_param() for param in card.params], values, owner=card.name)
    for param in card.params:
        if not param.slider and resolved[param.name] != param.value:
            raise UsageError(
                param.name,
                expected=f"{param.value:g}, which model {card.name} was trained at",
                got=f"{resolved[param.name]:g}",
                remedy="run the operator itself with --slow, or learn another network: burnish "
                f"train {_quote(card.operator)} {param.as_param().option} {resolved[param.name]:g}",
            )
    return {param.name: resolved[param.name] for param in card.sliders}


def _check_fixed_param(card: Card, fixed: FixedParam, value: Value) -> None:
    """See that a colour or file is the one that the network learnt."""
    if value is None or value == fixed.value:
        return
    path = Path(str(value))
    if path.is_file() and digest(path) == fixed.sha256:
        return
    raise UsageError(
        fixed.name,
        expected=f"{fixed.value or 'none'}, which model {card.name} was trained with",
        got=f"{value}",
        remedy="leave it out, or run the operator itself with --slow",
    )


def _quote(text: str | Path) -> str:
    return shlex.quote(str(text))
