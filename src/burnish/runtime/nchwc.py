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

from burnish.modelfile.allowed_ops import constant_tensors

_IS_X86 = platform.machine() in ("x86_64", "AMD64")


def keep_nchwc(model: ModelProto) -> None:
    """Put a convolution by one before every LeakyRelu of a sum with something enlarged, in place.

    Elsewhere than on x86 it leaves the graph as it is.
    """
    if not _IS_X86:
        return
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = constant_tensors(graph)
    used_names = {end.name for end in graph.input}.union(producers, constants)
    nodes = []
    for node in graph.node:
        channels = (
            _skip_sum_channels(node, producers, constants) if node.op_type == "LeakyRelu" else None
        )
        if channels is not None:
            kernel_name, output_name = (
                _unused_name(f"{node.output[0]}.ones", used_names),
                _unused_name(node.input[0], used_names),
            )
            kernel = np.ones((channels, 1, 1, 1), np.float32)
            graph.initializer.append(numpy_helper.from_array(kernel, kernel_name))
            nodes.append(
                helper.make_node(
                    "Conv", [node.input[0], kernel_name], [output_name], group=channels
                )
            )
            node.input[0] = output_name
            used_names |= {kernel_name, output_name}
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _skip_sum_channels(
    node: NodeProto, producers: Mapping[str, NodeProto], constants: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels of a sum that a node takes, if one of its terms is enlarged."""
    total = producers.get(node.input[0])
    if total is None or total.op_type != "Add":
        return None
    for name in total.input:
        term = producers.get(name)
        if term is None or term.op_type != "Resize":
            continue
        source = producers.get(term.input[0])
        channels = _conv_channels(source, producers, constants) if source is not None else None
        # One alone may be added to many; more are as many as the sum has.
        if channels is not None and channels > 1:
            return channels
    return None


def _conv_channels(
    node: NodeProto, producers: Mapping[str, NodeProto], constants: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels that a convolution by a stored kernel gives."""
    if node.op_type != "Conv":
        return None
    kernel = node.input[1]
    producer = producers.get(kernel)
    if producer is not None and producer.op_type == "Cast":  # stored in fewer bits
        kernel = producer.input[0]
    return int(constants[kernel].dims[0]) if kernel in constants else None


def _unused_name(name: str, used_names: Collection[str]) -> str:
    """Return a name like this one that nothing bears."""
    while name in used_names:
        name += "'"
    return name
