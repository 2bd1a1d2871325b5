"""The operator at a small size, whose output guides a network from there on."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from burnish.errors import MissingLibraryError, UsageError
from burnish.modelfile.card import Card
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import Value
from burnish.runtime.cascade import MEASURED_PIXELS, operator_output, reduced_size
from burnish.runtime.resize import area_resize
from burnish.types import Pixels, ReadRegion

# Largest copy of one of a video's sixteen samples on which an operator measures, px.
_MEASURED_SAMPLE_PIXELS = MEASURED_PIXELS // 16


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
        """Return the operator's output; see `burnish.runtime.cascade.operator_output`."""
        return operator_output(self._operator, self._values, read, size, first_level, measured)

    def measure_video(self, samples: Callable[[], Iterable[Pixels]]) -> dict[str, Any]:
        """Return what the operator measures, for all frames of a video together."""
        if not self._operator.measure_function:
            return {}
        copies = [
            area_resize(pixels, reduced_size(pixels.shape[:2], _MEASURED_SAMPLE_PIXELS))
            for pixels in samples()
        ]
        return self._operator.measure(np.concatenate(copies), **self._values)

    def fingerprint(self) -> str:
        """Return the fingerprint of the operator and its parameters."""
        return self._operator.fingerprint(self._values)
