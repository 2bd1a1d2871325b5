"""Operators that look near, wherever in a picture they are: the only ones a graph may have.

Built of nothing else, a graph can be tiled, its sizes follow from the picture's size alone, and
memory grows as the picture does. So there is no arithmetic on shapes, no control flow, nothing
that looks at the whole picture, and all but the tensors made from the picture are weights.

One more kind there is: what holds for a whole picture, its context, made from parameter values and
from a thumbnail. It is small, the same for every tile, and may be looked at as a whole. Where it
meets the picture it is one number a channel, or it is looked up at the places of the tile's blocks.
"""

from collections.abc import Collection, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from burnish.modelfile.card import COORDS, INPUT
from burnish.modelfile.io_spec import inputs
from burnish.modelfile.refusal import reject

# No number that places something (a kernel's size, a dilation, a pad) needs to be larger.
MAX_INTEGER = 2**16
MAX_SCALE = 64

_CHANNEL_AXIS = (1, -3)
# `SAME` places a window by the picture's size: not as in a tile.
_NO_AUTO_PAD: dict[str, Collection[object]] = {"auto_pad": (None, b"NOTSET")}

# Operator -> the values an attribute may have, where some of them look far or depend on the
# picture's size. None: the attribute is left out, and ONNX's default holds.
_ATTRIBUTE_RULES: dict[str, Mapping[str, Collection[object]]] = {
    "Add": {},
    "AveragePool": _NO_AUTO_PAD,
    "Cast": {"to": (TensorProto.FLOAT,)},
    "Clip": {},
    "Concat": {"axis": _CHANNEL_AXIS},
    "Constant": {},
    "Conv": _NO_AUTO_PAD,
    "DepthToSpace": {},
    "Div": {},
    "Elu": {},
    "Gather": {"axis": _CHANNEL_AXIS},
    "GridSample": {
        "align_corners": (None, 0),
        "mode": (None, b"bilinear", b"linear"),
        "padding_mode": (b"border",),
    },
    "HardSigmoid": {},
    "HardSwish": {},
    "Identity": {},
    "LeakyRelu": {},
    "MaxPool": _NO_AUTO_PAD,
    "Mul": {},
    "PRelu": {},
    "Pad": {"mode": (None, b"constant", b"edge", b"reflect")},
    "Relu": {},
    "Resize": {
        "antialias": (None, 0),
        "axes": (None,),
        "coordinate_transformation_mode": (None, b"half_pixel", b"asymmetric"),
        "mode": (None, b"nearest", b"linear"),
        "nearest_mode": (None, b"floor", b"ceil", b"round_prefer_floor", b"round_prefer_ceil"),
    },
    "Sigmoid": {},
    "Slice": {},
    "SpaceToDepth": {},
    "Split": {"axis": _CHANNEL_AXIS},
    "Sub": {},
    "Tanh": {},
}
# Only the context is looked at as a whole.
_GLOBAL_OPS = frozenset(
    ["GlobalAveragePool", "GlobalMaxPool", "Log", "ReduceMax", "ReduceMean", "Reshape"]
)
ALLOWED_OPS = frozenset(_ATTRIBUTE_RULES) | _GLOBAL_OPS

# Takes what holds for the whole picture to the places of a tile's blocks.
SAMPLE_OP = "GridSample"

# These give weights, whatever the picture.
WEIGHT_OPS = frozenset(["Cast", "Constant"])
# Here tensors made from the picture may meet; elsewhere one goes in, and all else is weights.
MULTI_INPUT_OPS = frozenset(["Add", "Concat", "Div", "Mul", "Sub"])
# Here the picture may meet its context.
CONTEXT_OPS = MULTI_INPUT_OPS - {"Concat"}


def check_ops(model: ModelProto, filename: str) -> None:
    """Hold every node against the rules; operators are among `ALLOWED_OPS` already.

    Raises
    ------
    ModelError : a node may look far, or make sizes that do not follow from the picture's
    """
    known = constant_tensors(model.graph)
    tile_inputs, context = _graph_inputs(model.graph)
    image_tensors = set(tile_inputs)
    for node in model.graph.node:
        _check_attributes(node, filename)
        if node.op_type == "Constant":
            if node.output[0] not in known:
                attribute_names = ", ".join(repr(each.name[:80]) for each in node.attribute[:1])
                reject(
                    filename, "constants that are tensors", attribute_names or "one without a value"
                )
            continue
        if node.op_type == "Cast":
            _check_cast(node, known, filename)
            continue
        from_image = not image_tensors.isdisjoint(node.input)
        if node.op_type == SAMPLE_OP or COORDS in tile_inputs.intersection(node.input):
            _check_sample(node, tile_inputs, context, filename)
            image_tensors.update(filter(None, node.output))
            continue
        _check_inputs(node, image_tensors, context, filename)
        if from_image:
            _check_image_op(node, context, filename)
        _check_constant_inputs(node, known, filename)
        (image_tensors if from_image else context).update(filter(None, node.output))


def context_tensor_names(graph: GraphProto) -> set[str]:
    """Return the names of the tensors that hold for the whole picture; the graph is checked."""
    image_tensors, context = _graph_inputs(graph)
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS:
            (context if image_tensors.isdisjoint(node.input) else image_tensors).update(
                filter(None, node.output)
            )
    return context


