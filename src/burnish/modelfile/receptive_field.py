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
    LOOK_UP,
    MEETING,
    attributes,
    constants,
    context_of,
    numbers,
)
from burnish.modelfile.card import INPUT, OUTPUT
from burnish.modelfile.refusal import refuse
from burnish.modelfile.shapes import Shapes, shapes

_Places = NDArray[np.int64]
_Seen = tuple[_Places, _Places]
_Window = tuple[_Places, _Places, int]

_ROWS, _COLUMNS = 2, 3
# A window of more is taken to see everything, where it cannot be told by its ends.
_MOST_TAPS = 128

_ROUND: dict[bytes, Callable[[NDArray[Any]], NDArray[Any]]] = {
    b"floor": np.floor,
    b"ceil": np.ceil,
    b"round_prefer_floor": lambda place: np.ceil(place - 0.5),
    b"round_prefer_ceil": lambda place: np.floor(place + 0.5),
}


def sight(model: ModelProto, multiple: int, halo: int, where: str) -> int:
    """Return how far a result pixel can see, in px, by row or by column.

    The structure is asked, not the weights: one that happens to be zero hides nothing. Exact up to
    twice `halo`; where it is more, some number above `halo`.

    Raises
    ------
    ModelError : sizes do not fit together, or tensors of different resolution meet
    """
    # In a picture this large something beyond the halo lies inside it, and is seen.
    side = multiple * ceil((2 * halo + 64) / multiple)
    sizes = shapes(model, side, side, multiple, where)
    known = constants(model.graph)
    return max(_sight(model, sizes, known, axis, where) for axis in (_ROWS, _COLUMNS))


def _sight(
    model: ModelProto,
    sizes: Shapes,
    known: Mapping[str, TensorProto],
    axis: int,
    where: str,
) -> int:
    context = context_of(model.graph)
    rows = np.arange(sizes[INPUT][axis])
    seen: dict[str, _Seen] = {INPUT: (rows, rows)}
    for node in model.graph.node:
        if node.op_type == LOOK_UP:
            seen[node.output[0]] = _looked_up(sizes[node.output[0]][axis], len(rows))
            continue
        sources = [seen[name] for name in dict.fromkeys(node.input) if name in seen]
        if not sources:  # weights, and what holds for the whole picture
            continue
        _check_context(node, context, sizes, where)
        if len({len(first) for first, _ in sources}) > 1:
            refuse(where, "tensors of one resolution where they meet", f"{node.op_type} of several")
        first = reduce(np.minimum, [source[0] for source in sources])
        last = reduce(np.maximum, [source[1] for source in sources])
        if node.op_type not in MEETING:
            first, last = _seen(first, last, _window(node, sizes, known, axis))
        for name in filter(None, node.output):
            if len(sizes[name]) != 4 or sizes[name][axis] != len(first):
                refuse(where, "tensors of batch x channels x rows x columns", f"{sizes[name][:8]}")
            seen[name] = (first, last)
    first, last = seen[OUTPUT]
    return max(0, int((rows - first).max()), int((last - rows).max()))


def _looked_up(blocks: int, rows: int) -> _Seen:
    """Return what a value that is looked up for each block depends on.

    Nothing of the picture, but a tile has such values for its own blocks alone. So whoever looks
    from one block to another needs a halo as wide: as far as the nearest row of that block.
    """
    side = rows // blocks
    start = side * np.arange(blocks)
    return start + side - 1, start


def _check_context(node: NodeProto, context: Collection[str], sizes: Shapes, where: str) -> None:
    """See that what holds for the whole picture has no places where it meets the picture."""
    kernel = node.input[1] if node.op_type == "Conv" else None
    for name in node.input:
        if (
            name in context
            and name != kernel
            and (len(sizes[name]) != 4 or sizes[name][2:] != (1, 1))
        ):
            refuse(where, "one number a channel for the whole picture", f"{sizes[name][:8]}")


def _seen(first: _Places, last: _Places, window: _Window) -> _Seen:
    """Return the first and last row of the picture that each output row depends on."""
    start, end, step = window
    # A window beyond the border sees nothing there, or pixels repeated from within.
    inside = [np.clip(place, 0, len(first) - 1) for place in (start, end)]
    if (np.diff(first) >= 0).all() and (np.diff(last) >= 0).all():
        return first[inside[0]], last[inside[1]]
    # Behind a border that reflects, the farthest need not be at a window's end.
    taps = range(0, int((end - start).max()) + 1, step)
    if len(taps) > _MOST_TAPS:
        return np.full_like(start, first.min()), np.full_like(start, last.max())
    seen = [np.clip(np.minimum(start + tap, end), 0, len(first) - 1) for tap in taps]
    return (
        reduce(np.minimum, [first[place] for place in seen]),
        reduce(np.maximum, [last[place] for place in seen]),
    )


def _window(node: NodeProto, sizes: Shapes, known: Mapping[str, TensorProto], axis: int) -> _Window:
    """Return the first and last input row that each output row sees, and the step between."""
    place = np.arange(sizes[node.output[0]][axis])
    given = cast(dict[str, Any], attributes(node))
    if node.op_type in ("AveragePool", "Conv", "MaxPool"):
        along = axis - 2
        kernel = sizes[node.input[1]][2:] if node.op_type == "Conv" else given["kernel_shape"]
        start = place * given.get("strides", (1, 1))[along] - given.get("pads", (0, 0))[along]
        step = given.get("dilations", (1, 1))[along]
        return start, start + step * (kernel[along] - 1), step
    if node.op_type == "DepthToSpace":
        return place // given["blocksize"], place // given["blocksize"], 1
    if node.op_type == "SpaceToDepth":
        start = place * given["blocksize"]
        return start, start + given["blocksize"] - 1, 1
    if node.op_type == "Pad":
        start = place - int(numbers(known[node.input[1]])[axis])
        if given.get("mode") == b"reflect":
            most = sizes[node.input[0]][axis] - 1
            start = most - np.abs(most - np.abs(start))
        return start, start, 1
    if node.op_type == "Resize":
        return *_resized(place, given, float(numbers(known[node.input[2]])[axis])), 1
    return place, place, 1


def _resized(place: _Places, given: dict[str, Any], scale: float) -> tuple[_Places, _Places]:
    half = given.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel"
    exact: NDArray[Any] = (place + 0.5) / scale - 0.5 if half else place / scale
    if given.get("mode", b"nearest") == b"nearest":
        start = end = _ROUND[given.get("nearest_mode", b"round_prefer_floor")](exact)
    else:
        start, end = np.floor(exact), np.ceil(exact)
    return start.astype(np.int64), end.astype(np.int64)
