"""Parameters: each is described once, and command line, Python API and docs are derived from it."""

import keyword
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Literal

from burnish.errors import UsageError

# A number, a colour as #rrggbb, the path of a file, or None if it is not set.
Value = float | str | None


@dataclass(frozen=True)
class _BaseParam:
    """The name and description that every kind of parameter has.

    Parameters
    ----------
    name : the paper's name in lower case; the command line option is ``--name``
    effect : a clause without a subject and a full stop: the effect of a larger value (for a
        number), or a definition (for a colour, a file or a choice)
    """

    name: str
    effect: str

    @property
    def argument_name(self) -> str:
        """Name of the Python argument; a reserved word gets PEP 8's trailing underscore."""
        name = re.sub(r"[-.]", "_", self.name)
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def option(self) -> str:
        """Name of the command line option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def description(self) -> str:
        """The effect as a clause without a full stop."""
        return self.effect


@dataclass(frozen=True)
class Param(_BaseParam):
    """A number.

    Parameters
    ----------
    default : the default value
    low, high : the range, both ends included; infinite for a number without a bound
    scale : scale of sliders, and of the random values in training
    unit : physical unit, or "" for a pure number
    integer : only whole numbers are allowed
    off : the value at which the parameter does nothing. An image stays as it is if all parameters
        that have such a value are at it; None if there is no such value
    size_power : for a copy of the photo that is k times as large, the value is multiplied by
        k**size_power [default: 1 for a parameter in px, 0 for others]

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> p.argument_name, p.option
    ('lambda_', '--lambda')
    >>> p.check(0.5)
    Traceback (most recent call last):
    burnish.errors.UsageError: lambda: expected 0.002 to 0.2, got 0.5; choose a value in the range
    """

    default: float
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""
    integer: bool = False
    off: float | None = None
    size_power: float | None = None

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"{self.name}: default {self.default} outside {self.range}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs a range above 0, not {self.range}")

    @property
    def range(self) -> str:
        """The range as text, with its unit."""
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.low) and math.isinf(self.high):
            return f"a {'whole ' if self.integer else ''}number{f' of {self.unit}' if unit else ''}"
        prefix = "a whole number, " if self.integer else ""
        if math.isinf(self.high):
            return f"{prefix}{self.low:g}{unit} or more"
        if math.isinf(self.low):
            return f"{prefix}{self.high:g}{unit} or less"
        return f"{prefix}{self.low:g} to {self.high:g}{unit}"

    @property
    def default_text(self) -> str:
        """The default value, as text."""
        return f"{self.default:g}"

    @property
    def description(self) -> str:
        """The effect as a clause without a full stop."""
        return f"a larger value {self.effect}"

    def check(self, value: Value) -> float:
        """Return `value` as a float.

        Raises
        ------
        UsageError : the value is not a number, or outside the range
        """
        number = math.nan  # for text too, even if it spells a number
        if isinstance(value, Real):
            # A NumPy number counts as its printed value: the float32 0.2 is slightly above 0.2.
            number = float(str(value) if hasattr(value, "dtype") else value)
        if (
            not self.low <= number <= self.high
            or math.isinf(number)
            or (self.integer and number != int(number))
        ):
            if isinstance(value, Real):
                got, remedy = f"{value}", "choose a value in the range"
            else:
                got, remedy = f"{value!r}", "give a number"
            raise UsageError(self.name, expected=self.range, got=got, remedy=remedy)
        return number

    def at_fraction(self, fraction: float) -> float:
        """Return the value at a fraction, 0 to 1, of the range on the parameter's scale.

        Examples
        --------
        >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
        >>> p.at_fraction(0.5)
        0.02
        """
        if self.scale == "log":
            value = self.low * (self.high / self.low) ** fraction
        else:
            value = self.low + (self.high - self.low) * fraction
        value = float(f"{value:.6g}")  # short enough to be typed again
        return float(min(max(round(value) if self.integer else value, self.low), self.high))

    def at_size(self, value: float, k: float) -> float:
        """Return the value that does the same to a copy of the photo that is k times as large.

        It may lie outside the range. A whole number remains one, and is at least 1.

        Examples
        --------
        >>> radius = Param("radius", "blurs wider", default=9, low=5, high=50, unit="px")
        >>> radius.at_size(9, 0.25)
        2.25
        """
        power = self.size_power
        if power is None:
            power = 1 if self.unit == "px" else 0
        if power == 0:
            return value
        return max(1, round(value * k**power)) if self.integer else value * k**power


@dataclass(frozen=True)
class ColourParam(_BaseParam):
    """A colour.

    Parameters
    ----------
    default_text : the behaviour if no colour is set

    Examples
    --------
    >>> haze = ColourParam("airlight", "is the colour of the haze", default_text="estimated")
    >>> haze.check("#E8EEF2"), haze.check(None)
    ('#e8eef2', None)
    """

    default_text: str
    default: None = None
    range = "a colour as #rrggbb"

    def check(self, value: Value) -> str | None:
        """Return the colour in lower case, or None if it is not set.

        Raises
        ------
        UsageError : the value is not a colour
        """
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            remedy = "give two hexadecimal digits each for red, green and blue, such as '#e8eef2'"
            raise UsageError(self.name, expected=self.range, got=f"{value}", remedy=remedy)
        return value.lower()


@dataclass(frozen=True)
class FileParam(_BaseParam):
    """A file.

    Parameters
    ----------
    kind : "photo", passed to the operator as pixels; or "cube", a .cube file passed as its path
    default_text : the behaviour if no file is set; "" if a file is required
    sample : name of the file among the package's samples that is the default, or ""

    Examples
    --------
    >>> FileParam("lut", "holds the look", kind="cube").check("no/such.cube")
    Traceback (most recent call last):
    burnish.errors.UsageError: lut: there is no file no/such.cube; choose a .cube file
    """

    kind: Literal["photo", "cube"]
    default_text: str = ""
    sample: str = ""
    default: None = None

    @property
    def range(self) -> str:
        """The kind of file, as text."""
        return {"photo": "a photo", "cube": "a .cube file"}[self.kind]

    def check(self, value: Value) -> str | None:
        """Return the path as text, or None for the default.

        Raises
        ------
        UsageError : a required file is missing, or the path is not a file
        """
        if value is None:
            if self.default_text:
                return None
            raise UsageError(self.name, f"{self.range} is required", f"give one with {self.option}")
        if not isinstance(value, str | Path) or not os.path.isfile(value):  # noqa: PTH113
            raise UsageError(self.name, f"there is no file {value}", f"choose {self.range}")
        return str(value)


@dataclass(frozen=True)
class ChoiceParam(_BaseParam):
    """One of a few words.

    Parameters
    ----------
    choices : the words
    default : the default word

    Examples
    --------
    >>> method = ChoiceParam("method", "is the method", choices=("fill", "blur"), default="fill")
    >>> method.check(None), method.check("blur")
    ('fill', 'blur')
    """

    choices: tuple[str, ...]
    default: str

    @property
    def range(self) -> str:
        """The choices, as text."""
        return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"

    @property
    def default_text(self) -> str:
        """The default word."""
        return self.default

    def check(self, value: Value) -> str:
        """Return the word, or the default if it is not set.

        Raises
        ------
        UsageError : the value is not one of the choices
        """
        if value is None:
            return self.default
        if value not in self.choices:
            raise UsageError(
                self.name, expected=self.range, got=f"{value}", remedy="choose one of them"
            )
        return str(value)


AnyParam = Param | ColourParam | FileParam | ChoiceParam

# The strength of any edit.
STRENGTH = Param(
    "strength",
    "shows more of the result and less of the photo, which are mixed",
    default=1,
    low=0,
    high=1,
)


def is_off(params: Iterable[AnyParam], values: Mapping[str, Value]) -> bool:
    """Return whether all parameters that have an off value are at it, and there is one.

    Parameters
    ----------
    values : of all parameters, by name
    """
    switches = [param for param in params if isinstance(param, Param) and param.off is not None]
    return bool(switches) and all(values[param.name] == param.off for param in switches)


def slider_values(
    sliders: Iterable[Param], values: Mapping[str, Value], k: float
) -> dict[str, float]:
    """Return the values of sliders for a copy of the photo that is k times as large, by name.

    Unlike those of an operator, they stay within the range, for which a network was trained.

    Examples
    --------
    >>> p = Param("sigma", "removes coarser texture", 3, low=0.5, high=8, unit="px")
    >>> slider_values([p], {"sigma": 4}, 0.25), slider_values([p], {"sigma": 4}, 0.05)
    ({'sigma': 1.0}, {'sigma': 0.5})
    """
    scaled = [(param, param.at_size(param.check(values[param.name]), k)) for param in sliders]
    return {param.name: min(max(value, param.low), param.high) for param, value in scaled}


def resolve_params(
    params: Iterable[AnyParam], values: Mapping[str, Value], owner: str
) -> dict[str, Value]:
    """Check parameter values and add the defaults.

    Parameters
    ----------
    values : by name or argument name; None means not set
    owner : the operator or edit that has these parameters, for the message

    Returns
    -------
    the value of every parameter, by name

    Raises
    ------
    UsageError : an unknown name, a value outside its range, or a required file that is missing

    Examples
    --------
    >>> p = Param("radius", "blurs wider", default=3, low=1, high=9, unit="px")
    >>> resolve_params([p], {}, "blur"), resolve_params([p], {"radius": 4}, "blur")
    ({'radius': 3.0}, {'radius': 4.0})
    """
    by_argument = {param.argument_name: param for param in params}
    by_name = {param.name: param for param in by_argument.values()}
    chosen = {}
    for key, value in values.items():
        if value is None:
            continue
        param = by_name.get(key) or by_argument.get(key)
        if param is None:
            remedy = f"choose from {', '.join(by_name)}" if by_name else "leave it out"
            raise UsageError(owner, f"there is no parameter {key}", remedy)
        chosen[param.name] = value
    return {name: param.check(chosen.get(name, param.default)) for name, param in by_name.items()}
