"""Optimisations of a checked graph, before an engine loads it. They change no bit of the output.

Space-to-depth and depth-to-space are removed from the ends of the graph, since `pack` and `unpack`
of `burnish.runtime.tiles` do the same while they convert pixels to planes and back.

ONNX Runtime's x86 convolutions use blocks of eight or sixteen channels (NCHWc), and fuse the
activation that follows. A LeakyRelu after a residual Add is not fused, and forces a conversion to
NCHW and back. An identity depthwise 1x1 convolution inserted before it lets it fuse.
"""

import platform
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from burnish.modelfile.card import GUIDE, INPUT, OUTPUT
from burnish.modelfile.graph_rules import attributes, constant_tensors, small_constant
from burnish.modelfile.onnx_file import graph_inputs

_COLOURS = 3
_IS_X86 = platform.machine() in ("x86_64", "AMD64")


def strip_space_to_depth(model: ModelProto) -> int:
    """Remove the SpaceToDepth of each colour from the beginning of a graph, in place.

    This is done if the graph reads nothing else of its image and its guide, concatenates the
    colours of each in order, and uses blocks of one size.

    Returns
    -------
    The block size for `pack`; 1 if the graph stays as it is
    """
    graph = model.graph
    images = [value for value in graph_inputs(graph) if value.name in (INPUT, GUIDE)]
    sequences = [_space_to_depth_nodes(graph, value.name) for value in images]
    block_sizes = {attributes(nodes[-2])["blocksize"] for nodes in sequences if nodes}
    if not all(sequences) or len(block_sizes) != 1:
        return 1
    block: int = block_sizes.pop()
    for image, nodes in zip(images, sequences, strict=True):
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == nodes[-1].output[0]:
                    node.input[index] = image.name
        for node in nodes:
            graph.node.remove(node)
        image.CopyFrom(_block_planes(image.name, block))
    return block


def strip_depth_to_space(model: ModelProto) -> int:
    """Remove the last DepthToSpace from a graph, in place.

    This is done if it has the channel order of torch, and its input is computed by the graph.

    Returns
    -------
    The block size for `unpack`; 1 if the graph stays as it is
    """
    graph = model.graph
    last = next(node for node in graph.node if OUTPUT in node.output)
    node_attributes = attributes(last)
    if last.op_type != "DepthToSpace" or node_attributes.get("mode") != b"CRD":
        return 1
    source = last.input[0]
    is_computed = any(source in node.output for node in graph.node)
    if not is_computed or any(OUTPUT in node.input for node in graph.node):
        return 1
    block: int = node_attributes["blocksize"]
    graph.output[0].CopyFrom(_block_planes(source, block))
    graph.node.remove(last)
    return block


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


def _block_planes(name: str, block: int) -> ValueInfoProto:
    """Return the description of an input or output whose channels are the pixels of blocks."""
    dims = [None, _COLOURS * block**2, None, None]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def _space_to_depth_nodes(graph: GraphProto, image: str) -> list[NodeProto]:
    """Return the three Gathers, the three SpaceToDepths and the Concat that read an image.

    The list is empty if the image has other readers, or if the channel order is not `pack`'s.
    """
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    constants = constant_tensors(graph)
    gathers = readers[image]
    if [_gathered_channel(node, constants) for node in gathers] != [*range(_COLOURS)]:
        return []
    followers = [readers[node.output[0]] for node in gathers]
    if any([node.op_type for node in nodes] != ["SpaceToDepth"] for nodes in followers):
        return []
    shuffles = [node for (node,) in followers]
    names = [node.output[0] for node in shuffles]
    block_sizes = {attributes(node)["blocksize"] for node in shuffles}
    if len(block_sizes) != 1 or any(len(readers[name]) != 1 for name in names):
        return []
    (concat,) = readers[names[0]]
    if concat.op_type != "Concat" or list(concat.input) != names or concat.output[0] == OUTPUT:
        return []
    return [*gathers, *shuffles, concat]


def _gathered_channel(node: NodeProto, constants: Mapping[str, TensorProto]) -> int | None:
    """Return the channel that a Gather reads, if it is a single one and its axis is kept."""
    if node.op_type != "Gather":
        return None
    tensor = constants.get(node.input[1])
    index = small_constant(tensor)
    is_single = tensor is not None and list(tensor.dims) == [1] and len(index) == 1
    return int(index[0]) if is_single else None


def _skip_sum_channels(
    node: NodeProto, producers: Mapping[str, NodeProto], constants: Mapping[str, TensorProto]
) -> int | None:
    """Return the channels of a LeakyRelu of a sum with a Resize of a convolution, else None."""
    total = producers.get(node.input[0]) if node.op_type == "LeakyRelu" else None
    if total is None or total.op_type != "Add":
        return None
    for name in total.input:
        resize = producers.get(name)
        if resize is None or resize.op_type != "Resize":
            continue
        conv = producers.get(resize.input[0])
        if conv is None or conv.op_type != "Conv":
            continue
        kernel = conv.input[1]
        cast = producers.get(kernel)
        if cast is not None and cast.op_type == "Cast":  # stored as int8 or float16
            kernel = cast.input[0]
        # A term of one channel may be broadcast, so that it does not show the sum's channels.
        if kernel in constants and constants[kernel].dims[0] > 1:
            return int(constants[kernel].dims[0])
    return None


def _unused_name(name: str, used_names: Collection[str]) -> str:
    while name in used_names:
        name += "'"
    return name
