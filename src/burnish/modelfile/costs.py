"""What running a graph costs, told from the graph alone: its shapes, not its run.

A card's costs decide how large a tile may be, so a stranger's file that claims too little would ask
for far more memory than there is. Here the claim meets the graph.
"""

from dataclasses import dataclass
from math import ceil, prod

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from burnish.modelfile.graph import INPUT, OUTPUT, refuse

# These can write over an input that nobody needs any more, and runtimes do.
_IN_PLACE = frozenset(
    [
        "Add",
        "BatchNormalization",
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

_Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Costs:
    """What running a graph costs, a pixel of the picture, rounded up.

    ``macs_per_pixel``: multiply-adds of the convolutions. ``activations_per_pixel``: the most
    values alive at once, the input image and the weights apart, done in place where possible.
    """

    macs_per_pixel: int
    activations_per_pixel: int


def costs(model: ModelProto, multiple: int, where: str) -> Costs:
    """Work out what running the graph costs.

    Raises
    ------
    ModelError : a size cannot be told from the picture's, the result is not as large as the
        picture, or memory grows faster than the picture does
    """
    side = multiple * ceil(64 / multiple)
    small = _costs_at(model, side, where)
    large = _costs_at(model, 3 * side, where)
    if large.activations_per_pixel > small.activations_per_pixel:
        refuse(
            where,
            "memory in proportion to the picture",
            f"{small.activations_per_pixel} values a pixel at {side} px, "
            f"{large.activations_per_pixel} at {3 * side} px",
        )
    return small


def _costs_at(model: ModelProto, side: int, where: str) -> Costs:
    shapes = _shapes(model, side, where)
    if shapes[OUTPUT] != (1, 3, side, side):
        refuse(where, f"a result of 3 x {side} x {side}", " x ".join(map(str, shapes[OUTPUT][1:])))
    macs = sum(_macs(node, shapes) for node in model.graph.node)
    pixels = side * side
    return Costs(ceil(macs / pixels), ceil(_most_alive(model.graph, shapes) / pixels))


def _shapes(model: ModelProto, side: int, where: str) -> _Shapes:
    """Infer the shape of every tensor for one picture of `side` x `side` pixels."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]  # The file's claims; only what follows from the input counts.
    fixed.graph.output[0].type.tensor_type.ClearField("shape")
    image = next(end for end in fixed.graph.input if end.name == INPUT)
    for dim, size in zip(image.type.tensor_type.shape.dim, (1, 3, side, side), strict=True):
        dim.dim_value = size
    try:
        graph = onnx.shape_inference.infer_shapes(
            fixed, check_type=True, strict_mode=True, data_prop=True
        ).graph
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        refuse(where, "a graph whose sizes fit together", str(error)[:200], error)
    shapes: _Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        shapes[info.name] = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
    for node in graph.node:
        # Zero is protobuf's way to say 'unknown'.
        if any(name and 0 in shapes.get(name, (0,)) for name in node.output):
            refuse(where, "sizes that follow from the picture's", f"{node.op_type} of unknown size")
    return shapes


def _macs(node: NodeProto, shapes: _Shapes) -> int:
    """Multiply-adds: each value made by Conv, or taken by ConvTranspose, meets a kernel's worth."""
    if node.op_type not in ("Conv", "ConvTranspose"):
        return 0
    values = node.output[0] if node.op_type == "Conv" else node.input[0]
    return prod(shapes[values]) * prod(shapes[node.input[1]][1:])


def _most_alive(graph: GraphProto, shapes: _Shapes) -> int:
    """Return the largest number of values that exist at one time, going through the nodes."""
    last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
    last_use[OUTPUT] = len(graph.node)
    alive: dict[str, int] = {}
    most = 0
    for i, node in enumerate(graph.node):
        made = {name: prod(shapes[name]) for name in node.output if name}
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
