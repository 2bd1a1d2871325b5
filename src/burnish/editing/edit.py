"""Edit: what is done to a photo's pixels, by a network or by the slow operator itself."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from burnish.editing.history import Made, made
from burnish.errors import DeviceError, OutputError, UsageError
from burnish.files import digest
from burnish.metrics import went_black
from burnish.modelfile.card import Card, CardChoice
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import resolve_callable
from burnish.params import Value, settle
from burnish.photo import Photo
from burnish.runtime.area_resize import shrink
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model import Model, Put, Take
from burnish.types import Pixels

# Told the share that is done, from 0 to 1.
Progress = Callable[[float], None]


# A frame's pixels, its number from 0 and its time in seconds -> the edited pixels.
FrameEdit = Callable[[Pixels, int, float], Pixels]
# Gives pictures from all over a film, each time anew.
Samples = Callable[[], Iterable[Pixels]]


class Run(Protocol):
    """(H, W, 3) float32 in [0, 1] -> the same; tells `progress` if it knows it."""

    def __call__(self, pixels: Pixels, progress: Progress | None = None) -> Pixels:
        """Edit a picture."""


class Pass(Protocol):
    """An edit of a picture in parts; see `Model.over`."""

    def __call__(
        self, source: Take, into: Put, size: tuple[int, int], progress: Progress | None = None
    ) -> None:
        """Edit a picture of this height and width."""


class Change(Protocol):
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
    made : the operators that it runs and their values, in order
    passes : one after another they are what `run` is, for a picture in parts; none where the edit
        needs the whole picture
    film : makes, once for a film, the function that its frames go through in order; None where
        `run` does for each. What has to hold for all frames is found out there, from samples
    remembers : whether what becomes of a film's frame depends on the frames before it
    identity : a text that changes where the result could, beyond what `made` tells
    change : the same of a whole photo, where that is more than the function of its pixels: what
        depends on its file, or alters its transparency or metadata
    """

    name: str
    run: Run
    device: str
    made: tuple[Made, ...]
    passes: tuple[Pass, ...] = ()
    film: Callable[[Samples], FrameEdit] | None = None
    remembers: bool = False
    identity: Callable[[], str] = lambda: ""
    change: Change | None = None

    def on_film(self, samples: Samples) -> FrameEdit:
        """Return the function for the frames of one film, each of which it is given in order."""
        if self.film is not None:
            return self.film(samples)
        return lambda pixels, number, seconds: self.run(pixels)

    def photo(
        self, photo: Photo, source: Path | None = None, progress: Progress | None = None
    ) -> Photo:
        """Return the photo edited.

        Parameters
        ----------
        source : the photo's file, where it has one
        """
        if self.change is not None:
            return self.change(photo, source, progress)
        return photo.with_pixels(self.run(photo.pixels, progress))


def choose(
    what: str | Path,
    params: Mapping[str, Value],
    *,
    slow: bool = False,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
) -> Edit:
    """Find the network for `what`, or with `slow` the operator itself.

    Parameters
    ----------
    what : an operator's name, the path of a model file, or with `slow` a user's own operator
    params : parameter values by name or keyword; None is 'not said'

    Raises
    ------
    UsageError : an unknown operator, parameter or engine, or a value the network has not learnt
    ModelError : no such model, or one that does not fit
    DeviceError : the device cannot be had
    MissingLibraryError : the slow operator or the engine needs a library that is not installed
    """
    if not isinstance(what, str | Path):
        raise UsageError(
            "operator",
            expected="a name or the path of a model file",
            got=type(what).__name__,
            remedy="see `burnish models list`",
        )
    if slow:
        return _slow(resolve_callable(str(what)), params, device)
    if str(what).startswith(("python:", "command:", "pairs:")):
        raise UsageError(
            str(what),
            expected="a network",
            got="an operator of your own",
            remedy=f"add --slow to run it as it is, or learn it: burnish train {_quote(what)}",
        )
    model = Model.open(what, device=device, threads=threads, engine=engine)
    sliders = sliders_of(model.card, params)

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        return model(pixels, sliders, progress=progress)

    def over(
        source: Take, into: Put, size: tuple[int, int], progress: Progress | None = None
    ) -> None:
        model.over(source, into, size, sliders, progress=progress)

    values = params_of(model.card, params)
    return Edit(
        model.card.name,
        run,
        model.device,
        (made(model.card.name, values, model=model.sha256),),
        (over,),
        _film(model, sliders) if model.card.thumbnail else None,
    )


