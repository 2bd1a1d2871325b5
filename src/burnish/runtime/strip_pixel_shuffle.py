"""Remove space-to-depth and depth-to-space from the ends of a graph.

`burnish.runtime.pixel_layout` does the same while it converts pixels to planes and back.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from burnish.modelfile.card import INPUT, OUTPUT
from burnish.modelfile.graph_rules import attributes, constant_tensors, small_constant

_COLOURS = 3


def strip_space_to_depth(model: ModelProto) -> int:
    """Remove the SpaceToDepth of each colour from the beginning of a checked graph, in place.

    This is done if the graph reads nothing else of its image, and concatenates the colours in
    order.

    Returns
    -------
    The block size for `pack`; 1 if the graph stays as it is
    """
    graph = model.graph
    nodes = _space_to_depth_nodes(graph)
    if not nodes:
        return 1
    *others, concat = nodes
    block = cast(int, attributes(others[-1])["blocksize"])
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == concat.output[0]:
                node.input[index] = INPUT
    for node in nodes:
        graph.node.remove(node)
    (image,) = (value for value in graph.input if value.name == INPUT)
    dims = [None, _COLOURS * block**2, None, None]
    image.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, dims))
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
    block = cast(int, node_attributes["blocksize"])
    dims = [None, _COLOURS * block**2, None, None]
    graph.output[0].CopyFrom(helper.make_tensor_value_info(source, TensorProto.FLOAT, dims))
    graph.node.remove(last)
    return block


def _space_to_depth_nodes(graph: GraphProto) -> list[NodeProto]:
    """Return the three Gathers, the three SpaceToDepths and the Concat that read the image.

    The list is empty if the image has other readers, or if the channel order is not `pack`'s.
    """
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    constants = constant_tensors(graph)
    gathers = readers[INPUT]
    if [_gathered_channel(node, constants) for node in gathers] != [*range(_COLOURS)]:
        return []
    followers = [_only_reader(node, "SpaceToDepth", readers) for node in gathers]
    shuffles = [node for node in followers if node is not None]
    block_sizes = {attributes(node)["blocksize"] for node in shuffles}
    if len(shuffles) != _COLOURS or len(block_sizes) != 1:
        return []
    names = [node.output[0] for node in shuffles]
    concat = _only_reader(shuffles[0], "Concat", readers)
    if concat is None or list(concat.input) != names or concat.output[0] == OUTPUT:
        return []
    if any(len(readers[name]) != 1 for name in names):
        return []
    return [*gathers, *shuffles, concat]


def _only_reader(
    node: NodeProto, op: str, readers: Mapping[str, Sequence[NodeProto]]
) -> NodeProto | None:
    """Return the node that reads a node's output, if it is the only one and has this operator."""
    found = readers[node.output[0]]
    return found[0] if len(found) == 1 and found[0].op_type == op else None


def _gathered_channel(node: NodeProto, constants: Mapping[str, TensorProto]) -> int | None:
    """Return the channel that a Gather reads, if it is a single one and its axis is kept."""
    if node.op_type != "Gather":
        return None
    tensor = constants.get(node.input[1])
    index = small_constant(tensor)
    is_single = tensor is not None and list(tensor.dims) == [1] and len(index) == 1
    return int(index[0]) if is_single else None
