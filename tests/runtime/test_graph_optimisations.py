"""Optimised graphs against onnx's reference evaluator and against ONNX Runtime."""

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from burnish.modelfile.reader import read_model
from burnish.runtime import graph_optimisations
from burnish.runtime.graph_optimisations import (
    keep_nchwc,
    strip_depth_to_space,
    strip_space_to_depth,
)
from burnish.runtime.model_registry import find_model
from burnish.runtime.session import bind_constants, context_tensors
from burnish.runtime.thumbnail import normalised_coords
from burnish.runtime.tiles import pack, unpack
from burnish.types import Rectangle

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


def test_pack_replaces_the_space_to_depth_of_image_and_guide(guided_model: Path) -> None:
    generator = np.random.default_rng(0)
    images = {name: generator.random((12, 20, 3), dtype=np.float32) for name in ("image", "guide")}
    params = {"params": np.float32([0.05, 3]).reshape(1, 2, 1, 1)}
    model = onnx.load_from_string(read_model(guided_model).graph)
    planes = {name: pixels.transpose(2, 0, 1)[np.newaxis] for name, pixels in images.items()}
    (expected,) = ReferenceEvaluator(model).run(None, planes | params)
    count = len(model.graph.node)
    assert strip_space_to_depth(model) == 2
    onnx.checker.check_model(model, full_check=True)
    assert count - len(model.graph.node) == 2 * (3 + 3 + 1)
    blocks = {name: pack(pixels, (12, 20), 2) for name, pixels in images.items()}
    (output,) = ReferenceEvaluator(model).run(None, blocks | params)
    np.testing.assert_array_equal(output, expected)


def use_other_blocks_for_the_guide(graph: onnx.GraphProto) -> None:
    gathers = [node.output[0] for node in graph.node if "guide" in node.input]
    for node in graph.node:
        if node.op_type == "SpaceToDepth" and node.input[0] in gathers:
            node.attribute[0].i = 4


@pytest.mark.parametrize(
    "change", [add_reader("image"), add_reader("guide"), use_other_blocks_for_the_guide]
)
def test_space_to_depth_of_image_and_guide_is_stripped_from_both_or_neither(
    change: Change, guided_model: Path
) -> None:
    model = onnx.load_from_string(read_model(guided_model).graph)
    change(model.graph)
    before = model.SerializeToString()
    assert strip_space_to_depth(model) == 1
    assert model.SerializeToString() == before


@pytest.mark.parametrize("name", ["l0-smoothing", "pencil-drawing", "photographic-style"])
def test_bundled_models_are_stripped_at_both_ends(name: str) -> None:
    model = onnx.load_from_string(read_model(find_model(name)).graph)
    inputs = sum(value.name in ("image", "guide") for value in model.graph.input)
    count = len(model.graph.node)
    assert (strip_space_to_depth(model), strip_depth_to_space(model)) == (2, 2)
    # A Gather and a SpaceToDepth for each colour, and a Concat; at the end, a DepthToSpace.
    assert count - len(model.graph.node) == (3 + 3 + 1) * inputs + 1


on_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the graph changes on x86 only"
)
HEIGHT, WIDTH = 96, 128


def bound_graph(name: str, start: bool = False) -> ModelProto:
    """Return the graph of a bundled model or its start network with a random thumbnail."""
    file = read_model(find_model(name))
    file = (start and file.start) or file
    side = file.card.thumbnail_size
    thumbnail = np.random.default_rng(1).random((side, side, 3), dtype=np.float32)
    return bind_constants(file.graph, context_tensors(file.card, {}, thumbnail))


def random_inputs(model: ModelProto) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    rectangle = Rectangle(0, HEIGHT, 0, WIDTH)
    coords = normalised_coords(rectangle, (HEIGHT, WIDTH), 16)[np.newaxis]
    names = {value.name for value in model.graph.input}
    inputs = {"image": image, "guide": image[..., ::-1].copy(), "coords": coords}
    return {name: value for name, value in inputs.items() if name in names}


