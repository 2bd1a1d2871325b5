"""How far a result pixel can see, told from the graph alone.

For each row (and column) of each tensor, the first and last row of the picture that it depends on:
from the picture through every node to the result. A tile whose halo is as wide holds all of them.
"""

from collections.abc import Callable, Collection, Mapping
from functools import reduce
from math import ceil
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto

from burnish.modelfile.allowed_ops import (
    MULTI_INPUT_OPS,
    SAMPLE_OP,
    attributes,
    constant_tensors,
    context_tensor_names,
    small_constant,
)
from burnish.modelfile.card import INPUT, OUTPUT
from burnish.modelfile.refusal import reject
from burnish.modelfile.shapes import Shapes, tensor_shapes

_Indices = NDArray[np.int64]
_Interval = tuple[_Indices, _Indices]
_Window = tuple[_Indices, _Indices, int]

_ROW_AXIS, _COLUMN_AXIS = 2, 3
# A window of more is taken to see everything, where it cannot be told by its ends.
_MAX_TAPS = 128

_ROUNDING: dict[bytes, Callable[[NDArray[Any]], NDArray[Any]]] = {
    b"floor": np.floor,
    b"ceil": np.ceil,
    b"round_prefer_floor": lambda place: np.ceil(place - 0.5),
    b"round_prefer_ceil": lambda place: np.floor(place + 0.5),
}


def receptive_field(model: ModelProto, size_multiple: int, halo: int, filename: str) -> int:
    """Return how far a result pixel can see, in px, by row or by column.

    The structure is asked, not the weights: one that happens to be zero hides nothing. Exact up to
    twice `halo`; where it is more, some number above `halo`.

    Raises
    ------
    ModelError : sizes do not fit together, or tensors of different resolution meet
    """
    # In a picture this large something beyond the halo lies inside it, and is seen.
    side = size_multiple * ceil((2 * halo + 64) / size_multiple)
    shapes = tensor_shapes(model, side, side, size_multiple, filename)
    known = constant_tensors(model.graph)
    return max(
        _receptive_field_along(model, shapes, known, axis, filename)
        for axis in (_ROW_AXIS, _COLUMN_AXIS)
    )


def _receptive_field_along(
    model: ModelProto,
    shapes: Shapes,
    known: Mapping[str, TensorProto],
    axis: int,
    filename: str,
) -> int:
    context = context_tensor_names(model.graph)
    rows = np.arange(shapes[INPUT][axis])
    intervals: dict[str, _Interval] = {INPUT: (rows, rows)}
    for node in model.graph.node:
        if node.op_type == SAMPLE_OP:
            intervals[node.output[0]] = _sampled_interval(shapes[node.output[0]][axis], len(rows))
            continue
        sources = [intervals[name] for name in dict.fromkeys(node.input) if name in intervals]
        if not sources:  # weights, and what holds for the whole picture
            continue
        _check_broadcast(node, context, shapes, filename)
        if len({len(first) for first, _ in sources}) > 1:
            reject(
                filename, "tensors of one resolution where they meet", f"{node.op_type} of several"
            )
        first = reduce(np.minimum, [source[0] for source in sources])
        last = reduce(np.maximum, [source[1] for source in sources])
        if node.op_type not in MULTI_INPUT_OPS:
            first, last = _propagate(first, last, _window(node, shapes, known, axis))
        for name in filter(None, node.output):
            if len(shapes[name]) != 4 or shapes[name][axis] != len(first):
                reject(
                    filename, "tensors of batch x channels x rows x columns", f"{shapes[name][:8]}"
                )
            intervals[name] = (first, last)
    first, last = intervals[OUTPUT]
    return max(0, int((rows - first).max()), int((last - rows).max()))


def _sampled_interval(blocks: int, rows: int) -> _Interval:
    """Return what a value that is looked up for each block depends on.

    Nothing of the picture, but a tile has such values for its own blocks alone. So whoever looks
    from one block to another needs a halo as wide: as far as the nearest row of that block.
    """
    block = rows // blocks
    start = block * np.arange(blocks)
    return start + block - 1, start


def _check_broadcast(
    node: NodeProto, context: Collection[str], shapes: Shapes, filename: str
) -> None:
    """See that what holds for the whole picture has no places where it meets the picture."""
    kernel = node.input[1] if node.op_type == "Conv" else None
    for name in node.input:
        if (
            name in context
            and name != kernel
            and (len(shapes[name]) != 4 or shapes[name][2:] != (1, 1))
        ):
            reject(filename, "one number a channel for the whole picture", f"{shapes[name][:8]}")


def _propagate(first: _Indices, last: _Indices, window: _Window) -> _Interval:
    """Return the first and last row of the picture that each output row depends on."""
    start, end, step = window
    # A window beyond the border sees nothing there, or pixels repeated from within.
    inside = [np.clip(place, 0, len(first) - 1) for place in (start, end)]
    if (np.diff(first) >= 0).all() and (np.diff(last) >= 0).all():
        return first[inside[0]], last[inside[1]]
    # Behind a border that reflects, the farthest need not be at a window's end.
    taps = range(0, int((end - start).max()) + 1, step)
    if len(taps) > _MAX_TAPS:
        return np.full_like(start, first.min()), np.full_like(start, last.max())
    seen = [np.clip(np.minimum(start + tap, end), 0, len(first) - 1) for tap in taps]
    return (
        reduce(np.minimum, [first[place] for place in seen]),
        reduce(np.maximum, [last[place] for place in seen]),
    )


def _window(
    node: NodeProto, shapes: Shapes, known: Mapping[str, TensorProto], axis: int
) -> _Window:
    """Return the first and last input row that each output row sees, and the step between."""
    index = np.arange(shapes[node.output[0]][axis])
    node_attributes = cast(dict[str, Any], attributes(node))
    if node.op_type in ("AveragePool", "Conv", "MaxPool"):
        along = axis - 2
        kernel = (
            shapes[node.input[1]][2:] if node.op_type == "Conv" else node_attributes["kernel_shape"]
        )
        start = (
            index * node_attributes.get("strides", (1, 1))[along]
            - node_attributes.get("pads", (0, 0))[along]
        )
        step = node_attributes.get("dilations", (1, 1))[along]
        return start, start + step * (kernel[along] - 1), step
    if node.op_type == "DepthToSpace":
        return index // node_attributes["blocksize"], index // node_attributes["blocksize"], 1
    if node.op_type == "SpaceToDepth":
        start = index * node_attributes["blocksize"]
        return start, start + node_attributes["blocksize"] - 1, 1
    if node.op_type == "Pad":
        start = index - int(small_constant(known[node.input[1]])[axis])
        if node_attributes.get("mode") == b"reflect":
            most = shapes[node.input[0]][axis] - 1
            start = most - np.abs(most - np.abs(start))
        return start, start, 1
    if node.op_type == "Resize":
        return *_resize_window(
            index, node_attributes, float(small_constant(known[node.input[2]])[axis])
        ), 1
    return index, index, 1


def _resize_window(
    index: _Indices, node_attributes: dict[str, Any], scale: float
) -> tuple[_Indices, _Indices]:
    half = node_attributes.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel"
    exact: NDArray[Any] = (index + 0.5) / scale - 0.5 if half else index / scale
    if node_attributes.get("mode", b"nearest") == b"nearest":
        start = end = _ROUNDING[node_attributes.get("nearest_mode", b"round_prefer_floor")](exact)
    else:
        start, end = np.floor(exact), np.ceil(exact)
    return start.astype(np.int64), end.astype(np.int64)
