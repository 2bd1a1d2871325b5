"""The rules for the graph of a model file: its inputs, its outputs and its operators.

All operators are local. A graph of them can be tiled exactly, its sizes follow from the image's
size, and its memory grows in proportion to the image. Hence there is no arithmetic on shapes, no
control flow and no operator that reads the whole image. All tensors are either computed from the
image and its guide, or constant.

Context tensors are the exception. They are computed from `params` and `thumbnail` alone, are small
and the same for every tile, and may be reduced as a whole. They meet the image as one number per
channel, or a `GridSample` reads them at `coords`.
"""

from collections.abc import Collection, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from burnish.modelfile.base_card import reject
from burnish.modelfile.card import COORDS, GUIDE, INPUT, Card, Ranges
from burnish.modelfile.onnx_file import graph_inputs

# The largest kernel size, dilation, pad and so on.
MAX_INTEGER = 2**16
MAX_SCALE = 64

_CHANNEL_AXIS = (1, -3)
# With auto_pad, the position of a window depends on the image's size, and differs in a tile.
_NO_AUTO_PAD: dict[str, Collection[object]] = {"auto_pad": (None, b"NOTSET")}

# The permitted values of attributes, by operator. None: the attribute may be absent, with the
# default of ONNX. Attributes that are not listed are free.
_ATTRIBUTE_RULES: dict[str, Mapping[str, Collection[object]]] = {
    "AveragePool": _NO_AUTO_PAD,
    "Cast": {"to": (TensorProto.FLOAT,)},
    "Concat": {"axis": _CHANNEL_AXIS},
    "Conv": _NO_AUTO_PAD,
    "Gather": {"axis": _CHANNEL_AXIS},
    "GridSample": {
        "align_corners": (None, 0),
        "mode": (None, b"bilinear", b"linear"),
        "padding_mode": (b"border",),
    },
    "MaxPool": _NO_AUTO_PAD,
    "Pad": {"mode": (None, b"constant", b"edge", b"reflect")},
    "Resize": {
        "antialias": (None, 0),
        "axes": (None,),
        "coordinate_transformation_mode": (None, b"half_pixel", b"asymmetric"),
        "mode": (None, b"nearest", b"linear"),
        "nearest_mode": (None, b"floor", b"ceil", b"round_prefer_floor", b"round_prefer_ceil"),
    },
    "Split": {"axis": _CHANNEL_AXIS},
}
_OTHER_OPS = """
    Add Clip Constant DepthToSpace Div Elu HardSigmoid HardSwish Identity LeakyRelu Mul PRelu Relu
    Sigmoid Slice SpaceToDepth Sub Tanh
"""
# Allowed on context tensors only.
_GLOBAL_OPS = frozenset(
    ["GlobalAveragePool", "GlobalMaxPool", "Log", "ReduceMax", "ReduceMean", "Reshape"]
)
ALLOWED_OPS = _GLOBAL_OPS.union(_ATTRIBUTE_RULES, _OTHER_OPS.split())

# Reads a context tensor at the coords of a tile's blocks.
SAMPLE_OP = "GridSample"
# The outputs of these are weights.
WEIGHT_OPS = frozenset(["Cast", "Constant"])
# These take several computed tensors; other operators take one, and constants.
MULTI_INPUT_OPS = frozenset(["Add", "Concat", "Div", "Mul", "Sub"])
# These take an image tensor and a context tensor.
_CONTEXT_OPS = MULTI_INPUT_OPS - {"Concat"}


# None is a free dimension.
_Shape = list[int | None]
_IMAGE_SHAPE: _Shape = [None, 3, None, None]


def input_shapes(card: Card) -> dict[str, _Shape]:
    """Return the shape of each input of a network, in order."""
    shapes: dict[str, _Shape] = {INPUT: _IMAGE_SHAPE}
    if card.guide:
        shapes[GUIDE] = _IMAGE_SHAPE
    shapes |= {name: [1, *shape] for name, shape in card.context_shapes.items()}
    if card.coords:
        shapes[COORDS] = [1, None, None, 2]
    return shapes


