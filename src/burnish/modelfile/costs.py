"""What running a graph costs, told from the graph alone: its shapes, not its run.

A card's costs decide how large a tile may be, so a stranger's file that claims too little would ask
for far more memory than there is. Here the claim meets the graph.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, prod
from random import Random

from onnx import GraphProto, ModelProto, NodeProto

from burnish.modelfile.allowed_ops import SAMPLE_OP, WEIGHT_OPS, context_tensor_names
from burnish.modelfile.card import OUTPUT
from burnish.modelfile.refusal import reject
from burnish.modelfile.shapes import Shapes, tensor_shapes

# These can write over an input that nobody needs any more, and runtimes do.
_IN_PLACE = frozenset(
    [
        "Add",
        "Clip",
        "Div",
        "Elu",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "Mul",
        "PRelu",
        "Relu",
        "Sigmoid",
        "Sub",
        "Tanh",
    ]
)

# In blocks of the card's multiple. Large enough that what does not grow with the picture no longer
# counts; odd, so that a size halved inside is noticed.
_LARGE_BLOCKS = 8191
# A network may pad tensors: as if the picture had a frame of so many pixels in all around it.
_PADDING = 64
# What looks at a thumbnail of 256 px has enough in these.
_MAX_CONTEXT_VALUES = 2**23
_MAX_CONTEXT_MACS = 2**30
# What is looked up lies between four values.
_SAMPLE_MACS = 4


@dataclass(frozen=True)
class GraphCosts:
    """What running a graph costs, a pixel of the picture, rounded up; without its context.

    ``macs_per_pixel``: multiply-adds of convolutions, and of what is looked up.
    ``peak_activations_per_pixel``: the most values alive at once, the input image and the weights apart,
    done in place where possible.
    """

    macs_per_pixel: int
    peak_activations_per_pixel: int


def graph_costs(model: ModelProto, size_multiple: int, filename: str) -> GraphCosts:
    """Work out what running the graph on a large picture costs.

    Raises
    ------
    ModelError : a size cannot be told from the picture's, the result is not as large as the
        picture, or another size or form of picture takes more memory a pixel than a large square
    """
    side = size_multiple * _LARGE_BLOCKS
    shapes = tensor_shapes(model, side, side, size_multiple, filename)
    context = context_tensor_names(model.graph)
    _check_context_costs(model, context, shapes, filename)
    macs = sum(_macs(node, shapes) for node in model.graph.node if context.isdisjoint(node.output))
    peak_per_pixel = ceil(_peak_activations(model.graph, context, shapes) / side**2)
    for rows, columns in _probe_sizes(model):
        height, width = size_multiple * rows, size_multiple * columns
        activations = _peak_activations(
            model.graph, context, tensor_shapes(model, height, width, size_multiple, filename)
        )
        if activations > peak_per_pixel * (height + _PADDING) * (width + _PADDING):
            reject(
                filename,
                f"memory in proportion to the picture, {peak_per_pixel} values a pixel",
                f"{ceil(activations / (height * width))} at {width} x {height} px",
            )
    return GraphCosts(ceil(macs / side**2), peak_per_pixel)


def _check_context_costs(
    model: ModelProto, context: Set[str], shapes: Shapes, filename: str
) -> None:
    """See that what holds for the whole picture is little work, whatever its size."""
    nodes = [node for node in model.graph.node if not context.isdisjoint(node.output)]
    values = sum(prod(shapes[name]) for node in nodes for name in node.output if name)
    macs = sum(_macs(node, shapes) for node in nodes)
    if values > _MAX_CONTEXT_VALUES or macs > _MAX_CONTEXT_MACS:
        expected = f"at most {_MAX_CONTEXT_VALUES} values and {_MAX_CONTEXT_MACS} multiply-adds a thumbnail"
        reject(filename, expected, f"{values} and {macs}")


def _probe_sizes(model: ModelProto) -> Iterator[tuple[int, int]]:
    """Give heights and widths in blocks: the extremes, and some that nobody could prepare for.

    They follow from the file, so that it is judged the same each time, and a file made for the
    sizes it is judged at would be another file.
    """
    yield from ((1, 1), (1, _LARGE_BLOCKS), (_LARGE_BLOCKS, 1), (17, 31))
    random = Random(sha256(model.SerializeToString(deterministic=True)).digest())
    for max_blocks in (64, 1024, 1024, 16384):
        yield random.randint(1, max_blocks), random.randint(1, max_blocks)


def _macs(node: NodeProto, shapes: Shapes) -> int:
    """Multiply-adds: each value made by a convolution meets a kernel's worth."""
    if node.op_type == SAMPLE_OP:
        return _SAMPLE_MACS * prod(shapes[node.output[0]])
    if node.op_type != "Conv":
        return 0
    return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])


def _peak_activations(graph: GraphProto, context: Set[str], shapes: Shapes) -> int:
    """Return the largest number of values that exist at one time, going through the nodes."""
    last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
    last_use[OUTPUT] = len(graph.node)
    live: dict[str, int] = {}
    peak = 0
    for i, node in enumerate(graph.node):
        if node.op_type in WEIGHT_OPS or not context.isdisjoint(node.output):
            continue  # Weights, and what holds for the whole picture: few, whatever its size.
        outputs = {name: prod(shapes[name]) for name in node.output if name}
        freed = [name for name in set(node.input) & live.keys() if last_use[name] == i]
        reused = 0
        if node.op_type in _IN_PLACE:
            size = sum(outputs.values())
            reused = size if size in {live[name] for name in freed} else 0
        peak = max(peak, sum(live.values()) + sum(outputs.values()) - reused)
        live |= {name: size for name, size in outputs.items() if name in last_use}
        for name in freed:
            del live[name]
    return peak
