"""Take off a graph's ends what only moves values: `runtime.pixel_layout` does it at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from burnish.modelfile.allowed_ops import attributes, constants, numbers
from burnish.modelfile.card import INPUT, OUTPUT

COLOURS = 3


def cut_gather(model: ModelProto) -> int:
    """Take the SpaceToDepth of each colour off a graph's beginning, in place.

    Only where the graph, which is checked, looks at nothing else of its image, and joins the
    colours in their order.

    Returns
    -------
    The block for `lay_in`; 1 where pixels are not gathered
    """
    graph = model.graph
    nodes = _gathering(graph)
    if not nodes:
        return 1
    *cut, join = nodes
    block = cast(int, attributes(cut[-1])["blocksize"])
    for node in graph.node:
        for number, name in enumerate(node.input):
            if name == join.output[0]:
                node.input[number] = INPUT
    for node in nodes:
        graph.node.remove(node)
    (image,) = (end for end in graph.input if end.name == INPUT)
    sizes = [None, COLOURS * block**2, None, None]
    image.CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sizes))
    return block


def _gathering(graph: GraphProto) -> list[NodeProto]:
    """Return the nodes that gather all that a graph looks at of its image, the last one joining it.

    Empty where it looks at something else, or joins it in another order than `lay_in` has.
    """
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    known = constants(graph)
    colours = readers[INPUT]
    if [_colour(node, known) for node in colours] != [*range(COLOURS)]:
        return []
    followers = [_follower(node, "SpaceToDepth", readers) for node in colours]
    deep = [node for node in followers if node is not None]
    if len(deep) != COLOURS or len({attributes(node)["blocksize"] for node in deep}) != 1:
        return []
    places = [node.output[0] for node in deep]
    join = _follower(deep[0], "Concat", readers)
    if join is None or list(join.input) != places or join.output[0] == OUTPUT:
        return []
    if any(len(readers[place]) != 1 for place in places):
        return []
    return [*colours, *deep, join]


def _follower(
    node: NodeProto, operator: str, readers: Mapping[str, Sequence[NodeProto]]
) -> NodeProto | None:
    """Return the one node that reads what a node gives, if it is of this operator."""
    found = readers[node.output[0]]
    return found[0] if len(found) == 1 and found[0].op_type == operator else None


def _colour(node: NodeProto, known: Mapping[str, TensorProto]) -> int | None:
    """Return the one channel that a node takes and keeps as such, if it does."""
    if node.op_type != "Gather":
        return None
    stored = known.get(node.input[1])
    index = numbers(stored)
    kept = stored is not None and list(stored.dims) == [1] and len(index) == 1
    return int(index[0]) if kept else None


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
