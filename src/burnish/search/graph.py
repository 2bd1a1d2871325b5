"""A candidate as a graph of operations, from which its cost and its fidelity are predicted.

Its speed is measured on the same graph with random weights. That graph equals the one of an export,
which takes seconds, up to the values of the weights. Activations are part of the operation
before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Literal, get_args

from burnish.networks.network import COLOURS
from burnish.search.space import Candidate

Kind = Literal[
    "image",
    "guide",
    "join",
    "conv",
    "depthwise",
    "dilated",
    "pointwise",
    "stride",
    "tail",
    "enlarge",
    "add",
    "output",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# How an operation reads another one: its neighbour, a skip connection, or another resolution.
Relation = Literal["flow", "skip", "resolution"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Operation:
    """A node of the graph.

    Attributes
    ----------
    inputs : the operations that it reads, and how
    channels_in, channels_out : of a convolution also the shape of its kernel
    positions : the output's height times width, divided by that of the image
    activated : an activation follows
    """

    kind: Kind
    inputs: tuple[tuple[int, Relation], ...]
    channels_in: int
    channels_out: int
    positions: Fraction
    kernel: int = 0
    dilation: int = 1
    groups: int = 1
    stride: int = 1
    activated: bool = False

    @property
    def macs(self) -> float:
        """Multiply-adds for a pixel of the image."""
        weights = self.channels_out * (self.channels_in // self.groups) * self.kernel**2
        return float(weights * self.positions)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        inputs = self.channels_in // self.groups * self.kernel**2
        return self.channels_out * (inputs + 1) if self.kernel else 0

    @property
    def values(self) -> float:
        """Numbers in the output for a pixel of the image."""
        return float(self.channels_out * self.positions)


def operations(candidate: Candidate) -> list[Operation]:
    """Return the operations of a candidate, in the order in which they run."""
    return _Builder(candidate).operations


def bytes_moved(graph: Sequence[Operation]) -> float:
    """Return the bytes that the operations read and write for a pixel of the image.

    After Yang et al. 2017 (https://doi.org/10.1109/CVPR.2017.643), the traffic of features
    dominates the energy of a network. Weights are small, and stay in the cache.
    """
    values = sum(op.values + sum(graph[index].values for index, _ in op.inputs) for op in graph)
    return _FLOAT_BYTES * values


def receptive_radius(graph: Sequence[Operation]) -> float:
    """Return the radius of the receptive field in pixels.

    The halo is larger by less than the size multiple, because cells keep to a grid.
    """
    return sum(op.kernel // 2 * op.dilation / sqrt(op.positions * op.stride**2) for op in graph)


def peak_values(graph: Sequence[Operation]) -> float:
    """Return the most numbers in memory at once for a pixel, with no operation in place."""
    last_use = {source: index for index, op in enumerate(graph) for source, _ in op.inputs}
    return max(
        sum(
            op.values
            for source, op in enumerate(graph[: index + 1])
            if last_use.get(source, index) >= index
        )
        for index in range(len(graph))
    )


class _Builder:
    """Adds one operation after the other, as `UNetBackbone.forward_features` runs them."""

    def __init__(self, candidate: Candidate) -> None:
        arguments = candidate.arguments
        self.cell, self.kinds = arguments["factor"], arguments["kinds"]
        self.operations: list[Operation] = []
        guided = candidate.guide_ratio is not None
        block = COLOURS * self.cell**2
        widths = arguments["widths"]
        image = base = x = self._add("image", (), 0, block, 0)
        images = [image]
        if guided:
            base = self._add("guide", (), 0, block, 0)
            images = [image, base]
            x = self._add("join", [(image, "flow"), (base, "flow")], block, 2 * block, 0)
        x = self._conv("conv", x, widths[0], 0)
        skips = []
        for level, count in enumerate(arguments["down"]):
            if level:
                skips.append(x)
                x = self._conv("stride", x, widths[level], level, relation="resolution")
            x = self._layers(x, level, count)
        for level in reversed(range(len(widths) - 1)):
            x = self._conv("pointwise", x, widths[level], level + 1, activated=False)
            x = self._add("enlarge", [(x, "resolution")], widths[level], widths[level], level)
            inputs: list[tuple[int, Relation]] = [(x, "flow"), (skips.pop(), "skip")]
            x = self._add("add", inputs, widths[level], widths[level], level, activated=True)
            x = self._layers(x, level, arguments["up"][level])
        terms = 1 + len(images) if arguments["gain"] else 1
        x = self._conv("tail", x, terms * block, 0, activated=False)
        sources = images if arguments["gain"] else [base]
        ends: list[tuple[int, Relation]] = [(x, "flow"), *((i, "skip") for i in sources)]
        self._add("output", ends, terms * block, block, 0)

    def _layers(self, x: int, level: int, count: int) -> int:
        width, kind = self.operations[x].channels_out, self.kinds[level]
        for _ in range(count):
            if kind == "separable":
                x = self._conv("depthwise", x, width, level)
                x = self._conv("pointwise", x, width, level)
            else:
                x = self._conv("dilated" if kind == "dilated" else "conv", x, width, level)
        return x

    def _conv(
        self,
        kind: Kind,
        x: int,
        channels: int,
        level: int,
        *,
        relation: Relation = "flow",
        activated: bool = True,
    ) -> int:
        before = self.operations[x].channels_out
        return self._add(
            kind,
            [(x, relation)],
            before,
            channels,
            level,
            kernel=1 if kind == "pointwise" else 3,
            dilation=2 if kind == "dilated" else 1,
            groups=before if kind == "depthwise" else 1,
            stride=2 if kind == "stride" else 1,
            activated=activated,
        )

    def _add(
        self,
        kind: Kind,
        inputs: Sequence[tuple[int, Relation]],
        channels_in: int,
        channels_out: int,
        level: int,
        *,
        kernel: int = 0,
        dilation: int = 1,
        groups: int = 1,
        stride: int = 1,
        activated: bool = False,
    ) -> int:
        positions = Fraction(1, (self.cell << level) ** 2)
        self.operations.append(
            Operation(
                kind,
                tuple(inputs),
                channels_in,
                channels_out,
                positions,
                kernel,
                dilation,
                groups,
                stride,
                activated,
            )
        )
        return len(self.operations) - 1
