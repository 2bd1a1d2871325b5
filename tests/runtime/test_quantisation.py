"""Graphs in 8-bit integers."""

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from burnish.compression.quantise import write_ranges
from burnish.errors import ModelError
from burnish.export.onnx_export import write_card
from burnish.modelfile.reader import read_model
from burnish.runtime.model import Model
from burnish.runtime.onnx_runtime import fold_constants
from burnish.runtime.quantisation import quantise_graph, rounded_tensors
from burnish.runtime.resize import area_resize
from burnish.runtime.session import bind_constants, context_tensors

RANGES = {
    "wide": ((-0.6, 1.3),),
    "narrow": ((-0.7, 0.9),),
    "sum": ((-1.5, 2.5),),
    "gain": ((-1.0, 1.0),),
}


def small_graph():
    """Three convolutions, a LeakyRelu and a sum of features compute a gain for each colour."""
    random = np.random.default_rng(0)
    weights = {
        "a": random.normal(0, 0.3, (4, 3, 3, 3)),
        "a_bias": random.normal(0, 0.1, 4),
        "b": random.normal(0, 0.3, (4, 4, 1, 1)),
        "b_bias": random.normal(0, 0.1, 4),
        "c": random.normal(0, 0.3, (3, 4, 1, 1)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "a", "a_bias"], ["wide"], pads=[1] * 4),
        helper.make_node("LeakyRelu", ["wide"], ["active"], alpha=0.1),
        helper.make_node("Conv", ["active", "b", "b_bias"], ["narrow"]),
        helper.make_node("Add", ["narrow", "active"], ["sum"]),
        helper.make_node("LeakyRelu", ["sum"], ["last"], alpha=0.1),
        helper.make_node("Conv", ["last", "c"], ["gain"]),
        helper.make_node("Mul", ["image", "gain"], ["result"]),
    ]
    image, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"])
        for name in ("image", "result")
    )
    tensors = [
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()
    ]
    graph = helper.make_graph(nodes, "small", [image], [result], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model, weights


def run(model: ModelProto, **inputs):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["result"], inputs)[0]


def on_grid(x, low, high):
    """Round to the 256 steps of a range that contain zero."""
    step = (high - low) / 255
    zero = round(-low / step)
    return (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step


def kernel_on_grid(kernel):
    step = np.abs(kernel).max((1, 2, 3), keepdims=True) / 127
    return np.rint(kernel / step) * step


def brute_force(image, w):
    """The graph of `small_graph` in float64, rounded by hand."""

    def conv(x, kernel, bias):
        kernel = kernel_on_grid(kernel)
        pad = kernel.shape[2] // 2
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], (1, 2))
        return np.einsum("ihwyx,oiyx->ohw", windows, kernel) + bias[:, None, None]

    def leaky(x, low, high):
        return on_grid(np.where(x < 0, 0.1 * x, x), 0.1 * low, high)

    active = leaky(on_grid(conv(on_grid(image, 0, 1), w["a"], w["a_bias"]), -0.6, 1.3), -0.6, 1.3)
    narrow = on_grid(conv(active, w["b"], w["b_bias"]), -0.7, 0.9)
    last = leaky(on_grid(narrow + active, -1.5, 2.5), -1.5, 2.5)
    return image * on_grid(conv(last, w["c"], np.zeros(3)), -1.0, 1.0)


def test_int8_of_onnx_runtime_equals_numpy():
    model, weights = small_graph()
    image = np.random.default_rng(1).random((1, 3, 9, 11), dtype=np.float32)
    got = run(quantise_graph(model, RANGES, "onnxruntime"), image=image)[0]
    expected = brute_force(image[0].astype(float), weights)
    step = 2 / 255
    assert np.abs(got - expected).max() < 2.5 * step  # sums that end halfway between two steps
    assert np.mean(np.abs(got - expected) > 1e-5) < 0.05
    assert np.mean(np.abs(got - run(model, image=image)[0]) > 1e-5) > 0.9  # it is not float32


def test_onnx_runtime_computes_in_integers(tmp_path):
    model, _ = small_graph()
    quantised = quantise_graph(model, RANGES, "onnxruntime")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        quantised.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    optimised = ModelProto.FromString((tmp_path / "optimised.onnx").read_bytes())
    ops = [node.op_type for node in optimised.graph.node]
    assert ops.count("QLinearConv") == 3
    assert ops.count("QLinearLeakyRelu") == 2
    assert "Conv" not in ops


