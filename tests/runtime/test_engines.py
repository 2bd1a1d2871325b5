"""OpenVINO against ONNX Runtime, and engines that are unknown or not installed."""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from burnish.errors import DeviceError, MissingLibraryError, ModelError, UsageError
from burnish.export.onnx_export import export
from burnish.modelfile.card import Card
from burnish.modelfile.reader import ModelFile, read_model
from burnish.networks.registry import build
from burnish.runtime.model import Model
from burnish.runtime.onnx_runtime import fold_constants
from burnish.runtime.resize import area_resize
from burnish.runtime.session import bind_constants, context_tensors, get_session, load_engine

WriteModel = Callable[..., Path]

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed"
)
both_engines = pytest.mark.parametrize(
    "engine", ["onnxruntime", pytest.param("openvino", marks=needs_openvino)]
)


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def open_model(path: Path | str, engine: str) -> Model:
    return Model.open(path, device="cpu", threads=1, engine=engine)


@needs_openvino
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 2), (64, 130)])
def test_openvino_equals_onnx_runtime(slider_model: Path, height: int, width: int) -> None:
    """The tolerance is that of float32; bfloat16 would differ a hundred times more."""
    pixels = random_image(height, width)
    model = open_model(slider_model, "openvino")
    assert (model.engine, model.device) == ("openvino", "cpu")
    params = {"lambda": 0.05, "kappa": 3}
    expected = open_model(slider_model, "onnxruntime")(pixels, params)
    np.testing.assert_allclose(model(pixels, params), expected, rtol=0, atol=1e-5)


@needs_openvino
@pytest.mark.parametrize(("height", "width"), [(12, 9), (33, 70)])
def test_openvino_runs_the_cascade_of_a_guided_model(
    guided_model: Path, height: int, width: int
) -> None:
    """The smaller photo is the start network's alone; the larger one has two further levels."""
    pixels = random_image(height, width)
    expected = open_model(guided_model, "onnxruntime")(pixels)
    output = open_model(guided_model, "openvino")(pixels)
    assert np.abs(expected - pixels).max() > 0.01
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize("network", ["fast", "best"])
def test_openvino_runs_every_registered_network(network: str, make_card, tmp_path: Path) -> None:
    torch.manual_seed(0)
    built = build(network).eval()
    with torch.no_grad():
        for parameter in built.parameters():  # A new network is an identity.
            parameter += 0.03 * torch.randn(parameter.shape)
    path = export(built, make_card(built, ()), tmp_path / "network.onnx")
    pixels = random_image(47, 70)
    expected = open_model(path, "onnxruntime")(pixels)
    np.testing.assert_allclose(open_model(path, "openvino")(pixels), expected, rtol=0, atol=1e-5)


@needs_openvino
def test_openvino_runs_a_bundled_model() -> None:
    pixels = random_image(260, 272)  # two levels of the cascade
    expected = open_model("l0-smoothing", "onnxruntime")(pixels)
    output = open_model("l0-smoothing", "openvino")(pixels)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-4)


class BlocksOnly(nn.Module):
    """A residual network whose convolution is the only reader of the space-to-depth blocks."""

    halo, size_multiple, macs_per_pixel, peak_activations_per_pixel = 3, 2, 324, 6
    thumbnail_size = 0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        blocks = nn.functional.pixel_unshuffle(image, 2)
        return image + nn.functional.pixel_shuffle(self.layer(blocks), 2)


@needs_openvino
def test_openvino_keeps_the_channel_order_of_blocks(
    make_card: Callable[..., Card], tmp_path: Path
) -> None:
    """OpenVINO fuses a channel permutation by one Gather into the next convolution wrongly."""
    network = BlocksOnly()
    path = export(network, make_card(network), tmp_path / "blocks.onnx")
    pixels = random_image(24, 40)
    expected = open_model(path, "onnxruntime")(pixels)
    assert np.abs(expected - pixels).max() > 0.1
    np.testing.assert_allclose(open_model(path, "openvino")(pixels), expected, rtol=0, atol=1e-5)


def test_fold_constants_leaves_no_context_computation(slider_model: Path) -> None:
    """OpenVINO would compute the scale and shift of every layer again for every tile."""
    file = read_model(slider_model)
    tensors = context_tensors(file.card, {"lambda": 0.05}, random_image(64, 64))
    folded = fold_constants(bind_constants(file.graph, tensors))
    assert {node.domain for node in folded.graph.node} <= {"", "ai.onnx"}
    count = Counter(node.op_type for node in folded.graph.node)
    assert count["Mul"] == 1  # The scale of each pixel.
    assert not {"Cast", "GlobalAveragePool", "Reshape", "ReduceMean"} & set(count)


