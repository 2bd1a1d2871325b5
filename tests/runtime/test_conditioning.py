"""What holds for a whole picture: built in, the graph does what it does with it given."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from burnish.errors import UsageError
from burnish.modelfile.reader import read_model
from burnish.photo.rectangle import Rectangle
from burnish.runtime.area_resize import area_resize
from burnish.runtime.conditioning import bind_constants, context_tensors
from burnish.runtime.coords import normalised_coords
from burnish.runtime.model import Model
from burnish.runtime.session_cache import get_session

VALUES = [{"lambda": 0.002}, {"lambda": 0.05, "kappa": 1.2}, {"lambda_": 0.2}]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def at_run_time(path: Path, pixels: np.ndarray, lambda_: float, kappa: float) -> np.ndarray:
    """ONNX Runtime alone, as docs/model-file.md has it; sides must be even multiples."""
    runtime = onnxruntime.InferenceSession(path.read_bytes())
    height, width = pixels.shape[:2]
    given = {
        "image": pixels.transpose(2, 0, 1)[None],
        "params": np.array([lambda_, kappa], np.float32).reshape(1, 2, 1, 1),
        "thumbnail": area_resize(pixels, 64).transpose(2, 0, 1)[None],
        "coords": normalised_coords(Rectangle(0, height, 0, width), (height, width), 4)[None],
    }
    return runtime.run(["result"], given)[0][0].transpose(1, 2, 0).clip(0, 1)


@pytest.mark.parametrize("given", VALUES)
def test_model_is_its_graph_with_params_and_thumbnail_given(slider_model: Path, given) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    pixels = picture(40, 56)
    value = given.get("lambda", given.get("lambda_"))
    expected = at_run_time(slider_model, pixels, value, given.get("kappa", 2.0))
    np.testing.assert_allclose(model(pixels, given), expected, atol=5e-6)


def test_what_is_not_said_is_what_the_card_says(slider_model: Path) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    pixels = picture(20, 24)
    said = {param.name: param.value for param in model.card.sliders}
    assert set(said) == {"lambda", "kappa"}
    np.testing.assert_array_equal(model(pixels), model(pixels, said))
    np.testing.assert_array_equal(model(pixels, {"lambda": None}), model(pixels))


def test_sliders_and_the_whole_picture_change_the_result(slider_model: Path) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    pixels = picture(40, 400)
    results = [model(pixels, given) for given in VALUES]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(results[one] - results[other]).max() > 1e-3
    changed = pixels.copy()
    changed[:, 200:] = 1 - changed[:, 200:] ** 2
    near = slice(0, 200 - 2 * model.card.halo)
    assert np.abs(model(changed)[:, near] - model(pixels)[:, near]).max() > 1e-4


@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 200), (5, 300), (1, 1)])
@pytest.mark.parametrize("given", VALUES[1:])
def test_tiles_are_the_whole_bit_for_bit(slider_model: Path, height, width, given) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    pixels = picture(height, width)
    tiles: list[float] = []
    smallest = model.min_memory(height, width)
    tiled = model(pixels, given, memory=smallest, on_progress=tiles.append)
    np.testing.assert_array_equal(tiled, model(pixels, given))
    assert len(tiles) > 1 or width < 3 * model.card.halo


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"radius": 3}, "lively: expected parameters among lambda, kappa, got radius"),
        ({"lambda": 0.5}, "lambda: expected 0.002 to 0.2, got 0.5"),
        ({"kappa": 1}, "kappa: expected .* got 1"),
        ({"lambda": "strong"}, "lambda: expected 0.002 to 0.2, got 'strong', which is no number"),
        ({"lambda": float("nan")}, "lambda: expected 0.002 to 0.2, got nan"),
    ],
)
def test_unknown_slider_and_value_outside_are_wrong_usage(slider_model: Path, given, said) -> None:
    model = Model.open(slider_model, device="cpu", threads=1)
    with pytest.raises(UsageError, match=said):
        model(picture(8, 8), given)


def test_model_without_sliders_takes_none(make) -> None:
    with pytest.raises(UsageError, match="blur: expected no parameters, got lambda"):
        Model.open(make(), device="cpu", threads=1)(picture(8, 8), {"lambda": 0.02})


def test_context_is_what_the_graph_takes_in_its_order(slider_model: Path) -> None:
    card = read_model(slider_model).card
    small = np.arange(64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    taken = context_tensors(card, {"kappa": 3.0, "lambda_": 0.1}, small)
    assert list(taken) == ["params", "thumbnail"]
    np.testing.assert_array_equal(taken["params"], np.float32([[[[0.1]], [[3.0]]]]))
    np.testing.assert_array_equal(taken["thumbnail"][0, 1], small[..., 1])
    assert all(value.dtype == np.float32 for value in taken.values())


def test_built_in_the_graph_takes_the_tile_alone(slider_model: Path) -> None:
    file = read_model(slider_model)
    pixels = picture(8, 12)
    taken = context_tensors(file.card, {}, area_resize(pixels, 64))
    built = bind_constants(file.graph, taken)
    onnx.checker.check_model(built)
    assert [end.name for end in built.graph.input] == ["image", "coords"]
    before = bind_constants(file.graph, {})
    assert [end.name for end in before.graph.input] == [*("image", "params", "thumbnail", "coords")]


def test_sessions_are_kept_by_context(slider_model: Path) -> None:
    file = read_model(slider_model)
    small = picture(64, 64)
    one, other = (context_tensors(file.card, {"lambda": value}, small) for value in (0.02, 0.03))
    kept = get_session(file, "cpu", 1, context=one)
    assert kept is get_session(file, "cpu", 1, context=dict(one))
    assert kept is not get_session(file, "cpu", 1, context=other)
    assert kept is not get_session(
        file, "cpu", 1, context=context_tensors(file.card, {}, 1 - small)
    )
