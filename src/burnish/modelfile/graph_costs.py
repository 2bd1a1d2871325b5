"""The multiply-adds and the memory of a graph, computed from its shapes without running it.

The costs on a card determine the size of tiles. A card that understates them would make burnish
use far more memory than there is, so a file's card is compared with its graph.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, prod
from random import Random

import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

from burnish.modelfile.base_card import reject
from burnish.modelfile.card import COORDS, GUIDE, INPUT, OUTPUT
from burnish.modelfile.graph_rules import SAMPLE_OP, WEIGHT_OPS, context_tensor_names
from burnish.modelfile.onnx_file import graph_inputs

# The shape of every tensor, by name.
Shapes = dict[str, tuple[int, ...]]

# Shape inference needs the values of constants such as pads and scales. Larger ones are weights.
_MAX_SHAPE_NUMEL = 1024
# Multiply-adds of a bilinear sample, which weighs four values.
GRID_SAMPLE_MACS = 4
# Runtimes let these overwrite an input that is not needed any more.
_NAMES = "Add Clip Div Elu HardSigmoid HardSwish Identity LeakyRelu Mul PRelu Relu Sigmoid Sub Tanh"
_IN_PLACE_OPS = frozenset(_NAMES.split())
# Side of the image that costs are computed for, in blocks of the card's size multiple. It is so
# large that constant costs vanish, and odd, so that halved sizes do not fit by accident.
_LARGE_BLOCKS = 8191
# Memory of other sizes is compared with that of an image padded by this many pixels on two sides,
# since a network may pad its tensors.
_PADDING = 64
# Enough for a small network on a thumbnail of 256 px.
_MAX_CONTEXT_VALUES = 2**23
_MAX_CONTEXT_MACS = 2**30


@dataclass(frozen=True)
class GraphCosts:
    """Costs per pixel of the image, rounded up, as on a card. The context's are left out."""

    macs_per_pixel: int
    peak_activations_per_pixel: int


def graph_costs(model: ModelProto, size_multiple: int, filename: str) -> GraphCosts:
    """Compute the costs of a graph on a large square image.

    Raises
    ------
    ModelError : a tensor's size does not follow from the image's, the output is not as large as the
        image, or an image of another size or shape takes more memory per pixel
    """
    side = size_multiple * _LARGE_BLOCKS
    shapes = tensor_shapes(model, side, side, size_multiple, filename)
    context = context_tensor_names(model.graph)
    _check_context_costs(model, context, shapes, filename)
    macs = sum(_macs(node, shapes) for node in model.graph.node if context.isdisjoint(node.output))
    peak_per_pixel = ceil(_peak_activations(model.graph, context, shapes) / side**2)
    for rows, columns in _probe_sizes(model):
        height, width = size_multiple * rows, size_multiple * columns
        probe_shapes = tensor_shapes(model, height, width, size_multiple, filename)
        peak = _peak_activations(model.graph, context, probe_shapes)
        if peak > peak_per_pixel * (height + _PADDING) * (width + _PADDING):
            reject(
                filename,
                f"its memory is not in proportion to the image: {peak_per_pixel} values per pixel"
                f" for a large one, {ceil(peak / (height * width))} at {width} x {height} px",
            )
    return GraphCosts(ceil(macs / side**2), peak_per_pixel)


def tensor_shapes(
    model: ModelProto, height: int, width: int, size_multiple: int, filename: str
) -> Shapes:
    """Infer the shape of every tensor of a graph for an image of this height and width, in px.

    Raises
    ------
    ModelError : sizes contradict each other or are unknown, or the output is not as large as the
        image
    """
    try:
        graph = onnx.shape_inference.infer_shapes(
            _without_weights(model, height, width, size_multiple),
            check_type=True,
            strict_mode=True,
            data_prop=True,
        ).graph
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        reject(filename, f"sizes in its graph do not fit together: {str(error)[:200]}", error)
    shapes: Shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        shapes[info.name] = tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
    for node in graph.node:
        # An unknown dimension is 0 in protobuf; a window larger than its input gives a negative.
        if any(name and min(shapes.get(name, (0,)), default=1) < 1 for name in node.output):
            reject(filename, f"the size of a {node.op_type} does not follow from the image's")
    if shapes[OUTPUT] != (1, 3, height, width):
        size = " x ".join(map(str, shapes[OUTPUT][1:]))
        reject(filename, f"its output for 3 x {height} x {width} is {size}")
    return shapes


