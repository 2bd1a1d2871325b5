"""Planes become pixels as onnx itself defines DepthToSpace."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from burnish.runtime.layout import cut_spread, lay_out


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
