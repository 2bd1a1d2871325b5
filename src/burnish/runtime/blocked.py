"""Keep a graph in the layout that ONNX Runtime's convolutions work in.

On x86 they work on channels in blocks of eight or sixteen, and their rectifiers are part of them.
But a rectifier behind an addition, where a skip comes in, is left by itself, and is the one
operator of a student that cannot work on blocks: all channels are put in planes for it and back in
blocks. As part of a convolution by one, channel by channel, it stays; and nothing else changes,
not even in the last bit.
"""

import platform
from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.modelfile.local import constants

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
    nodes = []
    for node in graph.node:
        channels = _enlarged(node, made_by, known) if node.op_type == "LeakyRelu" else None
        if channels is not None:
            ones, same = f"{node.output[0]}.ones", f"{node.output[0]}.same"
            kernel = np.ones((channels, 1, 1, 1), np.float32)
            graph.initializer.append(numpy_helper.from_array(kernel, ones))
            nodes.append(helper.make_node("Conv", [node.input[0], ones], [same], group=channels))
            node.input[0] = same
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
        source = made_by.get(term.input[0]) if term is not None else None
        if term is None or source is None or (term.op_type, source.op_type) != ("Resize", "Conv"):
            continue
        kernel = source.input[1]
        if kernel in made_by:  # stored in fewer bits, and cast
            kernel = made_by[kernel].input[0]
        if kernel in known:
            return int(known[kernel].dims[0])
    return None
