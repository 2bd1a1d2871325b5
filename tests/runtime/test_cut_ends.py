"""What is cut off and done by the layout is what onnx itself defines."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from burnish.modelfile.read import read
from burnish.runtime.cut_ends import cut_gather, cut_spread
from burnish.runtime.layout import lay_in, lay_out
from burnish.runtime.shelf import find


def spreading(block: int, mode: str, then: str | None = None) -> onnx.ModelProto:
    """A graph that ends by spreading blocks, or goes on with another operator."""
    ends = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3 * block**2, "h", "w"]),
        helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 3, "height", "width"]),
    ]
    last = "spread" if then else "result"
    nodes = [
        helper.make_node("Relu", ["image"], ["blocks"]),
        helper.make_node("DepthToSpace", ["blocks"], [last], blocksize=block, mode=mode),
    ]
    if then:
        nodes.append(helper.make_node(then, [last], ["result"]))
    graph = helper.make_graph(nodes, "spreading", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def blocks_of(block: int) -> np.ndarray:
    generator = np.random.default_rng(block)
    return generator.standard_normal((1, 3 * block**2, 5, 7)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_cut_off_and_laid_out_it_is_what_onnx_defines(block: int) -> None:
    model, blocks = spreading(block, "CRD"), blocks_of(block)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    assert cut_spread(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    (planes,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    pixels = np.full((5 * block, 7 * block, 3), np.nan, np.float32)
    lay_out(planes, block, pixels)
    np.testing.assert_array_equal(pixels, expected[0].transpose(1, 2, 0))
    # A tile's interior, that ends with the picture inside a block.
    part = np.full((3 * block - block // 2, 4 * block - 1, 3), np.nan, np.float32)
    lay_out(planes, block, part, top=block, left=2 * block)
    inside = np.s_[block : block + part.shape[0], 2 * block : 2 * block + part.shape[1]]
    np.testing.assert_array_equal(part, pixels[inside])


@pytest.mark.parametrize(("mode", "then"), [("DCR", None), ("CRD", "Relu")])
def test_another_order_and_what_is_not_the_last_stay(mode: str, then: str | None) -> None:
    model = spreading(2, mode, then)
    before = model.SerializeToString()
    assert cut_spread(model) == 1
    assert model.SerializeToString() == before


def test_result_that_is_read_again_and_spread_photo_stay() -> None:
    model = spreading(2, "CRD")
    model.graph.node.append(helper.make_node("Relu", ["result"], ["again"]))
    assert cut_spread(model) == 1
    model = spreading(2, "CRD")
    del model.graph.node[0]
    model.graph.node[0].input[0] = "image"
    assert cut_spread(model) == 1


def gathering(
    block: int,
    order: tuple[int, int, int] = (0, 1, 2),
    joined: tuple[int, ...] = (0, 1, 2),
    blocks: tuple[int, ...] = (),
    axis: int = 1,
    index: tuple[int, ...] = (1,),
    reads: str = "",
) -> onnx.ModelProto:
    """A graph that begins by gathering its image, colour by colour, and goes on.

    Parameters
    ----------
    order : the colours that are taken
    joined : the order in which they are joined
    blocks : by what each is gathered, where that differs
    axis, index : where a colour is looked for, and the shape of its number
    reads : what else is looked at, by name
    """
    sides = blocks or (block,) * 3
    numbers = [
        numpy_helper.from_array(np.full(index, colour, np.int64), f"number {colour}")
        for colour in order
    ]
    nodes = []
    for place, colour in enumerate(order):
        gather = helper.make_node(
            "Gather", ["image", f"number {colour}"], [f"colour {place}"], axis=axis
        )
        deep = helper.make_node(
            "SpaceToDepth", [f"colour {place}"], [f"deep {place}"], blocksize=sides[place]
        )
        nodes += [gather, deep]
    nodes.append(
        helper.make_node("Concat", [f"deep {place}" for place in joined], ["blocks"], axis=axis)
    )
    nodes.append(helper.make_node("Neg", ["blocks"], ["negative"]))
    nodes.append(helper.make_node("Mul", ["negative", "blocks"], ["result"]))
    if reads:
        nodes.append(helper.make_node("Relu", [reads], ["again"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, None, "h", "w"])
    graph = helper.make_graph(nodes, "gathering", [image], [result], numbers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("axis", [1, -3])
def test_laid_in_and_cut_off_it_is_what_onnx_defines(block: int, axis: int) -> None:
    model = gathering(block, axis=axis)
    pixels = np.random.default_rng(block).random((4 * block, 3 * block, 3), dtype=np.float32)
    image = pixels.transpose(2, 0, 1)[np.newaxis]
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert cut_gather(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Neg", "Mul"]
    blocks = lay_in(pixels, pixels.shape[:2], block)
    (result,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"order": (2, 1, 0)},
        {"order": (0, 1, 1)},
        {"joined": (2, 1, 0)},
        {"joined": (0, 1, 2, 2)},
        {"joined": (0, 1)},
        {"blocks": (1, 2, 2)},
        {"axis": 2},
        {"reads": "image"},
        {"reads": "colour 1"},
        {"reads": "deep 1"},
    ],
)
def test_what_looks_at_more_or_joins_otherwise_stays(changes: dict[str, Any]) -> None:
    model = gathering(2, **changes)
    before = model.SerializeToString()
    assert cut_gather(model) == 1
    assert model.SerializeToString() == before


def test_colours_taken_without_a_channel_stay() -> None:
    model = gathering(2, index=())
    assert cut_gather(model) == 1


def test_colours_that_are_not_stored_stay() -> None:
    model = gathering(2)
    del model.graph.initializer[1]
    assert cut_gather(model) == 1


@pytest.mark.parametrize("name", ["l0-smoothing", "pencil-drawing", "photographic-style"])
def test_students_are_cut_at_both_ends(name: str) -> None:
    model = onnx.load_from_string(read(find(name)).graph)
    nodes = len(model.graph.node)
    assert (cut_gather(model), cut_spread(model)) == (2, 2)
    assert nodes - len(model.graph.node) == 3 + 3 + 1 + 1
