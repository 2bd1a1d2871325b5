"""From the planes that a network gives to a picture's pixels, colours last.

A student ends by spreading blocks of channels over the picture, and then its planes become pixels.
Both put every value in another place: done in one copy here, that costs a small part of what the
two take one after the other.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from burnish.modelfile.card import OUTPUT
from burnish.modelfile.local import attributes

COLOURS = 3


def lay_out(
    planes: NDArray[np.float32],
    block: int,
    out: NDArray[np.float32],
    top: int = 0,
    left: int = 0,
) -> None:
    """Write a part of what a network gives as pixels.

    Parameters
    ----------
    planes : (1, 3 * block**2, rows, columns): each colour's places in a block, row by row
    block : side of the square that each place of the planes stands for, px
    out : (height, width, 3), takes the part
    top, left : where the part begins, px; multiples of `block`

    Examples
    --------
    >>> pixels = np.empty((2, 2, 3), np.float32)
    >>> lay_out(np.arange(12, dtype=np.float32).reshape(1, 12, 1, 1), 2, pixels)
    >>> pixels[..., 0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """
    part = planes[0, :, top // block :, left // block :]
    for number, plane in enumerate(part):
        colour, place = divmod(number, block**2)
        row, column = divmod(place, block)
        into = out[row::block, column::block, colour]
        into[...] = plane[: into.shape[0], : into.shape[1]]


def cut_spread(model: ModelProto) -> int:
    """Take the last DepthToSpace off a graph, in place; return its block for `lay_out`, or 1.

    Only one in torch's order is taken off, colour by colour, that spreads what the graph has made.
    """
    graph = model.graph
    last = next(node for node in graph.node if OUTPUT in node.output)
    given = attributes(last)
    if last.op_type != "DepthToSpace" or given.get("mode") != b"CRD":
        return 1
    source = last.input[0]
    made = any(source in node.output for node in graph.node)
    if not made or any(OUTPUT in node.input for node in graph.node):
        return 1
    block = cast(int, given["blocksize"])
    sizes = [None, COLOURS * block**2, None, None]
    graph.output[0].CopyFrom(helper.make_tensor_value_info(source, TensorProto.FLOAT, sizes))
    graph.node.remove(last)
    return block
