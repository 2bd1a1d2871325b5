"""The space that is searched: U-Nets, and the guides that they take.

Each choice is made by a function that is given its name and its options, so that a random number
generator, an optimiser and a mutation draw candidates from the same space.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from burnish.errors import UsageError
from burnish.networks.network import Network
from burnish.networks.registry import build, network_spec, unet_name

# Makes a choice, given its name and its options.
Choose = Callable[[str, Sequence[Any]], Any]

CELLS = (2, 4)
MIN_LEVELS, MAX_LEVELS = 2, 5
# Engines compute channels in blocks of 8 or 16.
WIDTHS = (8, 16, 24, 32, 48, 64)
DOWN = (0, 1, 2, 3)
UP = (0, 1, 2)
KINDS = ("plain", "separable", "dilated")
ACTIVATIONS = ("leaky", "relu")
# None: the network takes no guide. Else the largest ratio of two levels of the cascade.
GUIDE_RATIOS = (None, 2.0, 4.0)
# px: the largest multiple that the sides of an image must have
MAX_SIZE_MULTIPLE = 32
# The most multiply-adds for a pixel, about those of the network `best`.
MAX_MACS = 20_000
# The chance that a mutation changes a choice.
_MUTATION_RATE = 0.12


@dataclass(frozen=True)
class Candidate:
    """A network of the space, and the guide that it takes.

    Attributes
    ----------
    network : a name of `burnish.networks.registry`
    guide_ratio : the largest ratio of two levels of its cascade; None if it takes no guide

    Examples
    --------
    >>> candidate = Candidate("unet2-16.32-12-1", None)
    >>> candidate.build().halo, candidate.label
    (21, 'unet2-16.32-12-1')
    """

    network: str
    guide_ratio: float | None = None

    @classmethod
    def draw(cls, choose: Choose) -> Self:
        """Return the candidate that some choices lead to.

        All choices are made each time, also those for levels that the network does not have:
        optimisers need a space of constant dimensions.
        """
        cell = choose("cell", CELLS)
        count = choose("levels", range(MIN_LEVELS, MAX_LEVELS + 1))
        levels = [_level(choose, index) for index in range(MAX_LEVELS)]
        while cell << (count - 1) > MAX_SIZE_MULTIPLE:
            count -= 1
        widths, down, up, kinds = zip(*levels[:count], strict=True)
        arguments = {"factor": cell, "widths": widths, "down": down, "up": up[:-1]}
        arguments["kinds"] = [
            kind if any(counts) else "plain"
            for kind, *counts in zip(kinds, down, (*up[:-1], 0), strict=True)
        ]
        arguments["activation"] = choose("activation", ACTIVATIONS)
        arguments["gain"] = choose("gain", (True, False))
        return cls(unet_name(arguments), choose("guide_ratio", GUIDE_RATIOS))

    @cached_property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the network, see `burnish.networks.unet.UNet`."""
        spec = network_spec(self.network)
        if spec is None or not spec.is_unet:
            raise UsageError("the network", f"{self.network} is not of the space", "search anew")
        levels = len(spec.arguments["widths"])
        defaults = {"factor": 2, "kinds": ("plain",) * levels, "activation": "leaky", "gain": True}
        return defaults | spec.arguments

    @property
    def choices(self) -> dict[str, Any]:
        """The choices that lead to this candidate; levels that it does not have are like the last.

        Raises
        ------
        KeyError : the candidate is outside the space
        """
        arguments = self.arguments
        count = len(arguments["widths"])
        choices = {"cell": arguments["factor"], "levels": count, "guide_ratio": self.guide_ratio}
        choices |= {name: arguments[name] for name in ("activation", "gain")}
        for index in range(MAX_LEVELS):
            level = min(index, count - 1)
            ups = (*arguments["up"], 0)
            values = (arguments[name][level] for name in ("widths", "down", "kinds"))
            names = (f"width {index}", f"down {index}", f"kind {index}")
            choices |= dict(zip(names, values, strict=True))
            choices[f"up {index}"] = ups[level]
        return choices

    @property
    def label(self) -> str:
        """The network and its guide in one text, which identifies the candidate."""
        guide = f" guide {self.guide_ratio:g}" if self.guide_ratio else ""
        return f"{self.network}{guide}"

    @classmethod
    def from_label(cls, label: str) -> Self:
        """Return the candidate with this label."""
        network, _, ratio = label.partition(" guide ")
        return cls(network, float(ratio) if ratio else None)

    def build(self) -> Network:
        """Return the network with random weights."""
        return build(self.network, guided=self.guide_ratio is not None)


def _level(choose: Choose, index: int) -> tuple[int, int, int, str]:
    """Return the width of a level, its numbers of layers down and up, and their kind."""
    options = {"width": WIDTHS, "down": DOWN, "up": UP, "kind": KINDS}
    width, down, up, kind = (choose(f"{name} {index}", o) for name, o in options.items())
    return width, down, up, kind


def random_candidate(random: np.random.Generator) -> Candidate:
    """Return a random candidate of at most `MAX_MACS`."""
    while True:
        candidate = Candidate.draw(
            lambda name, options: options[int(random.integers(len(options)))]
        )
        if is_allowed(candidate):
            return candidate


def mutated(candidate: Candidate, random: np.random.Generator) -> Candidate:
    """Return a candidate with some other choices, of at most `MAX_MACS`."""
    old: Mapping[str, Hashable] = candidate.choices

    def choose(name: str, options: Sequence[Any]) -> Any:
        if random.random() < _MUTATION_RATE or old[name] not in options:
            return options[int(random.integers(len(options)))]
        return old[name]

    while True:
        other = Candidate.draw(choose)
        if other != candidate and is_allowed(other):
            return other


def is_allowed(candidate: Candidate) -> bool:
    """Return whether a candidate has at most `MAX_MACS` multiply-adds for a pixel."""
    from burnish.search.graph import operations

    return sum(operation.macs for operation in operations(candidate)) <= MAX_MACS
