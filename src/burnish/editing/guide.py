"""The operator at a small size, whose output guides a network from there on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from burnish.errors import MissingLibraryError, UsageError
from burnish.modelfile.card import Card
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import Value
from burnish.runtime.resize import area_resize, area_resize_regions
from burnish.types import Pixels, ReadRegion

# Largest copy of a photo on which the operator measures, px. The copies of a video's samples have
# this size together.
_MEASURED_PIXELS = 4_000_000
_MEASURED_SAMPLE_PIXELS = _MEASURED_PIXELS // 16


def load_guide(
    card: Card, values: Mapping[str, Value], files: Mapping[str, Value], wanted: str | None
) -> "OperatorGuide | None":
    """Return the operator that guides a network, or None if its start network does.

    Parameters
    ----------
    values : the values of the operator's parameters that the network imitates
    files : the files among them that are given, by the parameter's name
    wanted : "operator", "network", or None for the operator if it can be run, else the network

    Raises
    ------
    UsageError : the network takes no guide, or not the wanted one
    MissingLibraryError : the operator needs a library that is not installed
    """
    if wanted not in (None, "operator", "network"):
        remedy = "leave it out for the best one that is there"
        raise UsageError("guide", expected="operator or network", got=wanted, remedy=remedy)
    if card.guide is None:
        if wanted is None:
            return None
        raise UsageError("guide", f"the network {card.name} takes no guide", "leave it out")
    if wanted == "network":
        if card.guide.start is None:
            problem = f"the file of {card.name} has no start network"
            raise UsageError("guide", problem, "let the operator guide it")
        return None
    try:
        return OperatorGuide(card, values, files)
    except (UsageError, MissingLibraryError):
        if wanted == "operator" or card.guide.start is None:
            raise
        return None


class OperatorGuide:
    """A built-in operator that computes the first level of a network's cascade.

    Parameters are those of `load_guide`, which describes the errors.
    """

    def __init__(self, card: Card, values: Mapping[str, Value], files: Mapping[str, Value]) -> None:
        operator = OPERATORS.get(card.operator)
        remedy = "let the start network guide it"
        if operator is None:
            problem = f"the operator of {card.name}, {card.operator}, is not a built-in one"
            raise UsageError("guide", problem, remedy)
        for fixed in card.fixed_params:
            if fixed.sha256 and not files.get(fixed.name):
                problem = f"the operator of {card.name} used the file {fixed.value}"
                raise UsageError("guide", problem, f"give it with --{fixed.name}, or {remedy}")
        self._values = operator.resolve_params(values)
        operator.load_function()  # raises MissingLibraryError before any photo is read
        self._operator: Operator = operator

    def compute(
        self,
        read: ReadRegion,
        size: tuple[int, int],
        first_level: tuple[int, int],
        measured: Mapping[str, Any] | None = None,
    ) -> Pixels:
        """Return the operator's output for a copy of a photo.

        Parameters
        ----------
        read : returns a rectangle of the photo
        size : height and width of the photo, px
        first_level : height and width of the copy, px
        measured : what the operator measures on the whole photo [default: that of this photo]
        """
        if measured is None and self._operator.measure_function:
            copy = area_resize_regions(read, size, _reduced(size, _MEASURED_PIXELS))
            measured = self._operator.measure(copy, **self._values)
        k = min(first_level) / min(size)
        copy = area_resize_regions(read, size, first_level)
        output: Pixels = self._operator.run_small(copy, k, measured, **self._values)
        return output

    def measure_video(self, samples: Callable[[], Iterable[Pixels]]) -> dict[str, Any]:
        """Return what the operator measures, for all frames of a video together."""
        if not self._operator.measure_function:
            return {}
        copies = [
            area_resize(pixels, _reduced(pixels.shape[:2], _MEASURED_SAMPLE_PIXELS))
            for pixels in samples()
        ]
        return self._operator.measure(np.concatenate(copies), **self._values)

    def fingerprint(self) -> str:
        """Return the fingerprint of the operator and its parameters."""
        return self._operator.fingerprint(self._values)


def _reduced(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Return a height and width in the same proportion, with about `max_pixels` at most."""
    ratio = min(1.0, (max_pixels / (size[0] * size[1])) ** 0.5)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