def with_ranges(file: ModelFile) -> ModelFile:
    """Return a model with the ranges of its features on a random image."""
    tensors = context_tensors(file.card, {}, random_image(64, 64))
    model = fold_constants(bind_constants(file.graph, tensors))
    names = [n.output[0] for n in model.graph.node if n.op_type in ("Conv", "Add")]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    planes = random_image(64, 64).transpose(2, 0, 1)[np.newaxis]
    rows = np.zeros((1, 64 // file.card.size_multiple, 64 // file.card.size_multiple, 2), "f")
    inputs = {"image": planes, "guide": planes, "coords": rows}
    outputs = session.run(None, {i.name: inputs[i.name] for i in session.get_inputs()})
    ranges = {
        name: ((min(0.0, float(output.min())), max(0.0, float(output.max()))),)
        for name, output in zip(names, outputs, strict=True)
    }
    return replace(file, card=file.card.model_copy(update={"ranges": ranges}))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("name", ["slider_model", "guided_model"])
def test_tiled_output_equals_the_whole(
    name: str, engine: str, precision: str, request: pytest.FixtureRequest
) -> None:
    """No pixel depends on the tile that it is computed in, bit for bit."""
    if find_spec(engine) is None or precision not in load_engine(engine).precisions():
        pytest.skip(f"{engine} does not run {precision} on this machine")
    file = with_ranges(read_model(request.getfixturevalue(name)))
    model = Model(file, "cpu", 2, engine, precision)
    pixels = random_image(97, 131)
    fractions: list[float] = []
    guide = area_resize(pixels, model.first_level(97, 131)) if file.card.guide else None
    options = {"params": {"lambda": 0.01}, "guide": guide}
    whole = model(pixels, **options)
    tiled = model(pixels, memory=model.min_memory(97, 131), on_progress=fractions.append, **options)
    assert len(fractions) > 3
    assert np.abs(whole - pixels).max() > 0.01
    np.testing.assert_array_equal(tiled, whole)


@both_engines
def test_outputs_stay_valid_after_later_and_concurrent_runs(engine: str) -> None:
    model = open_model("l0-smoothing", engine)
    images = [random_image(64 + 16 * number, 80) for number in range(6)]
    outputs = [model(pixels) for pixels in images]
    copies = [output.copy() for output in outputs]
    with ThreadPoolExecutor(3) as pool:
        concurrent_outputs = list(pool.map(model, images))
    for output, copy, concurrent_output in zip(outputs, copies, concurrent_outputs, strict=True):
        np.testing.assert_array_equal(output, copy)
        np.testing.assert_array_equal(output, concurrent_output)


@both_engines
@pytest.mark.parametrize("name", ["pencil-drawing", "photographic-style"])
def test_grey_output_has_three_equal_channels(name: str, engine: str) -> None:
    output = open_model(name, engine)(random_image(260, 272))  # two levels of the cascade
    assert np.ptp(output) > 0.1
    np.testing.assert_array_equal(output, output[..., :1].repeat(3, axis=2))


@needs_openvino
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_openvino_on_cuda_raises_device_error(write_model: WriteModel, device: str) -> None:
    with pytest.raises(DeviceError) as caught:
        get_session(read_model(write_model()), device, None, "openvino")
    assert caught.value.where == f"device {device}"


@needs_openvino
def test_openvino_error_is_one_line_and_nothing_is_printed(
    write_model: WriteModel, capfd: pytest.CaptureFixture[str]
) -> None:
    session = get_session(read_model(write_model()), "cpu", 1, "openvino")
    with pytest.raises(ModelError, match="5 x 4 px") as caught:
        session.run(np.zeros((4, 5, 2), np.float32), (4, 5), np.empty((4, 5, 3), np.float32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_engine_that_is_not_installed_raises_error_with_its_extra(
    write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # Imports of it fail from here on.
    path = write_model("absent", gain=0.3)  # No session of this model is cached.
    with pytest.raises(MissingLibraryError, match="extra 'openvino'") as caught:
        open_model(path, "openvino")
    assert caught.value.where == "engine openvino"
    assert open_model(path, "onnxruntime").engine == "onnxruntime"


@pytest.mark.parametrize("engine", ["tensorrt", "", "OpenVINO"])
def test_unknown_engine_raises_usage_error(write_model: WriteModel, engine: str) -> None:
    with pytest.raises(UsageError, match="auto, onnxruntime or openvino"):
        open_model(write_model(), engine)


@needs_openvino
def test_sessions_are_cached_by_engine(write_model: WriteModel) -> None:
    file = read_model(write_model())
    session = get_session(file, "cpu", 1, "openvino")
    assert session is get_session(file, "cpu", 1, "openvino")
    assert session is not get_session(file, "cpu", 1)