def check_io(graph: GraphProto, card: Card, filename: str) -> None:
    """Check the names, order, types and shapes of the inputs and outputs of a file.

    Raises
    ------
    ModelError : one of them differs from the card, or from docs/model-file.md
    """
    inputs: dict[str, _Shape] = {}
    outputs: dict[str, _Shape] = {}
    for output, network_card in card.outputs.items():
        inputs |= input_shapes(network_card)
        outputs[output] = _IMAGE_SHAPE
    for kind, values, shapes in (
        ("inputs", graph_inputs(graph), inputs),
        ("outputs", list(graph.output), outputs),
    ):
        names = [value.name for value in values]
        if names != list(shapes):
            problem = f"its {kind} are {[name[:40] for name in names[:6]]}, not {list(shapes)}"
            reject(filename, f"{problem} as its card implies")
        for value in values:
            _check_shape(value, shapes[value.name], filename)


def _check_shape(value: ValueInfoProto, shape: _Shape, filename: str) -> None:
    """Check that an input or output is float32 and has a shape; None is a free dimension."""
    tensor_type = value.type.tensor_type
    if tensor_type.elem_type != TensorProto.FLOAT:
        names = {number: name for name, number in TensorProto.DataType.items()}
        dtype = names.get(tensor_type.elem_type, f"unknown type {tensor_type.elem_type}")
        reject(filename, f"{value.name} is {dtype}, not float32")
    dims = tensor_type.shape.dim
    actual_shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    if actual_shape not in (shape, [1, *shape[1:]]):  # A batch of one image may be stated.
        reject(filename, f"{value.name} has the shape {actual_shape[:8]}, not {shape}")


def check_ops(graph: GraphProto, filename: str) -> None:
    """Check every node against the rules; its operator is one of `ALLOWED_OPS` already.

    Raises
    ------
    ModelError : a node reads more than a neighbourhood, or its sizes are not fixed multiples of
        the image's
    """
    constants = constant_tensors(graph)
    tile_inputs, context = _input_names(graph)
    image_tensors = set(tile_inputs)
    for node in graph.node:
        _check_attributes(node, filename)
        if node.op_type in WEIGHT_OPS:
            _check_weight(node, constants, filename)
            continue
        from_image = not image_tensors.isdisjoint(node.input)
        if node.op_type == SAMPLE_OP or COORDS in tile_inputs.intersection(node.input):
            _check_sample(node, tile_inputs, context, filename)
        else:
            _check_inputs(node, image_tensors, context, filename)
            if from_image:
                _check_image_op(node, context, filename)
            _check_constant_inputs(node, constants, filename)
        (image_tensors if from_image else context).update(filter(None, node.output))


def check_ranges(graph: GraphProto, ranges: Ranges, filename: str) -> None:
    """Check that the tensors with ranges are in a graph.

    Raises
    ------
    ModelError : one of them is not
    """
    names = {name for node in graph.node for name in node.output}
    for name in ranges:
        if name not in names:
            reject(filename, f"its card has a range of {name[:80]!r}, which is not in its graph")


def context_tensor_names(graph: GraphProto) -> set[str]:
    """Return the names of the context tensors of a checked graph."""
    image_tensors, context = _input_names(graph)
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS:
            from_image = not image_tensors.isdisjoint(node.input)
            (image_tensors if from_image else context).update(filter(None, node.output))
    return context


