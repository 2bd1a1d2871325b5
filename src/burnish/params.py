"""Param: everything a person may turn, described once; every face derives its controls from it."""

import keyword
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from burnish.errors import UsageError


@dataclass(frozen=True)
class Param:
    """One number that a person may turn.

    Parameters
    ----------
    name : the paper's name, lower case; the command line's option is ``--name``
    effect : what a larger value does, as a sentence without its full stop
    default : used where nothing is said
    low, high : the range, both ends included
    scale : how a slider moves, and how training draws values
    unit : physical unit, or "" for a pure number

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> p.keyword, p.option
    ('lambda_', '--lambda')
    >>> p.check(0.5)
    Traceback (most recent call last):
    burnish.errors.UsageError: lambda: expected 0.002 to 0.2, got 0.5; choose a value in the range
    """

    name: str
    effect: str
    default: float
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"{self.name}: default {self.default} outside {self.range}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"{self.name}: a log scale needs a range above 0, not {self.range}")

    @property
    def keyword(self) -> str:
        """The Python keyword: the name, with PEP 8's underscore where Python reserves it."""
        name = self.name.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def option(self) -> str:
        """The command line's option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def range(self) -> str:
        """The range in words, with its unit."""
        return f"{self.low:g} to {self.high:g}{f' {self.unit}' if self.unit else ''}"

    def check(self, value: float) -> float:
        """Return `value` as a float, or raise UsageError where it is no number in the range."""
        number = float(value) if isinstance(value, int | float) else math.nan
        if not self.low <= number <= self.high:
            raise UsageError(
                self.name,
                expected=self.range,
                got=f"{value}",
                remedy="choose a value in the range",
            )
        return number


def settle(params: Iterable[Param], given: Mapping[str, float | None], of: str) -> dict[str, float]:
    """Check the values in `given` (by name or keyword; None is 'not said') and add the defaults.

    Parameters
    ----------
    of : whose parameters they are, for the message

    Raises
    ------
    UsageError : an unknown name, or a value outside its range

    Examples
    --------
    >>> p = Param("radius", "blurs wider", default=3, low=1, high=9, unit="px")
    >>> settle([p], {}, "blur"), settle([p], {"radius": 4}, "blur")
    ({'radius': 3}, {'radius': 4.0})
    """
    by_keyword = {param.keyword: param for param in params}
    by_name = {param.name: param for param in by_keyword.values()}
    values = {name: param.default for name, param in by_name.items()}
    for key, value in given.items():
        if value is None:
            continue
        param = by_name.get(key) or by_keyword.get(key)
        if param is None:
            raise UsageError(
                of,
                expected=f"parameters among {', '.join(by_name)}" if by_name else "no parameters",
                got=key,
                remedy="leave it out, or choose one of them" if by_name else "leave it out",
            )
        values[param.name] = param.check(value)
    return values
