"""An order for a model: checked as far as it can be before hours are spent on it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.files import check_free, make_folder
from burnish.modelfile.reader import ModelFile, read
from burnish.modelfile.weights import weights
from burnish.networks.network import Network
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS, build
from burnish.operators.operator import Operator
from burnish.operators.user_defined import Pairs, resolve
from burnish.params import Param, Value
from burnish.training.config import Settings, parse_budget
from burnish.training.init_weights import start_from

DEFAULT_BUDGET = "30m"


@dataclass(frozen=True)
class Order:
    """What to train, on what, and where the model file goes; made by `prepare`."""

    settings: Settings
    photos: Path | None
    held_out: Path | None
    output: Path
    run: Path
    overwrite: bool
    licence: str
    save_every: float
    start: Mapping[str, NDArray[np.float32]] | None = None

    @property
    def name(self) -> str:
        """What the model is called, after its file."""
        return slug(self.output.stem)


def prepare(
    operator: str,
    *,
    photos: Path | None = None,
    held_out: Path | None = None,
    params: Mapping[str, Value] | None = None,
    output: Path | None = None,
    run: Path | None = None,
    overwrite: bool = False,
    licence: str = "unstated",
    save_every: float = 60.0,
    network: str = DEFAULT_NETWORK,
    budget: str | None = None,
    steps: int | None = None,
    sliders: Sequence[str] = (),
    thumbnail: bool | None = None,
    start: Path | None = None,
    **settings: Any,
) -> Order:
    """Check everything that a person can have got wrong.

    Parameters
    ----------
    operator : a name of the table, or ``python:…``, ``command:…``, ``pairs:…``
    photos, held_out : folders of photos to learn from and to judge on; pairs bring their own
    params : the operator's parameters by name or keyword
    output : the model file; by default NAME.onnx here
    run : folder of the checkpoint, by default runs/NAME
    licence : who may use the model, for its card
    save_every : seconds between two checkpoints
    budget, steps : how long; by default 30m
    sliders : parameters to learn over a range: NAME, or NAME=LOW:HIGH for a part of its range
    thumbnail : whether the network sees a small version of the whole photo; by default where the
        operator looks far and the network can take one
    start : a model file of the same network, to begin with its weights
    settings : the other fields of `Settings`; None is 'as the network is best trained'

    Raises
    ------
    UsageError : an unknown operator, parameter, network or length of time; photos missing
    ModelError : there is no such model to start from
    OutputError : the model file exists and `overwrite` is not set
    """
    found = resolve(operator)
    said = {name: value for name, value in (params or {}).items() if value is not None}
    if isinstance(found, Pairs):
        _refuse_for_pairs({"--photos": photos, "--held-out": held_out, **said})
        values = {}
    else:
        values = found.settle(said)
        if photos is None:
            raise _wrong("--photos", "a folder of photos", "none", "name one with --photos")
    if network not in NETWORKS:
        choice = f"one of {', '.join(NETWORKS)}"
        raise _wrong("--network", choice, repr(network), "choose one of them")
    shape = NETWORKS[network]
    if thumbnail is None:
        thumbnail = shape.takes_context and isinstance(found, Operator) and found.sees_whole
    target = output or Path(f"{slug(found.name)}.onnx")
    if target.suffix.lower() != ".onnx":
        raise _wrong("-o", "a name that ends in .onnx", str(target), "rename it")
    if not licence.strip():
        raise _wrong("--licence", "words", "none", "say who may use the model, or leave it out")
    if steps is None and budget is None:
        budget = DEFAULT_BUDGET
    begun = read(start) if start else None
    wanted = Settings(
        operator=operator,
        network=network,
        params=values,
        sliders=_ranges(found, values, sliders),
        thumbnail=thumbnail,
        grey=isinstance(found, Operator) and found.grey,
        steps=steps,
        budget=parse_budget(budget) if budget else None,
        start_from=f"{begun.card.name} {begun.sha256[:12]}" if begun else "",
        **shape.settings | {name: value for name, value in settings.items() if value is not None},
    )
    built = _built(wanted)
    first = _first(begun, built) if begun else None
    check_free(target, overwrite=overwrite)
    make_folder(target.parent)  # last: nothing is made for an order that is refused
    return Order(
        settings=wanted,
        photos=photos,
        held_out=held_out,
        output=target,
        run=run or Path("runs", slug(target.stem)),
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
        start=first,
    )


def _first(begun: ModelFile, network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the weights that a training begins with, once they are seen to fit."""
    first = weights(begun)
    start_from(network, first, begun.card.name)
    return first


def _built(settings: Settings) -> Network:
    """Return the network that is asked for, once it is seen to take the sliders and the crops."""
    network = build(settings.network, settings.slider_params, settings.thumbnail)
    if settings.crop % network.multiple:
        expected = f"a multiple of {network.multiple}, as {settings.network} cuts photos into cells"
        raise _wrong("--crop", expected, str(settings.crop), "round it up")
    return network


def _ranges(
    operator: Operator | Pairs, values: Mapping[str, Value], sliders: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Read what is to be learnt over a range: NAME or NAME=LOW:HIGH."""
    params = operator.params if isinstance(operator, Operator) else ()
    known = {param.name: param for param in params if isinstance(param, Param)}
    found = {}
    for text in sliders:
        name, given, ends = text.partition("=")
        param = known.get(name)
        if param is None:
            choice = f"one of {', '.join(known)}" if known else "none, as there is nothing to turn"
            raise _wrong("--slider", choice, repr(name), "choose one of them or leave it out")
        low, high = param.low, param.high
        if given:
            low, high = _ends(param, text, ends)
        value = float(str(values[name]))
        if not low <= value <= high:
            expected = f"a range around {value:g}, what holds where nothing is said"
            raise _wrong(f"--slider {name}", expected, f"{low:g} to {high:g}", "widen it")
        found[name] = (low, high)
    return found


def _ends(param: Param, text: str, ends: str) -> tuple[float, float]:
    try:
        low, high = (param.check(float(end)) for end in ends.split(":"))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        expected = f"{param.name}=LOW:HIGH within {param.range}"
        raise _wrong("--slider", expected, repr(text), "give two numbers, the lower one first")
    return low, high


def slug(name: str) -> str:
    """Return a name as cards and file names take it.

    Examples
    --------
    >>> slug("_My Glow (2)"), slug("***")
    ('my-glow-2', 'own')
    """
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:64].strip("-.") or "own"


def _refuse_for_pairs(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            expected = "none, since pairs are what they are"
            raise _wrong(name, expected, str(value), "leave it out")


def _wrong(where: str, expected: str, got: str, remedy: str) -> UsageError:
    return UsageError(where, expected=expected, got=got, remedy=remedy)
