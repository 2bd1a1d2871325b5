"""One node at a time that looks far, or makes a size that the picture's does not tell."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from burnish.errors import ModelError
from burnish.modelfile.allowed_ops import ALLOWED_OPS
from burnish.modelfile.reader import parse_model

Pack = Callable[..., bytes]
Graph = onnx.GraphProto

ONE, ROWS = np.array([1]), np.array([2])
SAME = np.array([0, 0, 1, 1, 0, 0, 1, 1])
DOUBLE = np.array([1, 1, 2, 2], np.float32)

# operator, inputs, weights by name, attributes, what is said
REFUSED: list[tuple[str, list[str], dict[str, np.ndarray], dict[str, Any], str]] = [
    ("Conv", ["image", "weight"], {}, {"auto_pad": "SAME_UPPER"}, "auto_pad b'SAME_UPPER'"),
    ("Conv", ["image", "image"], {}, {}, "Conv by computed ones"),
    ("Conv", ["weight", "weight"], {}, {}, "Conv that computes some"),
    ("Conv", ["image", "weight"], {}, {"dilations": [2**40, 1]}, "dilations of at most 65536"),
    ("Add", ["weight", "weight"], {}, {}, "Add that computes some"),
    ("Concat", ["image", "image"], {}, {"axis": 2}, "Concat with axis 2"),
    ("Split", ["image"], {}, {"axis": 3, "num_outputs": 1}, "Split with axis 3"),
    ("Split", ["image"], {}, {"num_outputs": 1}, "Split with axis left out"),
    ("Gather", ["image", "i"], {"i": ONE}, {"axis": 2}, "Gather with axis 2"),
    ("Gather", ["image", "i"], {"i": ONE}, {}, "Gather with axis left out"),
    ("Slice", ["image", "a", "b"], {"a": ONE, "b": ROWS}, {}, "Slice of channels"),
    ("Slice", ["image", "a", "b", "b"], {"a": ONE, "b": ROWS}, {}, "Slice of channels"),
    ("Pad", ["image", "by"], {"by": SAME}, {"mode": "wrap"}, "Pad with mode b'wrap'"),
    ("Pad", ["image", "by"], {"by": SAME + 1}, {}, "Pad of at most 65536 rows"),
    ("Pad", ["image", "by"], {"by": SAME * 10**6}, {}, "Pad of at most 65536 rows"),
    ("Pad", ["image", "a", "", "b"], {"a": ONE, "b": ROWS}, {}, "Pad of at most 65536 rows"),
    ("MaxPool", ["image"], {}, {"kernel_shape": [1, 1], "auto_pad": "VALID"}, "auto_pad"),
    ("Resize", ["image", "", "", "to"], {"to": SAME[:4]}, {}, "by constant factors"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE[::-1].copy()}, {}, "by constant factors"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE * 1000}, {}, "by constant factors"),
    ("Resize", ["image", "", "by"], {"by": DOUBLE * np.nan}, {}, "by constant factors"),
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


def put(graph: Graph, *nodes: onnx.NodeProto, **weights: np.ndarray) -> Graph:
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(w, name) for name, w in weights.items())
    return graph


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        parse_model(data, "soft.onnx")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("op", "inputs", "weights", "attributes", "said"), REFUSED)
def test_node_that_may_look_far_is_refused(
    graph: Graph,
    pack: Pack,
    op: str,
    inputs: list[str],
    weights: dict[str, np.ndarray],
    attributes: dict[str, Any],
    said: str,
) -> None:
    node = helper.make_node(op, inputs, ["result"], **attributes)
    opset = 19 if attributes.get("mode") == "wrap" else 18
    assert said in refusal(pack(put(graph, node, **weights), opset=opset))


def test_factors_made_of_pixels_are_refused(graph: Graph, pack: Pack) -> None:
    """They could ask for any memory."""
    some = helper.make_node("Slice", ["image", "a", "b", "a"], ["some"])
    resize = helper.make_node("Resize", ["image", "", "some"], ["result"])
    data = pack(put(graph, some, resize, a=ONE, b=ROWS))
    assert "Resize by computed ones" in refusal(data)


def test_places_of_largest_values_are_refused(graph: Graph, pack: Pack) -> None:
    pool = helper.make_node("MaxPool", ["image"], ["result", "places"], kernel_shape=[1, 1])
    assert "one output, got MaxPool with 2" in refusal(pack(put(graph, pool)))


def test_constant_is_a_tensor(graph: Graph, pack: Pack) -> None:
    add = helper.make_node("Add", ["image", "half"], ["result"])
    tensor = numpy_helper.from_array(np.float32(0.5))
    good = helper.make_node("Constant", [], ["half"], value=tensor)
    assert parse_model(pack(put(graph, good, add)), "soft.onnx").card.name == "soft"
    bare = helper.make_node("Constant", [], ["half"], value_float=0.5)
    assert "constants that are tensors" in refusal(pack(put(graph, bare, add)))


def test_constant_with_fewer_numbers_than_it_says_is_refused(graph: Graph, pack: Pack) -> None:
    resize = helper.make_node("Resize", ["image", "", "by"], ["result"])
    data = put(graph, resize)
    data.initializer.add(name="by", data_type=TensorProto.FLOAT, dims=[4], raw_data=b"\0" * 8)
    assert "soft.onnx: expected" in refusal(pack(data))


FAR = ["ReduceSum", "GlobalLpPool", "Softmax", "CumSum"]
FAR += ["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"]
SIZES = ["Shape", "Size", "Flatten", "Transpose", "Expand", "Tile", "ConstantOfShape"]
SIZES += ["Range", "NonZero", "Unsqueeze", "Squeeze", "ConvTranspose", "MatMul", "Gemm", "Einsum"]
FLOW = ["If", "Loop", "Scan", "SequenceMap", "RandomNormal", "Dropout"]


@pytest.mark.parametrize("op", FAR + SIZES + FLOW)
def test_operator_that_a_local_network_does_not_need_is_refused(
    graph: Graph, pack: Pack, op: str
) -> None:
    assert op not in ALLOWED_OPS
    assert f"network needs, got '{op}'" in refusal(pack(put(graph, helper.make_node(op, [], []))))


def test_constants_without_a_value_are_refused(graph: Graph, pack: Pack) -> None:
    empty = helper.make_node("Constant", [], ["empty"])
    result = helper.make_node("Relu", ["image"], ["result"])
    assert "one without a value" in refusal(pack(put(graph, empty, result)))
