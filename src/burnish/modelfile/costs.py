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

from burnish.modelfile.allowed_ops import LOOK_UP, WEIGHTS, context_of
from burnish.modelfile.card import OUTPUT
from burnish.modelfile.refusal import refuse
from burnish.modelfile.shapes import Shapes, shapes

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
_LARGE = 8191
# A network may pad tensors: as if the picture had a frame of so many pixels in all around it.
_FRAME = 64
# What looks at a thumbnail of 256 px has enough in these.
_MOST_VALUES = 2**23
_MOST_MACS = 2**30
# What is looked up lies between four values.
_LOOK_UP_MACS = 4


@dataclass(frozen=True)
class Costs:
    """What running a graph costs, a pixel of the picture, rounded up; without its context.

    ``macs_per_pixel``: multiply-adds of convolutions, and of what is looked up.
    ``activations_per_pixel``: the most values alive at once, the input image and the weights apart,
    done in place where possible.
    """

    macs_per_pixel: int
    activations_per_pixel: int


def costs(model: ModelProto, multiple: int, where: str) -> Costs:
    """Work out what running the graph on a large picture costs.

    Raises
    ------
    ModelError : a size cannot be told from the picture's, the result is not as large as the
        picture, or another size or form of picture takes more memory a pixel than a large square
    """
    side = multiple * _LARGE
    sizes = shapes(model, side, side, multiple, where)
    context = context_of(model.graph)
    _check_context(model, context, sizes, where)
    macs = sum(_macs(node, sizes) for node in model.graph.node if context.isdisjoint(node.output))
    a_pixel = ceil(_most_alive(model.graph, context, sizes) / side**2)
    for rows, columns in _probes(model):
        height, width = multiple * rows, multiple * columns
        needed = _most_alive(model.graph, context, shapes(model, height, width, multiple, where))
        if needed > a_pixel * (height + _FRAME) * (width + _FRAME):
            refuse(
                where,
                f"memory in proportion to the picture, {a_pixel} values a pixel",
                f"{ceil(needed / (height * width))} at {width} x {height} px",
            )
    return Costs(ceil(macs / side**2), a_pixel)


def _check_context(model: ModelProto, context: Set[str], sizes: Shapes, where: str) -> None:
    """See that what holds for the whole picture is little work, whatever its size."""
    nodes = [node for node in model.graph.node if not context.isdisjoint(node.output)]
    values = sum(prod(sizes[name]) for node in nodes for name in node.output if name)
    macs = sum(_macs(node, sizes) for node in nodes)
    if values > _MOST_VALUES or macs > _MOST_MACS:
        expected = f"at most {_MOST_VALUES} values and {_MOST_MACS} multiply-adds a thumbnail"
        refuse(where, expected, f"{values} and {macs}")


def _probes(model: ModelProto) -> Iterator[tuple[int, int]]:
    """Give heights and widths in blocks: the extremes, and some that nobody could prepare for.

    They follow from the file, so that it is judged the same each time, and a file made for the
    sizes it is judged at would be another file.
    """
    yield from ((1, 1), (1, _LARGE), (_LARGE, 1), (17, 31))
    random = Random(sha256(model.SerializeToString(deterministic=True)).digest())
    for most in (64, 1024, 1024, 16384):
        yield random.randint(1, most), random.randint(1, most)


def _macs(node: NodeProto, sizes: Shapes) -> int:
    """Multiply-adds: each value made by a convolution meets a kernel's worth."""
    if node.op_type == LOOK_UP:
        return _LOOK_UP_MACS * prod(sizes[node.output[0]])
    if node.op_type != "Conv":
        return 0
    return prod(sizes[node.output[0]]) * prod(sizes[node.input[1]][1:])


def _most_alive(graph: GraphProto, context: Set[str], sizes: Shapes) -> int:
    """Return the largest number of values that exist at one time, going through the nodes."""
    last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
    last_use[OUTPUT] = len(graph.node)
    alive: dict[str, int] = {}
    most = 0
    for i, node in enumerate(graph.node):
        if node.op_type in WEIGHTS or not context.isdisjoint(node.output):
            continue  # Weights, and what holds for the whole picture: few, whatever its size.
        made = {name: prod(sizes[name]) for name in node.output if name}
        dying = [name for name in set(node.input) & alive.keys() if last_use[name] == i]
        reused = 0
        if node.op_type in _IN_PLACE:
            size = sum(made.values())
            reused = size if size in {alive[name] for name in dying} else 0
        most = max(most, sum(alive.values()) + sum(made.values()) - reused)
        alive |= {name: size for name, size in made.items() if name in last_use}
        for name in dying:
            del alive[name]
    return most
