"""Nodes that read more than a neighbourhood, or whose sizes do not follow from the image's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.modelfile.graph_rules import ALLOWED_OPS
from burnish.modelfile.reader import parse_model

ModelBytes = Callable[..., bytes]
Rejection = Callable[[bytes], str]
Graph = onnx.GraphProto

ONE, TWO = np.array([1]), np.array([2])
PADS = np.array([0, 0, 1, 1, 0, 0, 1, 1])
DOUBLE = np.array([1, 1, 2, 2], np.float32)

# Operator, inputs, weights by name, attributes, words of the message.
INVALID_NODES: list[tuple[str, list[str], dict[str, np.ndarray], dict[str, Any], str]] = [
    ("Conv", ["image", "weight"], {}, {"auto_pad": "SAME_UPPER"}, "auto_pad b'SAME_UPPER'"),
    ("Conv", ["image", "image"], {}, {}, "computed weights"),
    ("Conv", ["weight", "weight"], {}, {}, "computes weights"),
    ("Conv", ["image", "weight"], {}, {"dilations": [2**40, 1]}, "dilations"),
    ("Add", ["weight", "weight"], {}, {}, "computes weights"),
    ("Concat", ["image", "image"], {}, {"axis": 2}, "axis 2"),
    ("Split", ["image"], {}, {"axis": 3, "num_outputs": 1}, "axis 3"),
    ("Split", ["image"], {}, {"num_outputs": 1}, "axis left out"),
    ("Gather", ["image", "i"], {"i": ONE}, {"axis": 2}, "axis 2"),
    ("Gather", ["image", "i"], {"i": ONE}, {}, "axis left out"),
    ("Slice", ["image", "a", "b"], {"a": ONE, "b": TWO}, {}, "Slice"),
    ("Slice", ["image", "a", "b", "b"], {"a": ONE, "b": TWO}, {}, "Slice"),
    ("Pad", ["image", "by"], {"by": PADS}, {"mode": "wrap"}, "mode b'wrap'"),
    ("Pad", ["image", "by"], {"by": PADS + 1}, {}, "Pad"),
    ("Pad", ["image", "by"], {"by": PADS * 10**6}, {}, "Pad"),
    ("Pad", ["image", "a", "", "b"], {"a": ONE, "b": TWO}, {}, "Pad"),
    ("MaxPool", ["image"], {}, {"kernel_shape": [1, 1], "auto_pad": "VALID"}, "auto_pad"),
    ("Resize", ["image", "", "", "to"], {"to": PADS[:4]}, {}, "Resize"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE[::-1].copy()}, {}, "Resize"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE * 1000}, {}, "Resize"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE * np.nan}, {}, "Resize"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE}, {"mode": "cubic"}, "mode b'cubic'"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE}, {"antialias": 1}, "antialias 1"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE[2:]}, {"axes": [2, 3]}, "axes [2, 3]"),
    (
        "Resize",
        ["image", "", "by"],
        {"by": DOUBLE},
        {"coordinate_transformation_mode": "align_corners"},
        "align_corners",
    ),
]


def with_nodes(graph: Graph, *nodes: onnx.NodeProto, **weights: np.ndarray) -> Graph:
    """Replace the nodes of a graph, and add weights."""
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(w, name) for name, w in weights.items())
    return graph


@pytest.mark.parametrize(("op", "inputs", "weights", "attributes", "words"), INVALID_NODES)
def test_node_that_is_not_local_is_rejected(
    graph: Graph,
    model_bytes: ModelBytes,
    rejection: Rejection,
    op: str,
    inputs: list[str],
    weights: dict[str, np.ndarray],
    attributes: dict[str, Any],
    words: str,
) -> None:
    node = helper.make_node(op, inputs, ["result"], **attributes)
    opset = 19 if attributes.get("mode") == "wrap" else 18
    message = rejection(model_bytes(with_nodes(graph, node, **weights), opset=opset))
    assert op in message
    assert words in message


def test_resize_by_factors_computed_from_pixels_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    """The pixels could ask for any amount of memory."""
    factors = helper.make_node("Slice", ["image", "a", "b", "a"], ["factors"])
    resize = helper.make_node("Resize", ["image", "", "factors"], ["result"])
    data = model_bytes(with_nodes(graph, factors, resize, a=ONE, b=TWO))
    assert "Resize has computed weights or sizes" in rejection(data)


def test_indices_of_max_pool_are_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    pool = helper.make_node("MaxPool", ["image"], ["result", "indices"], kernel_shape=[1, 1])
    assert "2 outputs" in rejection(model_bytes(with_nodes(graph, pool)))


def test_constant_is_accepted_only_with_a_tensor(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    add = helper.make_node("Add", ["image", "half"], ["result"])
    tensor = numpy_helper.from_array(np.float32(0.5))
    valid = helper.make_node("Constant", [], ["half"], value=tensor)
    data = model_bytes(with_nodes(graph, valid, add))
    assert parse_model(data, "soft.onnx").card.name == "soft"
    number = helper.make_node("Constant", [], ["half"], value_float=0.5)
    assert "Constant has no tensor" in rejection(model_bytes(with_nodes(graph, number, add)))
    empty = helper.make_node("Constant", [], ["half"])
    relu = helper.make_node("Relu", ["image"], ["result"])
    assert "Constant has no tensor" in rejection(model_bytes(with_nodes(graph, empty, relu)))


def test_constant_with_fewer_numbers_than_its_shape_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection
) -> None:
    resize = helper.make_node("Resize", ["image", "", "by"], ["result"])
    with_nodes(graph, resize)
    graph.initializer.add(name="by", data_type=TensorProto.FLOAT, dims=[4], raw_data=b"\0" * 8)
    assert rejection(model_bytes(graph))


GLOBAL = ["ReduceSum", "GlobalLpPool", "Softmax", "CumSum"]
GLOBAL += ["BatchNormalization", "InstanceNormalization"]
GLOBAL += ["LayerNormalization", "GroupNormalization"]
SHAPES = ["Shape", "Size", "Flatten", "Transpose", "Expand", "Tile", "ConstantOfShape"]
SHAPES += ["Range", "NonZero", "Unsqueeze", "Squeeze", "ConvTranspose", "MatMul", "Gemm", "Einsum"]
CONTROL_FLOW = ["If", "Loop", "Scan", "SequenceMap", "RandomNormal", "Dropout"]


@pytest.mark.parametrize("op", GLOBAL + SHAPES + CONTROL_FLOW)
def test_operator_outside_the_list_is_rejected(
    graph: Graph, model_bytes: ModelBytes, rejection: Rejection, op: str
) -> None:
    assert op not in ALLOWED_OPS
    data = model_bytes(with_nodes(graph, helper.make_node(op, [], [])))
    assert f"operator '{op}' is not allowed" in rejection(data)
