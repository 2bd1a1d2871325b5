"""Removed operators and the pixel layout in their place, against onnx's reference evaluator."""

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


def depth_to_space_graph(block: int, mode: str, last_op: str | None = None) -> onnx.ModelProto:
    """Return a graph that ends with DepthToSpace, or with another operator after it."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3 * block**2, "h", "w"])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, 3, "height", "width"])
    output = "shuffled" if last_op else "result"
    nodes = [
        helper.make_node("Relu", ["image"], ["blocks"]),
        helper.make_node("DepthToSpace", ["blocks"], [output], blocksize=block, mode=mode),
    ]
    if last_op:
        nodes.append(helper.make_node(last_op, [output], ["result"]))
    graph = helper.make_graph(nodes, "depth_to_space", [image], [result])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def random_blocks(block: int) -> np.ndarray:
    generator = np.random.default_rng(block)
    return generator.standard_normal((1, 3 * block**2, 5, 7)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 2, 4, 8])
def test_unpack_replaces_a_stripped_depth_to_space(block: int) -> None:
    model, blocks = depth_to_space_graph(block, "CRD"), random_blocks(block)
    (expected,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    assert strip_depth_to_space(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]
    (planes,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    pixels = np.full((5 * block, 7 * block, 3), np.nan, np.float32)
    unpack(planes, block, pixels)
    np.testing.assert_array_equal(pixels, expected[0].transpose(1, 2, 0))
    # The core of a tile at the border of an image whose sides are not multiples of the block.
    core = np.full((3 * block - block // 2, 4 * block - 1, 3), np.nan, np.float32)
    unpack(planes, block, core, top=block, left=2 * block)
    slices = np.s_[block : block + core.shape[0], 2 * block : 2 * block + core.shape[1]]
    np.testing.assert_array_equal(core, pixels[slices])


@pytest.mark.parametrize(("mode", "last_op"), [("DCR", None), ("CRD", "Relu")])
def test_depth_to_space_in_another_order_or_before_another_node_stays(
    mode: str, last_op: str | None
) -> None:
    model = depth_to_space_graph(2, mode, last_op)
    before = model.SerializeToString()
    assert strip_depth_to_space(model) == 1
    assert model.SerializeToString() == before


def test_depth_to_space_of_the_input_or_with_another_reader_stays() -> None:
    model = depth_to_space_graph(2, "CRD")
    model.graph.node.append(helper.make_node("Relu", ["result"], ["again"]))
    assert strip_depth_to_space(model) == 1
    model = depth_to_space_graph(2, "CRD")
    del model.graph.node[0]
    model.graph.node[0].input[0] = "image"
    assert strip_depth_to_space(model) == 1


def space_to_depth_graph(block: int, axis: int = 1) -> onnx.ModelProto:
    """Return a graph that begins with a SpaceToDepth of each colour."""
    kernel = np.random.default_rng(0).standard_normal((2, 3 * block**2, 1, 1), dtype=np.float32)
    initializers = [numpy_helper.from_array(kernel, "kernel")]
    nodes = []
    for index in range(3):
        initializers.append(numpy_helper.from_array(np.int64([index]), f"index {index}"))
        inputs = ["image", f"index {index}"]
        nodes += [
            helper.make_node("Gather", inputs, [f"colour {index}"], axis=axis),
            helper.make_node(
                "SpaceToDepth", [f"colour {index}"], [f"deep {index}"], blocksize=block
            ),
        ]
    nodes += [
        helper.make_node("Concat", ["deep 0", "deep 1", "deep 2"], ["blocks"], axis=axis),
        helper.make_node("Conv", ["blocks", "kernel"], ["mixed"]),
        helper.make_node("Concat", ["mixed", "blocks"], ["result"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, None, "h", "w"])
    graph = helper.make_graph(nodes, "space_to_depth", [image], [result], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("axis", [1, -3])
def test_pack_replaces_a_stripped_space_to_depth(block: int, axis: int) -> None:
    model = space_to_depth_graph(block, axis)
    pixels = np.random.default_rng(block).random((4 * block, 3 * block, 3), dtype=np.float32)
    image = pixels.transpose(2, 0, 1)[np.newaxis]
    (expected,) = ReferenceEvaluator(model).run(None, {"image": image})
    assert strip_space_to_depth(model) == block
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Concat"]
    blocks = pack(pixels, pixels.shape[:2], block)
    (output,) = ReferenceEvaluator(model).run(None, {"image": blocks})
    np.testing.assert_array_equal(output, expected)


def add_reader(name: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Relu", [name], ["again"]))

    return change


def rewire(**first_inputs: str) -> Change:
    """Change the first inputs of nodes, given by the names of their outputs."""

    def change(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            name = node.output[0].replace(" ", "_")
            node.input[0] = first_inputs.get(name, node.input[0])

    return change


def concatenate(*names: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        del graph.node[6].input[:]
        graph.node[6].input.extend(names)

    return change


def replace_op(op: str, other: str) -> Change:
    def change(graph: onnx.GraphProto) -> None:
        for node in list(graph.node)[:7]:
            if node.op_type == op:
                node.op_type = other
                del node.attribute[:]

    return change


def use_two_block_sizes(graph: onnx.GraphProto) -> None:
    graph.node[3].attribute[0].i = 1


def use_scalar_index(graph: onnx.GraphProto) -> None:
    graph.initializer[2].CopyFrom(numpy_helper.from_array(np.int64(1), "index 1"))


def remove_index(graph: onnx.GraphProto) -> None:
    del graph.initializer[2]


def use_index_longer_than_its_shape(graph: onnx.GraphProto) -> None:
    graph.initializer[2].CopyFrom(
        TensorProto(name="index 1", data_type=TensorProto.INT64, dims=[1], int64_data=[1, 2])
    )


def swap_colours(graph: onnx.GraphProto) -> None:
    graph.node[0].input[1], graph.node[4].input[1] = "index 2", "index 0"


def output_the_blocks(graph: onnx.GraphProto) -> None:
    del graph.node[7:]
    graph.node[6].output[0] = "result"


@pytest.mark.parametrize(
    "change",
    [
        add_reader("image"),
        add_reader("colour 1"),
        add_reader("deep 1"),
        rewire(deep_1="colour 0", deep_2="colour 1"),
        rewire(deep_2="colour 1"),
        concatenate("deep 2", "deep 1", "deep 0"),
        concatenate("deep 0", "deep 1", "deep 2", "deep 2"),
        concatenate("deep 0", "deep 1"),
        replace_op("Gather", "Mul"),
        replace_op("SpaceToDepth", "Relu"),
        replace_op("Concat", "Sum"),
        use_two_block_sizes,
        use_scalar_index,
        remove_index,
        use_index_longer_than_its_shape,
        swap_colours,
        output_the_blocks,
    ],
)
def test_space_to_depth_with_other_readers_or_another_order_stays(change: Change) -> None:
    model = space_to_depth_graph(2)
    change(model.graph)
    before = model.SerializeToString()
    assert strip_space_to_depth(model) == 1
    assert model.SerializeToString() == before


@pytest.mark.parametrize("name", ["l0-smoothing", "pencil-drawing", "photographic-style"])
def test_bundled_models_are_stripped_at_both_ends(name: str) -> None:
    model = onnx.load_from_string(read_model(find_model(name)).graph)
    count = len(model.graph.node)
    assert (strip_space_to_depth(model), strip_depth_to_space(model)) == (2, 2)
    assert count - len(model.graph.node) == 3 + 3 + 1 + 1
