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

from burnish.modelfile.card import INPUT, PLACES
from burnish.modelfile.io_spec import inputs
from burnish.modelfile.refusal import refuse

# No number that places something (a kernel's size, a dilation, a pad) needs to be larger.
MAX_NUMBER = 2**16
MAX_SCALE = 64

_CHANNELS = (1, -3)
# `SAME` places a window by the picture's size: not as in a tile.
_WINDOW: dict[str, Collection[object]] = {"auto_pad": (None, b"NOTSET")}

# Operator -> the values an attribute may have, where some of them look far or depend on the
# picture's size. None: the attribute is left out, and ONNX's default holds.
_RULES: dict[str, Mapping[str, Collection[object]]] = {
    "Add": {},
    "AveragePool": _WINDOW,
    "Cast": {"to": (TensorProto.FLOAT,)},
    "Clip": {},
    "Concat": {"axis": _CHANNELS},
    "Constant": {},
    "Conv": _WINDOW,
    "DepthToSpace": {},
    "Div": {},
    "Elu": {},
    "Gather": {"axis": _CHANNELS},
    "GridSample": {
        "align_corners": (None, 0),
        "mode": (None, b"bilinear", b"linear"),
        "padding_mode": (b"border",),
    },
    "HardSigmoid": {},
    "HardSwish": {},
    "Identity": {},
    "LeakyRelu": {},
    "MaxPool": _WINDOW,
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
    "Split": {"axis": _CHANNELS},
    "Sub": {},
    "Tanh": {},
}
# Only the context is looked at as a whole.
_WHOLE = frozenset(
    ["GlobalAveragePool", "GlobalMaxPool", "Log", "ReduceMax", "ReduceMean", "Reshape"]
)
ALLOWED = frozenset(_RULES) | _WHOLE

# Takes what holds for the whole picture to the places of a tile's blocks.
LOOK_UP = "GridSample"

# These give weights, whatever the picture.
WEIGHTS = frozenset(["Cast", "Constant"])
# Here tensors made from the picture may meet; elsewhere one goes in, and all else is weights.
MEETING = frozenset(["Add", "Concat", "Div", "Mul", "Sub"])
# Here the picture may meet its context.
TOGETHER = MEETING - {"Concat"}


def check(model: ModelProto, where: str) -> None:
    """Hold every node against the rules; operators are among `ALLOWED` already.

    Raises
    ------
    ModelError : a node may look far, or make sizes that do not follow from the picture's
    """
    known = constants(model.graph)
    of_tile, context = _given(model.graph)
    made = set(of_tile)
    for node in model.graph.node:
        _check_attributes(node, where)
        if node.op_type == "Constant":
            if node.output[0] not in known:
                told = ", ".join(repr(each.name[:80]) for each in node.attribute[:1])
                refuse(where, "constants that are tensors", told or "one without a value")
            continue
        if node.op_type == "Cast":
            _check_cast(node, known, where)
            continue
        near = not made.isdisjoint(node.input)
        if node.op_type == LOOK_UP or PLACES in of_tile.intersection(node.input):
            _check_look_up(node, of_tile, context, where)
            made.update(filter(None, node.output))
            continue
        _check_inputs(node, made, context, where)
        if near:
            _check_near(node, context, where)
        _check_numbers(node, known, where)
        (made if near else context).update(filter(None, node.output))


def context_of(graph: GraphProto) -> set[str]:
    """Return the names of the tensors that hold for the whole picture; the graph is checked."""
    made, context = _given(graph)
    for node in graph.node:
        if node.op_type not in WEIGHTS:
            (context if made.isdisjoint(node.input) else made).update(filter(None, node.output))
    return context


def _given(graph: GraphProto) -> tuple[set[str], set[str]]:
    """Return the inputs that differ from tile to tile, and those that hold for the whole.

    A weight or a result may be called like one of them, and is none.
    """
    names = {end.name for end in inputs(graph)}
    return names & {INPUT, PLACES}, names - {INPUT, PLACES}


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the weights and other constants by name."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for value in node.attribute[:1] if node.op_type == "Constant" else ():
            if value.HasField("t"):
                found[node.output[0]] = value.t
    return found