def test_each_channel_has_its_own_steps():
    model, _ = small_graph()
    image = np.random.default_rng(1).random((1, 3, 9, 11), dtype=np.float32)
    exact = run(model, image=image)[0]
    errors = []
    for pairs in (((-9.0, 9.0),), ((-9.0, 9.0), (-1.0, 1.0), (-1.0, 1.0))):
        quantised = quantise_graph(model, {**RANGES, "gain": pairs}, "onnxruntime")
        errors.append(np.abs(run(quantised, image=image)[0] - exact).mean((1, 2)))
    assert errors[1][0] == pytest.approx(errors[0][0], rel=0.1)
    assert (errors[1][1:] < 0.9 * errors[0][1:]).all()


def test_groups_of_channels_have_their_own_steps():
    """A convolution is split where its channels have several ranges."""
    model, _ = small_graph()
    image = np.random.default_rng(1).random((1, 3, 9, 11), dtype=np.float32)
    same = quantise_graph(model, {**RANGES, "wide": ((-0.6, 1.3),) * 2}, "onnxruntime")
    single = quantise_graph(model, RANGES, "onnxruntime")
    assert sum(node.op_type == "Conv" for node in same.graph.node) == 4
    np.testing.assert_array_equal(run(same, image=image), run(single, image=image))


def test_wrong_number_of_channels():
    model, _ = small_graph()
    ranges = {**RANGES, "gain": ((-1.0, 1.0), (-1.0, 1.0))}
    with pytest.raises(ModelError, match="gain has 3 channels, and 2 ranges"):
        quantise_graph(model, ranges, "onnxruntime")


@pytest.fixture
def quantised(guided_model, tmp_path):
    """The guided network and its start network with ranges, as read from one file."""
    path = tmp_path / "quantised.onnx"
    path.write_bytes(guided_model.read_bytes())
    file = read_model(path)
    ranges = [[((-4.0, 4.0),)] * count(part) for part in (file, file.start)]
    write_ranges(path, *ranges)
    return path


def count(file):
    return len(rounded_tensors(fold_constants(bound(file))))


def bound(file):
    """The graph of a file with its context bound."""
    side = file.card.thumbnail_size
    thumbnail = np.random.default_rng(2).random((side, side, 3), dtype=np.float32)
    return bind_constants(file.graph, context_tensors(file.card, {"lambda": 0.05}, thumbnail))


def test_engines_agree(quantised):
    """Both are closer to each other than to float32."""
    pytest.importorskip("openvino")
    random = np.random.default_rng(0)
    pixels = random.random((96, 104, 3), dtype=np.float32)
    options = {"threads": 1, "device": "cpu"}
    exact = Model.open(quantised, precision="fp32", engine="onnxruntime", **options)
    guide = area_resize(pixels, exact.first_level(96, 104))
    expected = exact(pixels, guide=guide)
    outputs = [
        Model.open(quantised, precision="int8", engine=engine, **options)(pixels, guide=guide)
        for engine in ("onnxruntime", "openvino")
    ]
    errors = [np.sqrt(np.mean((output - expected) ** 2)) for output in outputs]
    assert all(1e-4 < error < 0.03 for error in errors)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_tiles_equal_the_whole(quantised, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    model = Model.open(quantised, precision="int8", engine=engine, threads=1)
    pixels = np.random.default_rng(0).random((120, 136, 3), dtype=np.float32)
    guide = area_resize(pixels, model.first_level(120, 136))
    whole = model(pixels, guide=guide)
    tiled = model(pixels, guide=guide, memory=model.min_memory(120, 136))
    np.testing.assert_array_equal(tiled, whole)


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ({"nowhere": ((-1.0, 1.0),)}, "its card has a range of 'nowhere', which is not in its"),
        ({"result": ()}, "ranges.result"),
        ({"result": ((0.5, 1.0),)}, "less than or equal to 0"),
        ({"result": ((-1.0, float("inf")),)}, "ranges.result.0.1 = None"),
        ({f"t{index}": ((-1.0, 1.0),) for index in range(257)}, "at most 256 items"),
    ],
)
def test_wrong_ranges_are_refused(guided_model, tmp_path, ranges, problem):
    file = read_model(guided_model)
    path = tmp_path / "wrong.onnx"
    path.write_bytes(guided_model.read_bytes())
    write_card(path, file.card.model_copy(update={"ranges": ranges}))
    with pytest.raises(ModelError, match=problem) as error:
        read_model(path)
    assert "\n" not in str(error.value)