def constant_tensors(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the weights and other constants of a graph by name."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for value in node.attribute[:1] if node.op_type == "Constant" else ():
            if value.HasField("t"):
                tensors[node.output[0]] = value.t
    return tensors


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def small_constant(tensor: TensorProto | None) -> NDArray[np.float64]:
    """Return the numbers of a constant such as pads or scales; empty if it has more than eight."""
    dtypes = (TensorProto.FLOAT, TensorProto.INT64)
    if tensor is None or tensor.data_type not in dtypes or prod(tensor.dims) > 8:
        return np.zeros(0)
    try:
        return numpy_helper.to_array(tensor).astype(np.float64).reshape(-1)
    except ValueError:  # The data is shorter or longer than the shape says.
        return np.zeros(0)


def _input_names(graph: GraphProto) -> tuple[set[str], set[str]]:
    """Return the names of the inputs that differ from tile to tile, and of the context's."""
    names = {value.name for value in graph_inputs(graph)}
    tile_inputs = names & {INPUT, GUIDE, COORDS}
    return tile_inputs, names - tile_inputs


def _check_attributes(node: NodeProto, filename: str) -> None:
    node_attributes = attributes(node)
    for name, allowed_values in _ATTRIBUTE_RULES.get(node.op_type, {}).items():
        if node_attributes.get(name) not in allowed_values:
            text = f"{node_attributes.get(name, 'left out')}"[:80]
            reject(filename, f"{node.op_type} with {name} {text} is not allowed")
    if node.op_type != "Constant":
        for name, value in node_attributes.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > MAX_INTEGER:
                    problem = f"{node.op_type} has {name[:80]} {number}, beyond {MAX_INTEGER}"
                    reject(filename, problem)


def _check_inputs(
    node: NodeProto, image_tensors: Collection[str], context: Collection[str], filename: str
) -> None:
    computed = [name in image_tensors or name in context for name in node.input]
    if not (any(computed) if node.op_type in MULTI_INPUT_OPS else computed[0]):
        reject(filename, f"{node.op_type} computes weights, which have to be stored")
    if node.op_type == "Conv" and node.input[1] in context:
        computed[1] = False  # A kernel may be computed from the context.
    if node.op_type not in MULTI_INPUT_OPS and any(computed[1:]):
        reject(filename, f"{node.op_type} has computed weights or sizes")
    if len(node.output) > 1 and node.op_type != "Split":
        reject(filename, f"{node.op_type} has {len(node.output)} outputs, not one")


def _check_sample(
    node: NodeProto, tile_inputs: Collection[str], context: Collection[str], filename: str
) -> None:
    """Check that `coords` is only used to sample a context tensor, and that nothing else is."""
    source, *coords = node.input
    valid = node.op_type == SAMPLE_OP and source in context and coords == [COORDS]
    if not valid or COORDS not in tile_inputs:
        operands = [name[:40] for name in node.input[:4]]
        problem = f"{node.op_type} of {operands} is not {SAMPLE_OP} of a context tensor at {COORDS}"
        reject(filename, problem)


def _check_weight(node: NodeProto, constants: Mapping[str, TensorProto], filename: str) -> None:
    """Check that a Constant holds a tensor, and that a Cast only widens a stored weight."""
    if node.op_type == "Constant":
        if node.output[0] not in constants:
            reject(filename, "a Constant has no tensor as its value")
        return
    weight = constants.get(node.input[0])
    if weight is None or weight.data_type not in (TensorProto.FLOAT16, TensorProto.INT8):
        reject(filename, "a Cast is applied to something else than a float16 or int8 weight")


def _check_image_op(node: NodeProto, context: Collection[str], filename: str) -> None:
    """Check a node that takes an image tensor."""
    if node.op_type in _GLOBAL_OPS:
        reject(filename, f"{node.op_type} of the image is not local")
    kernel = node.input[1] if node.op_type == "Conv" else None
    context_inputs = [name for name in node.input if name in context and name != kernel]
    if node.op_type not in _CONTEXT_OPS and context_inputs:
        reject(filename, f"{node.op_type} takes the image and a context tensor")


def _check_constant_inputs(
    node: NodeProto, constants: Mapping[str, TensorProto], filename: str
) -> None:
    """Check the pads, scales and ranges that operators take as inputs."""
    if node.op_type not in ("Pad", "Resize", "Slice"):
        return
    values = [small_constant(constants.get(name)) for name in node.input]
    present = [bool(name) for name in node.input] + [False] * 4
    if node.op_type == "Slice":
        valid = present[3] and values[3].size == 1 and values[3][0] in _CHANNEL_AXIS
        rule = "a Slice has to be along channels"
    elif node.op_type == "Pad":
        pads = values[1]
        valid = not present[3] and pads.size == 8 and not pads[[0, 1, 4, 5]].any()
        valid = valid and bool((np.abs(pads) <= MAX_INTEGER).all())
        rule = f"a Pad has to add at most {MAX_INTEGER} rows and columns"
    else:
        scales = values[2] if present[2] else np.zeros(0)
        valid = not present[3] and scales.size == 4 and (scales[:2] == 1).all()
        valid = valid and bool(((scales > 1 / MAX_INTEGER) & (scales <= MAX_SCALE)).all())
        rule = f"a Resize has to scale rows and columns by constants of at most {MAX_SCALE}"
    if not valid:
        reject(filename, rule)