def _without_weights(model: ModelProto, height: int, width: int, size_multiple: int) -> ModelProto:
    """Return the graph for one image size, without large weights and without stated shapes."""
    model_copy = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = model_copy.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    free_shapes = {
        INPUT: (1, 3, height, width),
        GUIDE: (1, 3, height, width),
        COORDS: (1, height // size_multiple, width // size_multiple, 2),
    }
    float32 = onnx.TensorProto.FLOAT
    for value in graph_inputs(model.graph):
        if value.name in free_shapes:
            value = helper.make_tensor_value_info(value.name, float32, free_shapes[value.name])
        graph.input.append(value)
    graph.output.append(helper.make_tensor_value_info(OUTPUT, float32, None))
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= _MAX_SHAPE_NUMEL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return model_copy


def _check_context_costs(
    model: ModelProto, context: Set[str], shapes: Shapes, filename: str
) -> None:
    """Check that the work on context tensors is small; it does not depend on the image's size."""
    nodes = [node for node in model.graph.node if not context.isdisjoint(node.output)]
    values = sum(prod(shapes[name]) for node in nodes for name in node.output if name)
    macs = sum(_macs(node, shapes) for node in nodes)
    if values > _MAX_CONTEXT_VALUES or macs > _MAX_CONTEXT_MACS:
        limit = f"{_MAX_CONTEXT_VALUES} and {_MAX_CONTEXT_MACS}"
        reject(
            filename, f"its context takes {values} values and {macs} multiply-adds, over {limit}"
        )


def _probe_sizes(model: ModelProto) -> Iterator[tuple[int, int]]:
    """Yield heights and widths in blocks: extreme ones, and some that no file can be made for.

    The random ones are seeded with the file's hash. A file gets the same sizes each time, and
    changing a file to suit its sizes changes the sizes.
    """
    yield from ((1, 1), (1, _LARGE_BLOCKS), (_LARGE_BLOCKS, 1), (17, 31))
    random = Random(sha256(model.SerializeToString(deterministic=True)).digest())
    for max_blocks in (64, 1024, 1024, 16384):
        yield random.randint(1, max_blocks), random.randint(1, max_blocks)


def _macs(node: NodeProto, shapes: Shapes) -> int:
    """Return the multiply-adds of a node."""
    if node.op_type == SAMPLE_OP:
        return GRID_SAMPLE_MACS * prod(shapes[node.output[0]])
    if node.op_type != "Conv":
        return 0
    return prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])


def _peak_activations(graph: GraphProto, context: Set[str], shapes: Shapes) -> int:
    """Return the largest number of values in memory at once, running the nodes in order."""
    last_use = {name: i for i, node in enumerate(graph.node) for name in node.input}
    last_use[OUTPUT] = len(graph.node)
    live: dict[str, int] = {}
    peak = 0
    for i, node in enumerate(graph.node):
        if node.op_type in WEIGHT_OPS or not context.isdisjoint(node.output):
            continue
        outputs = {name: prod(shapes[name]) for name in node.output if name}
        freed = [name for name in set(node.input) & live.keys() if last_use[name] == i]
        reused = 0
        if node.op_type in _IN_PLACE_OPS:
            size = sum(outputs.values())
            reused = size if size in {live[name] for name in freed} else 0
        peak = max(peak, sum(live.values()) + sum(outputs.values()) - reused)
        live |= {name: size for name, size in outputs.items() if name in last_use}
        for name in freed:
            del live[name]
    return peak
