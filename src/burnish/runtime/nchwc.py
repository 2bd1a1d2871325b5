"""Keep a graph in the channel layout of ONNX Runtime's convolutions, NCHWc.

ONNX Runtime's x86 convolutions use blocks of eight or sixteen channels, and fuse the activation
that follows. A LeakyRelu after a residual Add is not fused, and forces a conversion to NCHW and
back. An identity depthwise 1x1 convolution inserted before it lets it fuse. The output is
bit-identical.
"""

import platform
from collections.abc import Collection, Mapping

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.modelfile.graph_rules import constant_tensors

_IS_X86 = platform.machine() in ("x86_64", "AMD64")


def keep_nchwc(model: ModelProto) -> None:
    """Insert an identity convolution before each LeakyRelu of a sum with a Resize. In place.

    On processors other than x86 the graph stays as it is.
    """
    if not _IS_X86:
        return
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    constants = constant_tensors(graph)
    used_names = {value.name for value in graph.input}.union(producers, constants)
    nodes = []
    for node in graph.node:
        channels = None
        if node.op_type == "LeakyRelu":
            channels = _skip_sum_channels(node, producers, constants)
        if channels is not None:
            kernel_name = _unused_name(f"{node.output[0]}.ones", used_names)
            output_name = _unused_name(node.input[0], used_names)
            kernel = np.ones((channels, 1, 1, 1), np.float32)
            graph.initializer.append(numpy_helper.from_array(kernel, kernel_name))
            inputs = [node.input[0], kernel_name]
            nodes.append(helper.make_node("Conv", inputs, [output_name], group=channels))
            node.input[0] = output_name
            used_names |= {kernel_name, output_name}
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _skip_sum_channels(
    node: NodeProto, producers: Mapping[str, NodeProto], constants: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels of a node's input if it is a sum with a Resize of a convolution."""
    total = producers.get(node.input[0])
    if total is None or total.op_type != "Add":
        return None
    for name in total.input:
        term = producers.get(name)
        if term is None or term.op_type != "Resize":
            continue
        source = producers.get(term.input[0])
        channels = _conv_channels(source, producers, constants) if source is not None else None
        # A term of one channel may be broadcast, so that it does not show the sum's channels.
        if channels is not None and channels > 1:
            return channels
    return None


def _conv_channels(
    node: NodeProto, producers: Mapping[str, NodeProto], constants: Mapping[str, TensorProto]
) -> int | None:
    """Return the output channels of a convolution with a stored kernel."""
    if node.op_type != "Conv":
        return None
    kernel = node.input[1]
    producer = producers.get(kernel)
    if producer is not None and producer.op_type == "Cast":  # stored as int8 or float16
        kernel = producer.input[0]
    return int(constants[kernel].dims[0]) if kernel in constants else None


def _unused_name(name: str, used_names: Collection[str]) -> str:
    while name in used_names:
        name += "'"
    return name
