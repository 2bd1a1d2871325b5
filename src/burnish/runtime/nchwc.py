"""Keep a graph in the layout that ONNX Runtime's convolutions work in.

On x86 they work on channels in blocks of eight or sixteen, and their rectifiers are part of them.
But a rectifier behind an addition, where a skip comes in, is left by itself, and does not work on
blocks: all channels are put in planes for it and back in blocks. As part of a convolution by one,
channel by channel, it stays; and nothing else changes, not even in the last bit.
"""

import platform
from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.modelfile.allowed_ops import constants

_HAS_BLOCKS = platform.machine() in ("x86_64", "AMD64")


def keep_blocked(model: ModelProto) -> None:
    """Put a convolution by one before every LeakyRelu of a sum with something enlarged, in place.

    Elsewhere than on x86 it leaves the graph as it is.
    """
    if not _HAS_BLOCKS:
        return
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    known = constants(graph)
    taken = {end.name for end in graph.input}.union(made_by, known)
    nodes = []
    for node in graph.node:
        channels = _enlarged(node, made_by, known) if node.op_type == "LeakyRelu" else None
        if channels is not None:
            ones, same = _free(f"{node.output[0]}.ones", taken), _free(node.input[0], taken)
            kernel = np.ones((channels, 1, 1, 1), np.float32)
            graph.initializer.append(numpy_helper.from_array(kernel, ones))
            nodes.append(helper.make_node("Conv", [node.input[0], ones], [same], group=channels))
            node.input[0] = same
            taken |= {ones, same}
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _enlarged(
    node: NodeProto, made_by: Mapping[str, NodeProto], known: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels of a sum that a node takes, if one of its terms is enlarged."""
    total = made_by.get(node.input[0])
    if total is None or total.op_type != "Add":
        return None
    for name in total.input:
        term = made_by.get(name)
        if term is None or term.op_type != "Resize":
            continue
        source = made_by.get(term.input[0])
        channels = _channels(source, made_by, known) if source is not None else None
        # One alone may be added to many; more are as many as the sum has.
        if channels is not None and channels > 1:
            return channels
    return None


def _channels(
    node: NodeProto, made_by: Mapping[str, NodeProto], known: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels that a convolution by a stored kernel gives."""
    if node.op_type != "Conv":
        return None
    kernel = node.input[1]
    maker = made_by.get(kernel)
    if maker is not None and maker.op_type == "Cast":  # stored in fewer bits
        kernel = maker.input[0]
    return int(known[kernel].dims[0]) if kernel in known else None


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name like this one that nothing bears."""
    while name in taken:
        name += "'"
    return name
