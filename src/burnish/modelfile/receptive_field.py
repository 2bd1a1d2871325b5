"""The receptive field of a graph, computed without running it. A halo of its radius is exact.

For each row, and each column, of every tensor, the first and last row of the image and its guide
that it depends on is propagated from them to the output.
"""

from collections.abc import Callable, Collection, Mapping
from functools import reduce
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from burnish.modelfile.base_card import reject
from burnish.modelfile.card import GUIDE, INPUT, OUTPUT
from burnish.modelfile.graph_costs import Shapes, tensor_shapes
from burnish.modelfile.graph_rules import (
    MULTI_INPUT_OPS,
    SAMPLE_OP,
    attributes,
    constant_tensors,
    context_tensor_names,
    small_constant,
)
from burnish.modelfile.onnx_file import graph_inputs

_Indices = NDArray[np.int64]
# For each row of a tensor, the first and the last row of the image that it depends on.
_Interval = tuple[_Indices, _Indices]
# For each row of an output, the first and the last row of the input, and the step between taps.
_Window = tuple[_Indices, _Indices, int]

# Windows of more taps behind a reflecting border are taken to depend on the whole image.
_MAX_TAPS = 128

_ROUNDING: dict[bytes, Callable[[NDArray[Any]], NDArray[Any]]] = {
    b"floor": np.floor,
    b"ceil": np.ceil,
    b"round_prefer_floor": lambda index: np.ceil(index - 0.5),
    b"round_prefer_ceil": lambda index: np.floor(index + 0.5),
}


def receptive_field(model: ModelProto, size_multiple: int, halo: int, filename: str) -> int:
    """Return the radius of the receptive field in px, by row or by column.

    The radius is exact up to twice `halo`; a larger one is only known to exceed `halo`. Weights are
    not considered, so that a zero in a kernel does not make it smaller.

    Raises
    ------
    ModelError : sizes do not fit together, or an operator takes tensors of different resolutions
    """
    # The image is so large that it contains pixels beyond the halo.
    side = size_multiple * ceil((2 * halo + 64) / size_multiple)
    shapes = tensor_shapes(model, side, side, size_multiple, filename)
    return max(_radius_along(axis, model.graph, shapes, filename) for axis in (2, 3))


def _radius_along(axis: int, graph: GraphProto, shapes: Shapes, filename: str) -> int:
    context, constants = context_tensor_names(graph), constant_tensors(graph)
    rows = np.arange(shapes[INPUT][axis])
    intervals = {
        value.name: (rows, rows) for value in graph_inputs(graph) if value.name in (INPUT, GUIDE)
    }
    for node in graph.node:
        if node.op_type == SAMPLE_OP:
            output = node.output[0]
            intervals[output] = _sampled_interval(shapes[output][axis], len(rows))
            continue
        sources = [intervals[name] for name in dict.fromkeys(node.input) if name in intervals]
        if not sources:  # The node computes weights or context tensors.
            continue
        _check_broadcast(node, context, shapes, filename)
        if len({len(first) for first, _ in sources}) > 1:
            reject(filename, f"{node.op_type} takes tensors of different resolutions")
        first = reduce(np.minimum, [source[0] for source in sources])
        last = reduce(np.maximum, [source[1] for source in sources])
        if node.op_type not in MULTI_INPUT_OPS:
            first, last = _propagate(first, last, _window(node, shapes, constants, axis))
        for name in filter(None, node.output):
            if len(shapes[name]) != 4 or shapes[name][axis] != len(first):
                shape = shapes[name][:8]
                reject(filename, f"{node.op_type} gives {shape}, not batch x 3 x height x width")
            intervals[name] = (first, last)
    first, last = intervals[OUTPUT]
    return max(0, int((rows - first).max()), int((last - rows).max()))


