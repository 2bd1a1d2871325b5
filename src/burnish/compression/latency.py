"""The time that the layers of a network take on an engine, measured on this machine.

Engines compute channels in blocks: ONNX Runtime on x86 takes as long for 20 channels as for 32.
Where such steps lie depends on the machine, so that each kind of layer is measured when it is
first asked for.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from torch import nn

from burnish.compression.structure import is_depthwise
from burnish.files import atomic_write
from burnish.modelfile.card import INPUT, OUTPUT
from burnish.networks.can import CAN
from burnish.networks.network import COLOURS, Network
from burnish.networks.separable import SeparableConv2d
from burnish.networks.unet import UNetBackbone
from burnish.runtime.engines import ENGINES

# Side of the image that layers are timed on, px.
SIDE = 112
ROUNDS = 4
# Layers are timed in pairs that lead from one width to another and back.
_PAIRS = (1, 3)
# The shortest time of a layer, in ms for a million positions. Noise must not make it negative.
_LEAST = 1e-3
_OPSET = 18


def cpu_seconds(functions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the CPU time of each function: the shortest of several rounds.

    The functions take turns, so that a slow spell of the machine meets all of them. Each is run
    once before.
    """
    for function in functions:
        function()
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for index, function in enumerate(functions):
            start = time.process_time()
            function()
            best[index] = min(best[index], time.process_time() - start)
    return best


class LatencyTable:
    """Times of layers on an engine, on one thread.

    Parameters
    ----------
    path : a JSON file that keeps the measurements, or None
    """

    def __init__(self, engine: str, path: Path | None = None) -> None:
        self.engine = engine
        self.path = path
        self._times: dict[str, float] = {}
        if path is not None and path.exists():
            self._times = json.loads(path.read_text())

    def milliseconds(
        self, layer: nn.Conv2d, inputs: int, outputs: int, *, separable: bool = False
    ) -> float:
        """Return the time of a layer with so many channels for a million positions.

        Parameters
        ----------
        separable : as if the layer were separable; see `SeparableConv2d`
        """
        separable = separable or isinstance(layer, SeparableConv2d)
        kernel, dilation = layer.kernel_size[0], layer.dilation[0]
        if is_depthwise(layer):  # measured together with a 1x1 convolution
            both = self._time(inputs, outputs, kernel, dilation, separable=True)
            return max(both - self._time(inputs, outputs, 1, 1), _LEAST)
        return self._time(inputs, outputs, kernel, dilation, separable=separable)

    def _time(
        self, inputs: int, outputs: int, kernel: int, dilation: int, *, separable: bool = False
    ) -> float:
        """Return the time of a layer, which is measured if it is not in the table."""
        narrow, wide = sorted((inputs, outputs))
        key = f"{kernel}x{kernel} dilation {dilation}, {narrow} and {wide}"
        key += ", separable" if separable else ""
        if key not in self._times:
            self._times[key] = self._measure(narrow, wide, kernel, dilation, separable)
        return self._times[key]

    def network(self, network: Network) -> float:
        """Return the time of a network's layers for a megapixel, in ms."""
        return sum(
            self.milliseconds(layer, layer.in_channels, layer.out_channels) * float(positions)
            for layer, positions in image_layers(network)
        )

    def save(self) -> None:
        """Write the measurements to the file."""
        if self.path is not None:
            with atomic_write(self.path, overwrite=True) as file:
                file.write(json.dumps(self._times, indent=1).encode())

    def _measure(
        self, narrow: int, wide: int, kernel: int, dilation: int, separable: bool
    ) -> float:
        image = np.random.default_rng(0).random((1, COLOURS, SIDE, SIDE), dtype=np.float32)
        create_session = import_module(ENGINES[self.engine]).create_session
        runs = []
        for pairs in _PAIRS:
            model = _chain(narrow, wide, kernel, dilation, separable, pairs)
            session = create_session(model, "a layer", "cpu", 1)
            runs.append(lambda s=session: s._infer({INPUT: image}, lambda output: None))
        short, long = cpu_seconds(runs, ROUNDS)
        layers = 2 * (_PAIRS[1] - _PAIRS[0])
        return max(1e3 * (long - short) / layers / (SIDE**2 / 1e6), _LEAST)


def image_layers(network: Network) -> Iterator[tuple[nn.Conv2d, Fraction]]:
    """Yield the layers that process the image, with their output positions per pixel."""
    if isinstance(network, CAN):
        for layer in (*network.layers, network.to_rgb):
            assert isinstance(layer, nn.Conv2d)
            yield layer, Fraction(1)
    elif isinstance(network, UNetBackbone):
        for conv, level in network.conv_levels():
            yield conv, network.per_pixel(1, level)


def _chain(
    narrow: int, wide: int, kernel: int, dilation: int, separable: bool, pairs: int
) -> ModelProto:
    """Return a graph that widens the image's channels and runs pairs of layers."""
    widths = [COLOURS, *[narrow, wide] * pairs, narrow, COLOURS]
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []

    def add_conv(
        source: str, target: str, channels: tuple[int, int], side: int, step: int, group: int = 1
    ) -> None:
        before, after = channels[0] // group, channels[1]
        random = np.random.default_rng(0)
        array = random.normal(0, (before * side**2) ** -0.5, (after, before, side, side))
        weights.append(numpy_helper.from_array(array.astype(np.float32), f"{target}.kernel"))
        weights.append(numpy_helper.from_array(np.zeros(after, np.float32), f"{target}.bias"))
        inputs = [source, f"{target}.kernel", f"{target}.bias"]
        pads, dilations = [side // 2 * step] * 4, [step, step]
        nodes.append(
            helper.make_node("Conv", inputs, [target], pads=pads, dilations=dilations, group=group)
        )

    name = INPUT
    for index, channels in enumerate(pairwise(widths)):
        is_last = index == len(widths) - 2
        output = OUTPUT if is_last else f"conv{index}"
        if is_last or index == 0:
            add_conv(name, output, channels, 1, 1)
        elif separable:
            filters = channels[0], channels[0]
            add_conv(name, f"filters{index}", filters, kernel, dilation, group=channels[0])
            add_conv(f"filters{index}", output, channels, 1, 1)
        else:
            add_conv(name, output, channels, kernel, dilation)
        if not is_last:
            name = f"x{index}"
            nodes.append(helper.make_node("LeakyRelu", [output], [name], alpha=0.1))
    shape: list[str | int | None] = ["batch", COLOURS, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "layers",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
        weights,
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)
