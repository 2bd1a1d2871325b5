"""A convolution by one keeps the layout, and every bit of the result."""

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
from burnish.photo.rectangle import Rectangle
from burnish.runtime import nchwc as blocked
from burnish.runtime.conditioning import bind_constants, context_tensors
from burnish.runtime.coords import normalised_coords
from burnish.runtime.model_registry import find_model
from burnish.runtime.nchwc import keep_nchwc

on_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere the graph stays"
)
HEIGHT, WIDTH = 96, 128


def graph_of(path: Path | str) -> ModelProto:
    file = read_model(find_model(path))
    side = file.card.thumbnail_size
    small = np.random.default_rng(1).random((side, side, 3), dtype=np.float32)
    return bind_constants(file.graph, context_tensors(file.card, {}, small))


def given_to(model: ModelProto) -> dict[str, np.ndarray]:
    image = np.random.default_rng(0).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    at = normalised_coords(Rectangle(0, HEIGHT, 0, WIDTH), (HEIGHT, WIDTH), 16)[np.newaxis]
    taken = {end.name for end in model.graph.input}
    return {name: value for name, value in {"image": image, "coords": at}.items() if name in taken}


def run(model: ModelProto, profile: Path | None = None) -> tuple[np.ndarray, list[str]]:
    """Return ONNX Runtime's result, and the operators that it ran where it writes a profile."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = profile is not None
    options.profile_file_prefix = str(profile)
    engine = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (result,) = engine.run(None, given_to(model))
    if profile is None:
        return result, []
    events = json.loads(Path(engine.end_profiling()).read_text())
    return result, [
        event["args"]["op_name"] for event in events if event["name"].endswith("kernel_time")
    ]


@on_x86
@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("l0-smoothing", 0),
        # Where the survey comes in, at a sixteenth: a thousandth of the time.
        ("local-laplacian", 1),
        ("rudin-osher-fatemi-best", 0),
    ],
)
def test_rectifiers_stay_in_the_blocks_and_no_bit_changes(
    name: str, alone: int, tmp_path: Path
) -> None:
    model = graph_of(name)
    before, operators = run(model, tmp_path / "before")
    if "ReorderInput" not in operators:
        pytest.skip("ONNX Runtime has no blocks on this processor")
    assert operators.count("LeakyRelu") == 3 + alone
    keep_nchwc(model)
    after, operators = run(model, tmp_path / "after")
    assert operators.count("LeakyRelu") == alone
    np.testing.assert_array_equal(after, before)


def test_rectifiers_elsewhere_stay_as_they_are() -> None:
    model = graph_of("l0-smoothing")
    before = [node.op_type for node in model.graph.node]
    keep_nchwc(model)
    after = [node.op_type for node in model.graph.node]
    # One for each level that the U climbs; the others follow convolutions.
    assert after.count("Conv") - before.count("Conv") == (3 if blocked._IS_X86 else 0)
    assert after.count("LeakyRelu") == before.count("LeakyRelu")


def test_elsewhere_than_on_x86_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_IS_X86", False)
    model = graph_of("l0-smoothing")
    before = model.SerializeToString(deterministic=True)
    keep_nchwc(model)
    assert model.SerializeToString(deterministic=True) == before


def climbing(ones: str = "ones", narrow: int = 16, lift: str = "stored") -> ModelProto:
    """A rectified sum of a skip and something enlarged, with a convolution channel by channel.

    Parameters
    ----------
    ones : what that convolution's kernel is called
    narrow : channels of what is enlarged: those of the skip, or one
    lift : how the kernel before it is given, "stored", "constant" or "made"
    """
    generator = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)

    kernel = weights("lift", narrow, 16, 1, 1)
    stored = [
        weights("head", 16, 3, 1, 1),
        weights(ones, 16, 1, 1, 1),
        weights("tail", 3, 16, 1, 1),
        numpy_helper.from_array(np.float32([1, 1, 2, 2]), "twice"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "head"], ["skip"]),
        helper.make_node("Conv", ["skip", ones], ["by channel"], group=16),
        helper.make_node(
            "AveragePool", ["by channel"], ["small"], kernel_shape=[2] * 2, strides=[2] * 2
        ),
        helper.make_node("Conv", ["small", "lift"], ["lifted"]),
        helper.make_node("Resize", ["lifted", "", "twice"], ["large"]),
        helper.make_node("Add", ["large", "skip"], ["sum"]),
        helper.make_node("LeakyRelu", ["sum"], ["rectified"], alpha=0.1),
        helper.make_node("Conv", ["rectified", "tail"], ["result"]),
    ]
    if lift == "stored":
        stored.append(kernel)
    elif lift == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["lift"], value=kernel))
    else:
        kernel.name = "whole"
        stored += [kernel, weights("share", 1, 1, 1, 1)]
        nodes.insert(0, helper.make_node("Mul", ["share", "whole"], ["lift"]))
    image, result = (
        helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", 3, "height", "width"])
        for end in ("image", "result")
    )
    graph = helper.make_graph(nodes, "climbing", [image], [result], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@on_x86
@pytest.mark.parametrize(
    ("changes", "added"),
    [
        ({}, 1),
        ({"lift": "constant"}, 1),
        ({"ones": "rectified.ones"}, 1),  # the name that the new kernel would have
        ({"ones": "sum'"}, 1),
        ({"narrow": 1}, 0),  # the sum has more channels than that
        ({"lift": "made"}, 0),
    ],
)
def test_any_graph_stays_the_same_function(changes: dict[str, Any], added: int) -> None:
    model = climbing(**changes)
    before, _ = run(model)
    count = len(model.graph.node)
    keep_nchwc(model)
    onnx.checker.check_model(model, full_check=True)
    assert len(model.graph.node) == count + added
    np.testing.assert_array_equal(run(model)[0], before)