def _sampled_interval(blocks: int, rows: int) -> _Interval:
    """Return the interval of a sampled context value, for each block.

    It depends on no pixel, but a tile samples the context for its own blocks only. An operator that
    reads a neighbouring block needs a halo that reaches the nearest row of that block.
    """
    block = rows // blocks
    start = block * np.arange(blocks)
    return start + block - 1, start


def _check_broadcast(
    node: NodeProto, context: Collection[str], shapes: Shapes, filename: str
) -> None:
    """Check that a context tensor that meets the image is one number per channel."""
    for i, name in enumerate(node.input):
        is_kernel = node.op_type == "Conv" and i == 1
        if name in context and not is_kernel and shapes[name][2:] != (1, 1):
            shape = shapes[name][:8]
            problem = f"a context tensor of shape {shape} meets the image; only one number"
            reject(filename, f"{problem} per channel may")


def _propagate(first: _Indices, last: _Indices, window: _Window) -> _Interval:
    """Return the intervals of an output from its input's and from the window of each row."""
    start, end, step = window
    # Beyond the border there is nothing, or pixels repeated from inside.
    clipped_start, clipped_end = (np.clip(index, 0, len(first) - 1) for index in (start, end))
    if (np.diff(first) >= 0).all() and (np.diff(last) >= 0).all():
        return first[clipped_start], last[clipped_end]
    # After a reflecting border the extreme need not be at the end of a window.
    offsets = range(0, int((end - start).max()) + 1, step)
    if len(offsets) > _MAX_TAPS:
        return np.full_like(start, first.min()), np.full_like(start, last.max())
    taps = [np.clip(np.minimum(start + offset, end), 0, len(first) - 1) for offset in offsets]
    return (
        reduce(np.minimum, [first[tap] for tap in taps]),
        reduce(np.maximum, [last[tap] for tap in taps]),
    )


def _window(
    node: NodeProto, shapes: Shapes, constants: Mapping[str, TensorProto], axis: int
) -> _Window:
    index = np.arange(shapes[node.output[0]][axis])
    node_attributes = attributes(node)
    if node.op_type in ("AveragePool", "Conv", "MaxPool"):
        along = axis - 2
        is_conv = node.op_type == "Conv"
        kernel = shapes[node.input[1]][2:] if is_conv else node_attributes["kernel_shape"]
        stride = node_attributes.get("strides", (1, 1))[along]
        start = index * stride - node_attributes.get("pads", (0, 0))[along]
        step = node_attributes.get("dilations", (1, 1))[along]
        return start, start + step * (kernel[along] - 1), step
    if node.op_type == "DepthToSpace":
        start = index // node_attributes["blocksize"]
        return start, start, 1
    if node.op_type == "SpaceToDepth":
        start = index * node_attributes["blocksize"]
        return start, start + node_attributes["blocksize"] - 1, 1
    if node.op_type == "Pad":
        start = index - int(small_constant(constants[node.input[1]])[axis])
        if node_attributes.get("mode") == b"reflect":
            last = shapes[node.input[0]][axis] - 1
            start = last - np.abs(last - np.abs(start))
        return start, start, 1
    if node.op_type == "Resize":
        scale = float(small_constant(constants[node.input[2]])[axis])
        return *_resize_window(index, node_attributes, scale), 1
    return index, index, 1


def _resize_window(
    index: _Indices, node_attributes: dict[str, Any], scale: float
) -> tuple[_Indices, _Indices]:
    mode = node_attributes.get("coordinate_transformation_mode", b"half_pixel")
    exact: NDArray[Any] = (index + 0.5) / scale - 0.5 if mode == b"half_pixel" else index / scale
    if node_attributes.get("mode", b"nearest") == b"nearest":
        rounding = _ROUNDING[node_attributes.get("nearest_mode", b"round_prefer_floor")]
        start = end = rounding(exact)
    else:
        start, end = np.floor(exact), np.ceil(exact)
    return start.astype(np.int64), end.astype(np.int64)