def _graph_inputs(graph: GraphProto) -> tuple[set[str], set[str]]:
    """Return the inputs that differ from tile to tile, and those that hold for the whole.

    A weight or a result may be called like one of them, and is none.
    """
    names = {end.name for end in inputs(graph)}
    return names & {INPUT, COORDS}, names - {INPUT, COORDS}


def constant_tensors(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the weights and other constants by name."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for value in node.attribute[:1] if node.op_type == "Constant" else ():
            if value.HasField("t"):
                tensors[node.output[0]] = value.t
    return tensors


def attributes(node: NodeProto) -> dict[str, object]:
    """Return a node's attributes by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def small_constant(tensor: TensorProto | None) -> NDArray[np.float64]:
    """Return the numbers of a constant that places something; none of another."""
    dtypes = (TensorProto.FLOAT, TensorProto.INT64)
    if tensor is None or tensor.data_type not in dtypes or prod(tensor.dims) > 8:
        return np.zeros(0)
    try:
        return numpy_helper.to_array(tensor).astype(np.float64).reshape(-1)
    except ValueError:  # As many numbers as it says it has not.
        return np.zeros(0)


def _check_attributes(node: NodeProto, filename: str) -> None:
    node_attributes = attributes(node)
    for name, values in _ATTRIBUTE_RULES.get(node.op_type, {}).items():
        if node_attributes.get(name) not in values:
            got = f"{node.op_type} with {name} {node_attributes.get(name, 'left out')}"
            reject(filename, "operators that look near", got[:120])
    if node.op_type != "Constant":
        for name, value in node_attributes.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > MAX_INTEGER:
                    reject(filename, f"{name[:80]} of at most {MAX_INTEGER}", f"{number}")


def _check_inputs(
    node: NodeProto, image_tensors: Collection[str], context: Collection[str], filename: str
) -> None:
    computed = [name in image_tensors or name in context for name in node.input]
    if not (any(computed) if node.op_type in MULTI_INPUT_OPS else computed[0]):
        reject(filename, "weights that are stored", f"{node.op_type} that computes some")
    if node.op_type == "Conv" and node.input[1] in context:
        computed[1] = False  # a kernel may hold for the whole picture
    if node.op_type not in MULTI_INPUT_OPS and any(computed[1:]):
        reject(filename, "weights and sizes that are constant", f"{node.op_type} by computed ones")
    if len(node.output) > 1 and node.op_type != "Split":
        reject(filename, "one output", f"{node.op_type} with {len(node.output)}")


def _check_sample(
    node: NodeProto, tile_inputs: Collection[str], context: Collection[str], filename: str
) -> None:
    """Check that places serve to look up in what holds for the whole picture, and nothing else."""
    source, *coords = node.input
    if (
        node.op_type != SAMPLE_OP
        or source not in context
        or coords != [COORDS]
        or COORDS not in tile_inputs
    ):
        expected = f"{SAMPLE_OP} of what holds for the whole picture, at {COORDS}"
        reject(filename, expected, f"{node.op_type} of {[name[:40] for name in node.input[:4]]}")


def _check_cast(node: NodeProto, known: Mapping[str, TensorProto], filename: str) -> None:
    """Check that what is cast is a stored weight, and no number that places something."""
    weight = known.get(node.input[0])
    if weight is None or weight.data_type not in (TensorProto.FLOAT16, TensorProto.INT8):
        reject(filename, "Cast of weights stored in 16 or 8 bits", "Cast of something else")


def _check_image_op(node: NodeProto, context: Collection[str], filename: str) -> None:
    """Check a node that works on the picture."""
    if node.op_type in _GLOBAL_OPS:
        reject(filename, "operators that look near", f"{node.op_type} of the picture")
    kernel = node.input[1] if node.op_type == "Conv" else None
    context_inputs = [name for name in node.input if name in context and name != kernel]
    if node.op_type not in CONTEXT_OPS and context_inputs:
        reject(
            filename, "what holds for the whole picture to scale or shift", f"{node.op_type} by it"
        )


def _check_constant_inputs(
    node: NodeProto, known: Mapping[str, TensorProto], filename: str
) -> None:
    """Check the numbers that newer operator sets take as inputs rather than attributes."""
    if node.op_type not in ("Pad", "Resize", "Slice"):
        return
    values = [small_constant(known.get(name)) for name in node.input]
    present = [bool(name) for name in node.input] + [False] * 4
    if node.op_type == "Slice":
        valid = present[3] and values[3].size == 1 and values[3][0] in _CHANNEL_AXIS
        expected = "Slice of channels"
    elif node.op_type == "Pad":
        numbers = values[1]
        valid = not present[3] and numbers.size == 8 and not numbers[[0, 1, 4, 5]].any()
        valid = valid and bool((np.abs(numbers) <= MAX_INTEGER).all())
        expected = f"Pad of at most {MAX_INTEGER} rows and columns"
    else:
        numbers = values[2] if present[2] else np.zeros(0)
        valid = not present[3] and numbers.size == 4 and (numbers[:2] == 1).all()
        valid = valid and bool(((numbers > 1 / MAX_INTEGER) & (numbers <= MAX_SCALE)).all())
        expected = f"Resize of rows and columns by constant factors of at most {MAX_SCALE}"
    if not valid:
        reject(filename, expected, f"{node.op_type} by others")
