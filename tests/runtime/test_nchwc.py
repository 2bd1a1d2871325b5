"""An identity convolution keeps the NCHWc layout, and every bit of the output."""

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from burnish.modelfile.reader import read_model
from burnish.runtime import nchwc
from burnish.runtime.conditioning import bind_constants, context_tensors
from burnish.runtime.coords import normalised_coords
from burnish.runtime.model_registry import find_model
from burnish.runtime.nchwc import keep_nchwc
from burnish.types import Rectangle

on_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the graph changes on x86 only"
)
HEIGHT, WIDTH = 96, 128


def bound_graph(name: str) -> ModelProto:
    """Return the graph of a bundled model with a random thumbnail."""
    file = read_model(find_model(name))
    side = file.card.thumbnail_size
    thumbnail = np.random.default_rng(1).random((side, side, 3), dtype=np.float32)
    return bind_constants(file.graph, context_tensors(file.card, {}, thumbnail))


def random_inputs(model: ModelProto) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    rectangle = Rectangle(0, HEIGHT, 0, WIDTH)
    coords = normalised_coords(rectangle, (HEIGHT, WIDTH), 16)[np.newaxis]
    names = {value.name for value in model.graph.input}
    inputs = {"image": image, "coords": coords}
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
    ("name", "unfused"),
    [
        ("l0-smoothing", 0),
        # One follows the addition of the global context, at a sixteenth of the resolution, which
        # takes a thousandth of the time.
        ("local-laplacian", 1),
        ("rudin-osher-fatemi-best", 0),
    ],
)
def test_keep_nchwc_fuses_leaky_relus_and_changes_no_bit(
    name: str, unfused: int, tmp_path: Path
) -> None:
    model = bound_graph(name)
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
    assert after.count("Conv") - before.count("Conv") == (3 if nchwc._IS_X86 else 0)
    assert after.count("LeakyRelu") == before.count("LeakyRelu")


def test_keep_nchwc_changes_nothing_on_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nchwc, "_IS_X86", False)
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
