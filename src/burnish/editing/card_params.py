"""The values of an operator's parameters, for the networks that were trained for them."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from burnish.errors import UsageError
from burnish.files import digest, is_file
from burnish.modelfile.card import Card, FixedParam
from burnish.operators.registry import OPERATORS
from burnish.params import AnyParam, Value, resolve_params


def card_params(card: Card) -> list[AnyParam]:
    """Return the parameters of a card; those of a built-in operator as it describes them now.

    Cards of earlier versions do not hold the values at which a parameter does nothing.
    """
    operator = OPERATORS.get(card.operator)
    known = {param.name: param for param in operator.params} if operator else {}
    return [known.get(param.name, param.as_param()) for param in card.params]


def operator_params(card: Card, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the operator's parameter values, by name, that a model imitates.

    The arguments and errors are those of `slider_params`. A file that the model was trained with
    must be given, because a card holds no files.
    """
    values: dict[str, Value] = {param.name: param.value for param in card.params}
    values |= slider_params(card, params)
    for fixed in card.fixed_params:
        file = params.get(fixed.name)
        values[fixed.name] = str(file) if file and fixed.sha256 else fixed.value
    return values


def slider_params(card: Card, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of a network's sliders, and check that it was trained for all values.

    Parameters
    ----------
    params : values by name or keyword; None means the default

    Raises
    ------
    UsageError : an unknown parameter, or a value that the network was not trained for
    """
    values = {name: value for name, value in params.items() if value is not None}
    for fixed in card.fixed_params:
        _check_fixed_param(card, fixed, values.pop(fixed.name, None))
    resolved = resolve_params([param.as_param() for param in card.params], values, owner=card.name)
    for param in card.params:
        value = resolved[param.name]
        if not param.slider and value != param.value:
            problem = f"model {card.name} was trained at {param.value:g} only, not at {value:g}"
            train = (
                f"burnish train {shlex.quote(card.operator)} --photos FOLDER "
                f"{param.as_param().option} {value:g}"
            )
            remedy = f"use the operator itself with --slow, or train another network: {train}"
            raise UsageError(param.name, problem, remedy)
    return {param.name: resolved[param.name] for param in card.sliders}


def _check_fixed_param(card: Card, fixed: FixedParam, value: Value) -> None:
    """Check that a colour or file is the one that the network was trained with."""
    if value is None or value == fixed.value:
        return
    path = Path(str(value))
    if is_file(path) and digest(path) == fixed.sha256:
        return
    trained = f"with {fixed.value}" if fixed.value else f"with the default {fixed.name}"
    problem = f"model {card.name} was trained {trained}, not with {value}"
    raise UsageError(fixed.name, problem, "leave it out, or use the operator itself with --slow")
