"""Other engines than ONNX Runtime: the same pictures, and what is said where one is not there."""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from burnish.errors import DeviceError, MissingLibraryError, ModelError, UsageError
from burnish.export.onnx_export import export
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_model
from burnish.networks.registry import build
from burnish.runtime.conditioning import bind_constants, context_tensors
from burnish.runtime.model import Model
from burnish.runtime.session_cache import get_session

Make = Callable[..., Path]

openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def opened(path: Path | str, engine: str) -> Model:
    return Model.open(path, device="cpu", threads=1, engine=engine)


@openvino
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 2), (64, 130)])
def test_openvino_gives_what_onnx_runtime_gives(slider_model: Path, height, width) -> None:
    """Within the rounding of float32: in bfloat16 it would be a hundred times farther off."""
    pixels = picture(height, width)
    fast = opened(slider_model, "openvino")
    assert (fast.engine, fast.device) == ("openvino", "cpu")
    given = {"lambda": 0.05, "kappa": 3}
    expected = opened(slider_model, "onnxruntime")(pixels, given)
    np.testing.assert_allclose(fast(pixels, given), expected, rtol=0, atol=1e-5)


@openvino
@pytest.mark.parametrize("network", ["fast", "best"])
def test_openvino_runs_every_kind_of_student(network: str, card_of, tmp_path: Path) -> None:
    torch.manual_seed(0)
    built = build(network).eval()
    with torch.no_grad():
        for parameter in built.parameters():  # new students leave a picture as it is
            parameter += 0.03 * torch.randn(parameter.shape)
    path = export(built, card_of(built, ()), tmp_path / "network.onnx")
    pixels = picture(47, 70)
    expected = opened(path, "onnxruntime")(pixels)
    np.testing.assert_allclose(opened(path, "openvino")(pixels), expected, rtol=0, atol=1e-5)


@openvino
def test_openvino_runs_a_network_that_ships() -> None:
    pixels = picture(40, 56)
    expected = opened("l0-smoothing", "onnxruntime")(pixels)
    result = opened("l0-smoothing", "openvino")(pixels)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


class Residual(nn.Module):
    """Blocks in channels go into a convolution and nowhere else."""

    halo, multiple, macs_per_pixel, activations_per_pixel, thumbnail = 3, 2, 324, 6, 0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(12, 12, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        blocks = nn.functional.pixel_unshuffle(image, 2)
        return image + nn.functional.pixel_shuffle(self.layer(blocks), 2)


@openvino
def test_blocks_in_channels_keep_their_order_in_openvino(
    card_of: Callable[..., Card], tmp_path: Path
) -> None:
    """It fuses channels that one Gather puts in order into the next convolution, and wrongly."""
    network = Residual()
    path = export(network, card_of(network), tmp_path / "residual.onnx")
    pixels = picture(24, 40)
    expected = opened(path, "onnxruntime")(pixels)
    assert np.abs(expected - pixels).max() > 0.1
    np.testing.assert_allclose(opened(path, "openvino")(pixels), expected, rtol=0, atol=1e-5)


@openvino
def test_openvino_is_given_what_holds_for_the_picture_worked_out(
    slider_model: Path, tmp_path: Path
) -> None:
    """A gain and a shift for every layer would be computed again for every tile."""
    from burnish.runtime.openvino import _fold_constants

    file = read_model(slider_model)
    given = context_tensors(file.card, {"lambda": 0.05}, picture(64, 64))
    model = bind_constants(file.graph, given)
    _fold_constants(model, tmp_path / "folded.onnx")
    folded = onnx.load(tmp_path / "folded.onnx")
    assert {node.domain for node in folded.graph.node} <= {"", "ai.onnx"}
    count = Counter(node.op_type for node in folded.graph.node)
    assert count["Mul"] == 1  # each pixel's own gain
    assert not {"Cast", "GlobalAveragePool", "Reshape", "ReduceMean"} & set(count)


@openvino
def test_tiles_are_the_whole_in_openvino(slider_model: Path) -> None:
    model = opened(slider_model, "openvino")
    pixels = picture(97, 131)
    tiles: list[float] = []
    given = {"lambda": 0.01}
    tiled = model(pixels, given, memory=model.min_memory(97, 131), on_progress=tiles.append)
    assert len(tiles) > 1
    np.testing.assert_allclose(tiled, model(pixels, given), rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=openvino)])
def test_results_stay_when_a_model_runs_again_also_at_once(engine: str) -> None:
    model = opened("l0-smoothing", engine)
    pictures = [picture(64 + 16 * number, 80) for number in range(6)]
    alone = [model(pixels) for pixels in pictures]
    kept = [result.copy() for result in alone]
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(model, pictures))
    for one, before, other in zip(alone, kept, at_once, strict=True):
        np.testing.assert_array_equal(one, before)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=openvino)])
@pytest.mark.parametrize("name", ["pencil-drawing", "photographic-style"])
def test_a_grey_result_is_the_same_in_all_colours(name: str, engine: str) -> None:
    result = opened(name, engine)(picture(90, 70))
    assert np.ptp(result) > 0.1
    np.testing.assert_array_equal(result, result[..., :1].repeat(3, axis=2))


@openvino
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_openvino_has_no_cuda(make: Make, device: str) -> None:
    with pytest.raises(DeviceError, match=f"device {device}: expected cpu, where the engine"):
        get_session(read_model(make()), device, None, "openvino")


@openvino
def test_openvino_says_in_one_line_what_it_does_not_take(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    ready = get_session(read_model(make()), "cpu", 1, "openvino")
    with pytest.raises(ModelError, match="a result for 5 x 4 px") as caught:
        ready.run(np.zeros((4, 5, 2), np.float32), (4, 5), np.empty((4, 5, 3), np.float32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_engine_that_is_not_installed_names_its_extra(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    path = make("absent", gain=0.3)  # of which no session is kept
    with pytest.raises(MissingLibraryError, match=r"engine openvino: .*its extra 'openvino'"):
        opened(path, "openvino")
    assert opened(path, "onnxruntime").engine == "onnxruntime"


@pytest.mark.parametrize("engine", ["tensorrt", "", "OpenVINO"])
def test_unknown_engine_is_wrong_usage(make: Make, engine: str) -> None:
    with pytest.raises(UsageError, match="engine: expected onnxruntime or openvino, got"):
        opened(make(), engine)


def test_sessions_are_kept_by_engine(make: Make) -> None:
    pytest.importorskip("openvino")
    file = read_model(make())
    kept = get_session(file, "cpu", 1, "openvino")
    assert kept is get_session(file, "cpu", 1, "openvino")
    assert kept is not get_session(file, "cpu", 1)