def attributes(node: NodeProto) -> dict[str, object]:
    """Return a node's attributes by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def numbers(tensor: TensorProto | None) -> NDArray[np.float64]:
    """Return the numbers of a constant that places something; none of another."""
    kinds = (TensorProto.FLOAT, TensorProto.INT64)
    if tensor is None or tensor.data_type not in kinds or prod(tensor.dims) > 8:
        return np.zeros(0)
    try:
        return numpy_helper.to_array(tensor).astype(np.float64).reshape(-1)
    except ValueError:  # As many numbers as it says it has not.
        return np.zeros(0)


def _check_attributes(node: NodeProto, where: str) -> None:
    given = attributes(node)
    for name, values in _RULES.get(node.op_type, {}).items():
        if given.get(name) not in values:
            got = f"{node.op_type} with {name} {given.get(name, 'left out')}"
            refuse(where, "operators that look near", got[:120])
    if node.op_type != "Constant":
        for name, value in given.items():
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > MAX_NUMBER:
                    refuse(where, f"{name[:80]} of at most {MAX_NUMBER}", f"{number}")


def _check_inputs(
    node: NodeProto, made: Collection[str], context: Collection[str], where: str
) -> None:
    computed = [name in made or name in context for name in node.input]
    if not (any(computed) if node.op_type in MEETING else computed[0]):
        refuse(where, "weights that are stored", f"{node.op_type} that computes some")
    if node.op_type == "Conv" and node.input[1] in context:
        computed[1] = False  # a kernel may hold for the whole picture
    if node.op_type not in MEETING and any(computed[1:]):
        refuse(where, "weights and sizes that are constant", f"{node.op_type} by computed ones")
    if len(node.output) > 1 and node.op_type != "Split":
        refuse(where, "one output", f"{node.op_type} with {len(node.output)}")


def _check_look_up(
    node: NodeProto, of_tile: Collection[str], context: Collection[str], where: str
) -> None:
    """Check that places serve to look up in what holds for the whole picture, and nothing else."""
    source, *at = node.input
    if node.op_type != LOOK_UP or source not in context or at != [PLACES] or PLACES not in of_tile:
        expected = f"{LOOK_UP} of what holds for the whole picture, at {PLACES}"
        refuse(where, expected, f"{node.op_type} of {[name[:40] for name in node.input[:4]]}")


def _check_cast(node: NodeProto, known: Mapping[str, TensorProto], where: str) -> None:
    """Check that what is cast is a stored weight, and no number that places something."""
    stored = known.get(node.input[0])
    if stored is None or stored.data_type not in (TensorProto.FLOAT16, TensorProto.INT8):
        refuse(where, "Cast of weights stored in 16 or 8 bits", "Cast of something else")


def _check_near(node: NodeProto, context: Collection[str], where: str) -> None:
    """Check a node that works on the picture."""
    if node.op_type in _WHOLE:
        refuse(where, "operators that look near", f"{node.op_type} of the picture")
    kernel = node.input[1] if node.op_type == "Conv" else None
    for_all = [name for name in node.input if name in context and name != kernel]
    if node.op_type not in TOGETHER and for_all:
        refuse(where, "what holds for the whole picture to scale or shift", f"{node.op_type} by it")


def _check_numbers(node: NodeProto, known: Mapping[str, TensorProto], where: str) -> None:
    """Check the numbers that newer operator sets take as inputs rather than attributes."""
    if node.op_type not in ("Pad", "Resize", "Slice"):
        return
    given = [numbers(known.get(name)) for name in node.input]
    named = [bool(name) for name in node.input] + [False] * 4
    if node.op_type == "Slice":
        fits = named[3] and given[3].size == 1 and given[3][0] in _CHANNELS
        expected = "Slice of channels"
    elif node.op_type == "Pad":
        by = given[1]
        fits = not named[3] and by.size == 8 and not by[[0, 1, 4, 5]].any()
        fits = fits and bool((np.abs(by) <= MAX_NUMBER).all())
        expected = f"Pad of at most {MAX_NUMBER} rows and columns"
    else:
        by = given[2] if named[2] else np.zeros(0)
        fits = not named[3] and by.size == 4 and (by[:2] == 1).all()
        fits = fits and bool(((by > 1 / MAX_NUMBER) & (by <= MAX_SCALE)).all())
        expected = f"Resize of rows and columns by constant factors of at most {MAX_SCALE}"
    if not fits:
        refuse(where, expected, f"{node.op_type} by others")
