"""Params: everything a person may turn, described once; every face derives its controls from it."""

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Literal

from burnish.errors import UsageError

# What a parameter can be: a number, a colour as #rrggbb, a file's path, or None for 'not said'.
Value = float | str | None


@dataclass(frozen=True)
class _BaseParam:
    """A name, and the sentence that says what it does.

    Parameters
    ----------
    name : the paper's name, lower case; the command line's option is ``--name``
    effect : what a larger value does (a number), or what it is (a colour, a file): a sentence
        without its full stop
    """

    name: str
    effect: str

    @property
    def argument_name(self) -> str:
        """The Python keyword: the name, with PEP 8's underscore where Python reserves it."""
        name = self.name.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def option(self) -> str:
        """The command line's option."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True)
class Param(_BaseParam):
    """One number that a person may turn.

    Parameters
    ----------
    default : used where nothing is said
    low, high : the range, both ends included
    scale : how a slider moves, and how training draws values
    unit : physical unit, or "" for a pure number
    integer : whether it is a whole number

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> p.keyword, p.option
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

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"{self.name}: default {self.default} outside {self.range}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs a range above 0, not {self.range}")

    @property
    def range(self) -> str:
        """The range in words, with its unit."""
        prefix = "a whole number, " if self.integer else ""
        return f"{prefix}{self.low:g} to {self.high:g}{f' {self.unit}' if self.unit else ''}"

    @property
    def default_text(self) -> str:
        """What holds where nothing is said, in words."""
        return f"{self.default:g}"

    @property
    def description(self) -> str:
        """What it does, as a sentence without its full stop."""
        return f"a larger value {self.effect}"

    def check(self, value: Value) -> float:
        """Return `value` as a float, or raise UsageError where it is no number in the range."""
        number = math.nan  # as text is, also where it spells one
        if isinstance(value, Real):
            # NumPy's numbers too, taken as they print: the float32 0.2 is a little more.
            number = float(str(value) if hasattr(value, "dtype") else value)
        if not self.low <= number <= self.high or (self.integer and number != int(number)):
            raise UsageError(
                self.name,
                expected=self.range,
                got=f"{value}" if isinstance(value, Real) else f"{value!r}, which is no number",
                remedy="choose a value in the range",
            )
        return number

    def at_fraction(self, fraction: float) -> float:
        """Return the value at a share of the way, 0 to 1, along the parameter's scale.

        Examples
        --------
        >>> Param("lambda", "x", default=0.02, low=0.002, high=0.2, scale="log").draw(0.5)
        0.02
        """
        if self.scale == "log":
            value = self.low * (self.high / self.low) ** fraction
        else:
            value = self.low + (self.high - self.low) * fraction
        value = float(f"{value:.6g}")  # a value that can be typed again
        return float(min(max(round(value) if self.integer else value, self.low), self.high))


@dataclass(frozen=True)
class ColourParam(_BaseParam):
    """A colour that a person may choose.

    Parameters
    ----------
    default_text : what holds where none is chosen, in words

    Examples
    --------
    >>> haze = ColourParam("airlight", "is the colour of the haze", default_text="estimated")
    >>> haze.check("#E8EEF2"), haze.check(None)
    ('#e8eef2', None)
    """

    default_text: str
    default: None = None
    range = "a colour as #rrggbb"

    @property
    def description(self) -> str:
        """What it does, as a sentence without its full stop."""
        return self.effect

    def check(self, value: Value) -> str | None:
        """Return a colour in lower case, or raise UsageError where it is none."""
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise UsageError(
                self.name,
                expected=self.range,
                got=f"{value}",
                remedy="two hexadecimal digits each for red, green and blue, such as '#e8eef2'",
            )
        return value.lower()


@dataclass(frozen=True)
class FileParam(_BaseParam):
    """A file that an operator works with.

    Parameters
    ----------
    kind : a photo, given to the operator as its pixels; or a .cube file, given as its path
    default_text : what holds where none is given, in words; "" where one has to be given
    sample : the file among the package's samples that serves where none is given, if one does

    Examples
    --------
    >>> FileParam("lut", "holds the look", kind="cube").check("no/such.cube")
    Traceback (most recent call last):
    burnish.errors.UsageError: lut: expected a .cube file, got no/such.cube, which is no file; \
name another
    """

    kind: Literal["photo", "cube"]
    default_text: str = ""
    sample: str = ""
    default: None = None

    @property
    def range(self) -> str:
        """What it has to be, in words."""
        return {"photo": "a photo", "cube": "a .cube file"}[self.kind]

    @property
    def description(self) -> str:
        """What it does, as a sentence without its full stop."""
        return self.effect

    def check(self, value: Value) -> str | None:
        """Return the path as text, or raise UsageError where one is missing or is no file."""
        if value is None and self.default_text:
            return None
        if not isinstance(value, str | Path):
            got, remedy = "none" if value is None else f"{value}", f"name one with {self.option}"
        elif not Path(value).is_file():
            got, remedy = f"{value}, which is no file", "name another"
        else:
            return str(value)
        raise UsageError(self.name, expected=self.range, got=got, remedy=remedy)


@dataclass(frozen=True)
class ChoiceParam(_BaseParam):
    """One of a few words.

    Parameters
    ----------
    choices : the words
    default : the one that holds where none is said

    Examples
    --------
    >>> way = ChoiceParam("method", "is how it is done", choices=("fill", "blur"), default="fill")
    >>> way.check(None), way.check("blur")
    ('fill', 'blur')
    """

    choices: tuple[str, ...]
    default: str

    @property
    def range(self) -> str:
        """The words."""
        return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"

    @property
    def default_text(self) -> str:
        """What holds where nothing is said."""
        return self.default

    @property
    def description(self) -> str:
        """What it does, as a sentence without its full stop."""
        return self.effect

    def check(self, value: Value) -> str:
        """Return the word, or raise UsageError where it is none of them."""
        if value is None:
            return self.default
        if value not in self.choices:
            raise UsageError(
                self.name, expected=self.range, got=f"{value}", remedy="choose one of them"
            )
        return str(value)


AnyParam = Param | ColourParam | FileParam | ChoiceParam


def resolve_params(
    params: Iterable[AnyParam], values: Mapping[str, Value], owner: str
) -> dict[str, Value]:
    """Check the values in `values` (by name or keyword; None is 'not said') and add the defaults.

    Parameters
    ----------
    owner : whose parameters they are, for the message

    Raises
    ------
    UsageError : an unknown name, a value outside its range, or a file that has to be given

    Examples
    --------
    >>> p = Param("radius", "blurs wider", default=3, low=1, high=9, unit="px")
    >>> resolve_params([p], {}, "blur"), resolve_params([p], {"radius": 4}, "blur")
    ({'radius': 3.0}, {'radius': 4.0})
    """
    by_keyword = {param.argument_name: param for param in params}
    by_name = {param.name: param for param in by_keyword.values()}
    chosen = {}
    for key, value in values.items():
        if value is None:
            continue
        param = by_name.get(key) or by_keyword.get(key)
        if param is None:
            raise UsageError(
                owner,
                expected=f"parameters among {', '.join(by_name)}" if by_name else "no parameters",
                got=key,
                remedy="leave it out, or choose one of them" if by_name else "leave it out",
            )
        chosen[param.name] = value
    return {name: param.check(chosen.get(name, param.default)) for name, param in by_name.items()}