def run(model: ModelProto, profile: Path | None = None) -> tuple[np.ndarray, list[str]]:
    """Return the output of ONNX Runtime and, if it writes a profile, the operators that it ran."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = profile is not None
    options.profile_file_prefix = str(profile)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (output,) = session.run(None, random_inputs(model))
    if profile is None:
        return output, []
    events = json.loads(Path(session.end_profiling()).read_text())
    return output, [
        event["args"]["op_name"] for event in events if event["name"].endswith("kernel_time")
    ]


@on_x86
@pytest.mark.parametrize(
    ("name", "start", "unfused"),
    [
        ("l0-smoothing", False, 0),
        # One follows the addition of the global context, at a sixteenth of the resolution, which
        # takes a thousandth of the time.
        ("local-laplacian", True, 1),
        ("rudin-osher-fatemi-best", False, 0),
    ],
)
def test_keep_nchwc_fuses_leaky_relus_and_changes_no_bit(
    name: str, start: bool, unfused: int, tmp_path: Path
) -> None:
    model = bound_graph(name, start)
    before, operators = run(model, tmp_path / "before")
    if "ReorderInput" not in operators:
        pytest.skip("ONNX Runtime does not use NCHWc on this processor")
    assert operators.count("LeakyRelu") == 3 + unfused
    keep_nchwc(model)
    after, operators = run(model, tmp_path / "after")
    assert operators.count("LeakyRelu") == unfused
    np.testing.assert_array_equal(after, before)


def test_keep_nchwc_inserts_one_convolution_per_upsampling_level() -> None:
    model = bound_graph("l0-smoothing")
    before = [node.op_type for node in model.graph.node]
    keep_nchwc(model)
    after = [node.op_type for node in model.graph.node]
    assert after.count("Conv") - before.count("Conv") == (3 if graph_optimisations._IS_X86 else 0)
    assert after.count("LeakyRelu") == before.count("LeakyRelu")


def test_keep_nchwc_changes_nothing_on_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_optimisations, "_IS_X86", False)
    model = bound_graph("l0-smoothing")
    before = model.SerializeToString(deterministic=True)
    keep_nchwc(model)
    assert model.SerializeToString(deterministic=True) == before


def upsampling_graph(
    kernel_name: str = "ones", channels: int = 16, kernel: str = "stored"
) -> ModelProto:
    """Return a graph with a LeakyRelu of a skip connection plus an upsampled convolution.

    Parameters
    ----------
    kernel_name : of a depthwise convolution's kernel
    channels : of the upsampled convolution, 16 like the skip connection, or 1
    kernel : of that convolution: "stored", "constant" or "computed"
    """
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)

    pointwise = weights("pointwise", channels, 16, 1, 1)
    initializers = [
        weights("head", 16, 3, 1, 1),
        weights(kernel_name, 16, 1, 1, 1),
        weights("tail", 3, 16, 1, 1),
        numpy_helper.from_array(np.float32([1, 1, 2, 2]), "scales"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "head"], ["skip"]),
        helper.make_node("Conv", ["skip", kernel_name], ["depthwise"], group=16),
        helper.make_node(
            "AveragePool", ["depthwise"], ["small"], kernel_shape=[2] * 2, strides=[2] * 2
        ),
        helper.make_node("Conv", ["small", "pointwise"], ["deep"]),
        helper.make_node("Resize", ["deep", "", "scales"], ["large"]),
        helper.make_node("Add", ["large", "skip"], ["sum"]),
        helper.make_node("LeakyRelu", ["sum"], ["relu"], alpha=0.1),
        helper.make_node("Conv", ["relu", "tail"], ["result"]),
    ]
    if kernel == "stored":
        initializers.append(pointwise)
    elif kernel == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["pointwise"], value=pointwise))
    else:
        pointwise.name = "unscaled"
        initializers += [pointwise, weights("factor", 1, 1, 1, 1)]
        nodes.insert(0, helper.make_node("Mul", ["factor", "unscaled"], ["pointwise"]))
    image, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for name in ("image", "result")
    )
    graph = helper.make_graph(nodes, "upsampling", [image], [result], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@on_x86
@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({}, 1),
        ({"kernel": "constant"}, 1),
        ({"kernel_name": "relu.ones"}, 1),  # the name of the new kernel
        ({"kernel_name": "sum'"}, 1),  # the name of the new output
        ({"channels": 1}, 0),
        ({"kernel": "computed"}, 0),
    ],
)
def test_keep_nchwc_preserves_the_output_of_any_graph(changes: dict[str, Any], added: int) -> None:
    model = upsampling_graph(**changes)
    before, _ = run(model)
    count = len(model.graph.node)
    keep_nchwc(model)
    onnx.checker.check_model(model, full_check=True)
    assert len(model.graph.node) == count + added
    np.testing.assert_array_equal(run(model)[0], before)
