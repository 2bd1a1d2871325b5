"""The parameters of a user's function: the arguments that have a number as default.

Examples of functions, with the range of the parameter:

def glow(image, amount=0.5): ...                                            any number
def glow(image, *, amount: Annotated[float, (0, 1)] = 0.5): ...              0 to 1
def blur(image, sigma: Annotated[float, (0.5, 8), "px", "blurs more"] = 2): ...
"""

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, get_args, get_origin

from burnish.errors import UsageError
from burnish.params import Param

# Names that a card can hold. Arguments with other names keep their defaults.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# Largest number of characters of an effect.
_MAX_EFFECT = 200
# Attributes of the bounds of pydantic and Typer -> the end of the range.
_ATTRIBUTES = {"ge": "low", "min": "low", "le": "high", "max": "high"}


def function_params(function: Callable[..., Any], where: str) -> dict[str, Param]:
    """Return the parameters of a function from image to image, by the names of its arguments.

    The first argument is the image. Each further one whose default is a number is a parameter.
    ``Annotated`` gives its range, as two numbers, a tuple or the bounds of pydantic and Typer, its
    effect as text, and the words "px" for a length in pixels and "log" for a logarithmic slider.

    Parameters
    ----------
    where : the operator, for error messages

    Raises
    ------
    UsageError : an argument has no default, or one outside its range
    """
    try:
        _, *arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled code without a signature, or without an argument
        return {}
    params = {}
    for argument in arguments:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        if argument.default is argument.empty:
            problem = f"its argument {argument.name} has no default"
            raise UsageError(where, problem, f"give it one, such as {argument.name}=0.5")
        name = argument.name.rstrip("_").lower()
        is_number = isinstance(argument.default, Real) and not isinstance(argument.default, bool)
        if is_number and argument.kind != argument.POSITIONAL_ONLY and _NAME.fullmatch(name):
            params[argument.name] = _param(name, argument, _annotation(function, argument), where)
    return params


def call_with_names(
    function: Callable[..., Any], names: Mapping[str, str], rgb: Any, /, **values: Any
) -> Any:
    """Call a function with values whose names are translated to those of its arguments."""
    return function(rgb, **{names[name]: value for name, value in values.items()})


def _annotation(function: Callable[..., Any], argument: inspect.Parameter) -> Any:
    """Return an argument's annotation; with postponed annotations, it is text at first."""
    annotation = argument.annotation
    if isinstance(annotation, str):
        try:
            return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
        except Exception:  # it may name what only type checkers import
            return argument.empty
    return annotation


def _param(name: str, argument: inspect.Parameter, annotation: Any, where: str) -> Param:
    kind, details = annotation, []
    if get_origin(annotation) is Annotated:
        kind, *details = get_args(annotation)
    integer = kind is int or (kind is not float and isinstance(argument.default, Integral))
    words = [detail for detail in details if isinstance(detail, str)]
    texts = [word for word in words if word not in ("px", "log")]
    effect = " ".join(" ".join(texts).split())[:_MAX_EFFECT]
    low, high = _bounds(details)
    try:
        param = Param(
            name,
            effect or f"changes {argument.name} in the function",
            default=float(argument.default),
            low=low,
            high=high,
            scale="log" if "log" in words else "linear",
            unit="px" if "px" in words else "",
            integer=integer,
        )
        param.check(param.default)
    except ValueError as error:
        problem = f"its argument {argument.name} is not valid: {error}"
        raise UsageError(where, problem, "correct its default or its range") from error
    return param


def _bounds(details: list[Any]) -> tuple[float, float]:
    """Return the range among the details of an annotation; a missing bound is infinite."""
    numbers = list(_numbers(details))
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    bounds = {"low": -math.inf, "high": math.inf}
    for detail in details:
        for part in (detail, *getattr(detail, "metadata", ())):  # pydantic keeps bounds there
            for attribute, bound in _ATTRIBUTES.items():
                value = getattr(part, attribute, None)
                if isinstance(value, Real):
                    bounds[bound] = float(value)
    return bounds["low"], bounds["high"]


def _numbers(details: list[Any]) -> Iterator[float]:
    """Yield the numbers among the details of an annotation, and those in tuples and lists."""
    for detail in details:
        for part in detail if isinstance(detail, tuple | list) else [detail]:
            if isinstance(part, Real):
                yield float(part)
