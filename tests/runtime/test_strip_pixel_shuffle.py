"""What is cut off and done by the layout is what onnx itself defines."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from burnish.modelfile.reader import read_model
from burnish.runtime.model_registry import find_model
from burnish.runtime.pixel_layout import pack, unpack
from burnish.runtime.strip_pixel_shuffle import strip_depth_to_space, strip_space_to_depth

Change = Callable[[onnx.GraphProto], None]


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
    assert strip_depth_to_space(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    (planes,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    pixels = np.full((5 * block, 7 * block, 3), np.nan, np.float32)
    unpack(planes, block, pixels)
    np.testing.assert_array_equal(pixels, expected[0].transpose(1, 2, 0))
    # A tile's interior, that ends with the picture inside a block.
    part = np.full((3 * block - block // 2, 4 * block - 1, 3), np.nan, np.float32)
    unpack(planes, block, part, top=block, left=2 * block)
    inside = np.s_[block : block + part.shape[0], 2 * block : 2 * block + part.shape[1]]
    np.testing.assert_array_equal(part, pixels[inside])


@pytest.mark.parametrize(("mode", "then"), [("DCR", None), ("CRD", "Relu")])
def test_another_order_and_what_is_not_the_last_stay(mode: str, then: str | None) -> None:
    model = spreading(2, mode, then)
    before = model.SerializeToString()
    assert strip_depth_to_space(model) == 1
    assert model.SerializeToString() == before


def test_result_that_is_read_again_and_spread_photo_stay() -> None:
    model = spreading(2, "CRD")
    model.graph.node.append(helper.make_node("Relu", ["result"], ["again"]))
    assert strip_depth_to_space(model) == 1
    model = spreading(2, "CRD")
    del model.graph.node[0]
    model.graph.node[0].input[0] = "image"
    assert strip_depth_to_space(model) == 1


def gathering(block: int, axis: int = 1) -> onnx.ModelProto:
    """A graph that begins by gathering its image, colour by colour, and goes on."""
    kernel = np.random.default_rng(0).standard_normal((2, 3 * block**2, 1, 1), dtype=np.float32)
    stored = [numpy_helper.from_array(kernel, "kernel")]
    nodes = []
    for colour in range(3):
        stored.append(numpy_helper.from_array(np.int64([colour]), f"number {colour}"))
        inputs = ["image", f"number {colour}"]
        nodes += [
            helper.make_node("Gather", inputs, [f"colour {colour}"], axis=axis),
            helper.make_node(
                "SpaceToDepth", [f"colour {colour}"], [f"deep {colour}"], blocksize=block
            ),
        ]
    nodes += [
        helper.make_node("Concat", ["deep 0", "deep 1", "deep 2"], ["blocks"], axis=axis),
        helper.make_node("Conv", ["blocks", "kernel"], ["mixed"]),
        helper.make_node("Concat", ["mixed", "blocks"], ["result"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, None, "h", "w"])
    graph = helper.make_graph(nodes, "gathering", [image], [result], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("axis", [1, -3])
def test_laid_in_and_cut_off_it_is_what_onnx_defines(block: int, axis: int) -> None:
    model = gathering(block, axis)
    pixels = np.random.default_rng(block).random((4 * block, 3 * block, 3), dtype=np.float32)
    image = pixels.transpose(2, 0, 1)[np.newaxis]
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert strip_space_to_depth(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Concat"]
    blocks = pack(pixels, pixels.shape[:2], block)
    (result,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    np.testing.assert_array_equal(result, expected)


def read_again(name: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Relu", [name], ["again"]))

    return change


def wired(**inputs: str) -> Change:
    """Give nodes other first inputs, by what they give."""

    def change(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            name = node.output[0].replace(" ", "_")
            node.input[0] = inputs.get(name, node.input[0])

    return change


def joined(*names: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        del graph.node[6].input[:]
        graph.node[6].input.extend(names)

    return change


def replaced(operator: str, by: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        for node in list(graph.node)[:7]:
            if node.op_type == operator:
                node.op_type = by
                del node.attribute[:]

    return change


def blocks_of_two_sizes(graph: onnx.GraphProto) -> None:
    graph.node[3].attribute[0].i = 1


def a_number_without_a_shape(graph: onnx.GraphProto) -> None:
    graph.initializer[2].CopyFrom(numpy_helper.from_array(np.int64(1), "number 1"))


def a_number_that_is_made(graph: onnx.GraphProto) -> None:
    del graph.initializer[2]


def a_number_with_more_values_than_it_says(graph: onnx.GraphProto) -> None:
    graph.initializer[2].CopyFrom(
        TensorProto(name="number 1", data_type=TensorProto.INT64, dims=[1], int64_data=[1, 2])
    )


def colours_in_another_order(graph: onnx.GraphProto) -> None:
    graph.node[0].input[1], graph.node[4].input[1] = "number 2", "number 0"


def blocks_that_are_the_result(graph: onnx.GraphProto) -> None:
    del graph.node[7:]
    graph.node[6].output[0] = "result"


@pytest.mark.parametrize(
    "change",
    [
        read_again("image"),
        read_again("colour 1"),
        read_again("deep 1"),
        wired(deep_1="colour 0", deep_2="colour 1"),
        wired(deep_2="colour 1"),
        joined("deep 2", "deep 1", "deep 0"),
        joined("deep 0", "deep 1", "deep 2", "deep 2"),
        joined("deep 0", "deep 1"),
        replaced("Gather", "Mul"),
        replaced("SpaceToDepth", "Relu"),
        replaced("Concat", "Sum"),
        blocks_of_two_sizes,
        a_number_without_a_shape,
        a_number_that_is_made,
        a_number_with_more_values_than_it_says,
        colours_in_another_order,
        blocks_that_are_the_result,
    ],
)
def test_what_looks_at_more_or_joins_otherwise_stays(change: Change) -> None:
    model = gathering(2)
    change(model.graph)
    before = model.SerializeToString()
    assert strip_space_to_depth(model) == 1
    assert model.SerializeToString() == before


@pytest.mark.parametrize("name", ["l0-smoothing", "pencil-drawing", "photographic-style"])
def test_students_are_cut_at_both_ends(name: str) -> None:
    model = onnx.load_from_string(read_model(find_model(name)).graph)
    nodes = len(model.graph.node)
    assert (strip_space_to_depth(model), strip_depth_to_space(model)) == (2, 2)
    assert nodes - len(model.graph.node) == 3 + 3 + 1 + 1
