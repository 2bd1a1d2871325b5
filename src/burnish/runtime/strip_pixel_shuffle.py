"""Take off a graph's ends what only moves values: `runtime.pixel_layout` does it at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from burnish.modelfile.allowed_ops import attributes, constant_tensors, small_constant
from burnish.modelfile.card import INPUT, OUTPUT

COLOURS = 3


def strip_space_to_depth(model: ModelProto) -> int:
    """Take the SpaceToDepth of each colour off a graph's beginning, in place.

    Only where the graph, which is checked, looks at nothing else of its image, and joins the
    colours in their order.

    Returns
    -------
    The block for `pack`; 1 where pixels are not gathered
    """
    graph = model.graph
    nodes = _space_to_depth_nodes(graph)
    if not nodes:
        return 1
    *gathers, concat = nodes
    block = cast(int, attributes(gathers[-1])["blocksize"])
    for node in graph.node:
        for number, name in enumerate(node.input):
            if name == concat.output[0]:
                node.input[number] = INPUT
    for node in nodes:
        graph.node.remove(node)
    (image,) = (end for end in graph.input if end.name == INPUT)
    sizes = [None, COLOURS * block**2, None, None]
    image.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sizes))
    return block


def _space_to_depth_nodes(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes that gather all that a graph looks at of its image, the last one joining it.

    Empty where it looks at something else, or joins it in another order than `pack` has.
    """
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    constants = constant_tensors(graph)
    gathers = readers[INPUT]
    if [_gathered_channel(node, constants) for node in gathers] != [*range(COLOURS)]:
        return []
    followers = [_only_reader(node, "SpaceToDepth", readers) for node in gathers]
    deep = [node for node in followers if node is not None]
    if len(deep) != COLOURS or len({attributes(node)["blocksize"] for node in deep}) != 1:
        return []
    places = [node.output[0] for node in deep]
    concat = _only_reader(deep[0], "Concat", readers)
    if concat is None or list(concat.input) != places or concat.output[0] == OUTPUT:
        return []
    if any(len(readers[place]) != 1 for place in places):
        return []
    return [*gathers, *deep, concat]


def _only_reader(
    node: NodeProto, operator: str, readers: Mapping[str, Sequence[NodeProto]]
) -> NodeProto | None:
    """Return the one node that reads what a node gives, if it is of this operator."""
    found = readers[node.output[0]]
    return found[0] if len(found) == 1 and found[0].op_type == operator else None


def _gathered_channel(node: NodeProto, constants: Mapping[str, TensorProto]) -> int | None:
    """Return the one channel that a node takes and keeps as such, if it does."""
    if node.op_type != "Gather":
        return None
    stored = constants.get(node.input[1])
    index = small_constant(stored)
    kept = stored is not None and list(stored.dims) == [1] and len(index) == 1
    return int(index[0]) if kept else None


def strip_depth_to_space(model: ModelProto) -> int:
    """Take the last DepthToSpace off a graph, in place; return its block for `unpack`, or 1.

    Only one in torch's order is taken off, colour by colour, that spreads what the graph has made.
    """
    graph = model.graph
    last = next(node for node in graph.node if OUTPUT in node.output)
    node_attributes = attributes(last)
    if last.op_type != "DepthToSpace" or node_attributes.get("mode") != b"CRD":
        return 1
    source = last.input[0]
    made = any(source in node.output for node in graph.node)
    if not made or any(OUTPUT in node.input for node in graph.node):
        return 1
    block = cast(int, node_attributes["blocksize"])
    sizes = [None, COLOURS * block**2, None, None]
    graph.output[0].CopyFrom(helper.make_tensor_value_info(source, TensorProto.FLOAT, sizes))
    graph.node.remove(last)
    return block