def _film(model: Model, sliders: Mapping[str, Value]) -> Callable[[Samples], FrameEdit]:
    """Have a model see one thumbnail for a whole film, the mean of the samples'."""

    def film(samples: Samples) -> FrameEdit:
        side = model.card.thumbnail
        # In double precision, and rounded once.
        seen = [shrink(pixels, side).astype(np.float64) for pixels in samples()]
        thumbnail = np.mean(seen, axis=0).astype(np.float32)
        return lambda pixels, number, seconds: model(pixels, sliders, thumbnail=thumbnail)

    return film


def _slow(operator: Operator, params: Mapping[str, Value], device: str) -> Edit:
    if device not in ("auto", "cpu"):
        raise DeviceError(
            f"--device {device}",
            expected="cpu, where a slow operator runs",
            got=device,
            remedy="leave --device out",
        )
    values = operator.settle(params)
    operator.function()  # what it needs is missed now rather than at the first photo

    def run(pixels: Pixels, progress: Progress | None = None) -> Pixels:
        result: Pixels = operator.run(pixels, **values)
        if went_black(pixels, result):
            raise OutputError(
                f"operator {operator.name}",
                expected="a picture",
                got="all black",
                remedy="mend the operator, or try another photo",
            )
        return result

    return Edit(
        operator.name,
        run,
        "cpu",
        (made(operator.name, values, operator.params),),
        identity=lambda: operator.fingerprint(values),
    )


def reference_of(card: Card, sliders: Mapping[str, Value]) -> Callable[[Pixels], Pixels]:
    """Return the slow operator that a model imitates, at the values of its card and its sliders.

    Raises
    ------
    UsageError : see `operator_of`; or the operator was given a file, which a card does not hold
    """
    operator = operator_of(card)
    values = params_of(card, sliders)
    for choice in card.choices:
        if choice.sha256:
            raise UsageError(
                f"model {card.name}",
                expected="an operator that needs no file",
                got=f"one that was given {choice.value}",
                remedy=f"run it by itself: burnish apply --slow {card.operator} "
                f"--{choice.name} FILE",
            )
    return lambda pixels: operator.run(pixels, **values)


def operator_of(card: Card) -> Operator:
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


def params_of(card: Card, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values, by name, that a model imitates its operator at.

    Parameters
    ----------
    given : by name or keyword; None is 'not said'. A file that the model was made with is to be
        given, as a card holds no files

    Raises
    ------
    UsageError : see `sliders_of`
    """
    values: dict[str, Value] = {param.name: param.value for param in card.params}
    values |= sliders_of(card, given)
    for choice in card.choices:
        file = given.get(choice.name)
        values[choice.name] = str(file) if file and choice.sha256 else choice.value
    return values


def sliders_of(card: Card, given: Mapping[str, Value]) -> dict[str, Value]:
    """See that what is asked for is what a network has learnt, and return its sliders' values.

    Parameters
    ----------
    given : parameter values by name or keyword; None is 'not said'

    Raises
    ------
    UsageError : an unknown parameter, or a value that the network has not learnt
    """
    said = {name: value for name, value in given.items() if value is not None}
    for choice in card.choices:
        _check_choice(card, choice, said.pop(choice.name, None))
    asked = settle([param.as_param() for param in card.params], said, of=card.name)
    for param in card.params:
        if not param.slider and asked[param.name] != param.value:
            raise UsageError(
                param.name,
                expected=f"{param.value:g}, which model {card.name} was trained at",
                got=f"{asked[param.name]:g}",
                remedy="run the operator itself with --slow, or learn another network: burnish "
                f"train {_quote(card.operator)} {param.as_param().option} {asked[param.name]:g}",
            )
    return {param.name: asked[param.name] for param in card.sliders}


def _check_choice(card: Card, choice: CardChoice, said: Value) -> None:
    """See that a colour or file is the one that the network learnt."""
    if said is None or said == choice.value:
        return
    path = Path(str(said))
    if path.is_file() and digest(path) == choice.sha256:
        return
    raise UsageError(
        choice.name,
        expected=f"{choice.value or 'none'}, which model {card.name} was trained with",
        got=f"{said}",
        remedy="leave it out, or run the operator itself with --slow",
    )


def _quote(text: str | Path) -> str:
    return shlex.quote(str(text))
