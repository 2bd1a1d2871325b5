"""Edit: what is done to a photo's pixels, by a network or by the slow operator itself."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.modelfile.card import Card
from burnish.operators.own import resolve_callable
from burnish.operators.table import OPERATORS
from burnish.runtime.model import Model

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Edit:
    """A function from pixels to pixels, and how it names itself.

    Parameters
    ----------
    name : goes into the names of outputs
    run : (H, W, 3) float32 in [0, 1] -> the same
    device : what it runs on, in words
    model : SHA-256 of the model file, or None for a slow operator
    """

    name: str
    run: Callable[[Pixels], Pixels]
    device: str
    model: str | None


def choose(
    what: str | Path,
    params: Mapping[str, float | None],
    *,
    slow: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> Edit:
    """Find the network for `what`, or with `slow` the operator itself.

    Parameters
    ----------
    what : an operator's name, the path of a model file, or with `slow` a user's own operator
    params : parameter values by name or keyword; None is 'not said'

    Raises
    ------
    UsageError : an unknown operator or parameter, or a value the network was not trained for
    ModelError : no such model, or one that does not fit
    DeviceError : the device cannot be had
    """
    if slow:
        operator = resolve_callable(str(what))
        values = operator.settle(dict(params))
        return Edit(operator.name, lambda pixels: operator.run(pixels, **values), "cpu", None)
    if str(what).startswith(("python:", "command:", "pairs:")):
        raise UsageError(
            str(what),
            expected="a network",
            got="an operator of your own",
            remedy=f"add --slow to run it as it is, or learn it: burnish train {_quote(what)}",
        )
    model = Model.open(what, device=device, threads=threads)
    _check_params(model.card, params)
    return Edit(model.card.name, model, model.device, model.sha256)


def reference_of(card: Card) -> Callable[[Pixels], Pixels]:
    """Return the slow operator that a model imitates, at the values it was trained at.

    Raises
    ------
    UsageError : the operator is not one of the table; a stranger's card names no code to run
    """
    operator = OPERATORS.get(card.operator)
    if operator is None:
        raise UsageError(
            f"model {card.name}",
            expected="an operator that burnish knows",
            got=repr(card.operator),
            remedy="name the reference with --reference",
        )
    values = {param.name: param.value for param in card.params}
    return lambda pixels: operator.run(pixels, **values)


def _check_params(card: Card, given: Mapping[str, float | None]) -> None:
    trained = {param.name: param.value for param in card.params}
    trained |= {param.name + "_": param.value for param in card.params}  # as Python may spell it
    for name, value in given.items():
        if value is None:
            continue
        if name not in trained:
            raise UsageError(
                f"model {card.name}",
                expected=f"parameters among {[p.name for p in card.params] or 'none'}",
                got=repr(name),
                remedy=f"see `burnish models show {card.name}`",
            )
        if value != trained[name]:
            raise UsageError(
                name,
                expected=f"{trained[name]:g}, which model {card.name} was trained at",
                got=f"{value:g}" if isinstance(value, int | float) else repr(value),
                remedy=f"run the operator itself with --slow, or learn another network: "
                f"burnish train {_quote(card.operator)} --{name.rstrip('_')} {value}",
            )


def _quote(text: str | Path) -> str:
    return shlex.quote(str(text))
