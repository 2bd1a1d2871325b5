"""Context bound as constants gives the same output as context passed as inputs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from burnish.errors import UsageError
from burnish.modelfile.reader import read_model
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.runtime.session import _sessions, bind_constants, context_tensors, get_session
from burnish.runtime.thumbnail import normalised_coords
from burnish.types import Rectangle

PARAMS = [{"lambda": 0.002}, {"lambda": 0.05, "kappa": 1.2}, {"lambda_": 0.2}]


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width, 3), dtype=np.float32)


def run_with_inputs(path: Path, pixels: np.ndarray, lambda_: float, kappa: float) -> np.ndarray:
    """Run ONNX Runtime directly, as docs/model-file.md describes; sides are multiples of 4."""
    session = onnxruntime.InferenceSession(path.read_bytes())
    size = height, width = pixels.shape[:2]
    inputs = {
        "image": pixels.transpose(2, 0, 1)[None],
        "params": np.array([lambda_, kappa], np.float32).reshape(1, 2, 1, 1),
        "thumbnail": area_resize(pixels, (64, 64)).transpose(2, 0, 1)[None],
        "coords": normalised_coords(Rectangle(0, height, 0, width), size, 4)[None],
    }
    return session.run(["result"], inputs)[0][0].transpose(1, 2, 0).clip(0, 1)


@pytest.fixture
def model(slider_model: Path) -> Model:
    return Model.open(slider_model, device="cpu", threads=1)


@pytest.mark.parametrize("size", [(40, 56), (364, 364)], ids=["passed", "bound"])
@pytest.mark.parametrize("params", PARAMS)
def test_model_equals_its_graph_with_params_and_thumbnail_as_inputs(
    slider_model: Path, model: Model, params, size
) -> None:
    pixels = random_image(*size)
    value = params.get("lambda", params.get("lambda_"))
    expected = run_with_inputs(slider_model, pixels, value, params.get("kappa", 2.0))
    np.testing.assert_allclose(model(pixels, params), expected, atol=1e-5)


def test_omitted_params_have_the_card_s_values(model: Model) -> None:
    pixels = random_image(20, 24)
    defaults = {param.name: param.value for param in model.card.sliders}
    assert set(defaults) == {"lambda", "kappa"}
    np.testing.assert_array_equal(model(pixels), model(pixels, defaults))
    np.testing.assert_array_equal(model(pixels, {"lambda": None}), model(pixels))


def test_params_by_keyword_equal_params_by_name(model: Model) -> None:
    pixels = random_image(20, 24)
    by_keyword = model(pixels, {"kappa": 1.2}, lambda_=0.05)
    np.testing.assert_array_equal(by_keyword, model(pixels, {"kappa": 1.2, "lambda": 0.05}))


def test_batch_equals_its_images(model: Model) -> None:
    batch = np.stack([random_image(20, 24), random_image(24, 20).transpose(1, 0, 2)])
    fractions: list[float] = []
    outputs = model(batch, lambda_=0.05, on_progress=fractions.append)
    assert fractions == [0.5, 1.0]
    for pixels, output in zip(batch, outputs, strict=True):
        np.testing.assert_array_equal(output, model(pixels, lambda_=0.05))
    assert model(batch[:0]).shape == (0, 20, 24, 3)


def test_small_image_with_other_values_needs_no_other_session(model: Model) -> None:
    model(random_image(40, 56))
    before = set(_sessions)
    for params in PARAMS:
        model(random_image(40, 56), params)
    assert set(_sessions) == before


def test_sliders_and_distant_pixels_change_the_output(model: Model) -> None:
    pixels = random_image(40, 400)
    outputs = [model(pixels, params) for params in PARAMS]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(outputs[one] - outputs[other]).max() > 1e-3
    changed = pixels.copy()
    changed[:, 200:] = 1 - changed[:, 200:] ** 2
    distant = slice(0, 200 - 2 * model.card.halo)
    assert np.abs(model(changed)[:, distant] - model(pixels)[:, distant]).max() > 1e-4


@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 200), (5, 300), (1, 1)])
@pytest.mark.parametrize("params", PARAMS[1:])
def test_tiled_output_equals_the_whole_bit_for_bit(
    model: Model, height: int, width: int, params
) -> None:
    pixels = random_image(height, width)
    fractions: list[float] = []
    memory = model.min_memory(height, width)
    tiled = model(pixels, params, memory=memory, on_progress=fractions.append)
    np.testing.assert_array_equal(tiled, model(pixels, params))
    assert len(fractions) > 1 or width < 3 * model.card.halo


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"radius": 3}, "random"),
        ({"lambda": 0.5}, "lambda"),
        ({"kappa": 1}, "kappa"),
        ({"lambda": "strong"}, "lambda"),
        ({"lambda": float("nan")}, "lambda"),
    ],
)
def test_unknown_slider_or_invalid_value_raises_usage_error(
    model: Model, params, where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        model(random_image(8, 8), params)
    assert caught.value.where == where


def test_params_for_a_model_without_sliders_raise_usage_error(
    write_model: Callable[..., Path],
) -> None:
    with pytest.raises(UsageError, match="lambda"):
        Model.open(write_model(), device="cpu", threads=1)(random_image(8, 8), {"lambda": 0.02})


def test_context_tensors_have_the_graph_s_order_and_layout(slider_model: Path) -> None:
    card = read_model(slider_model).card
    thumbnail = np.arange(64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    tensors = context_tensors(card, {"kappa": 3.0, "lambda_": 0.1}, thumbnail)
    assert list(tensors) == ["params", "thumbnail"]
    np.testing.assert_array_equal(tensors["params"], np.float32([[[[0.1]], [[3.0]]]]))
    np.testing.assert_array_equal(tensors["thumbnail"][0, 1], thumbnail[..., 1])
    assert all(value.dtype == np.float32 for value in tensors.values())


def test_bind_constants_leaves_image_and_coords_as_inputs(slider_model: Path) -> None:
    file = read_model(slider_model)
    tensors = context_tensors(file.card, {}, random_image(64, 64))
    bound = bind_constants(file.graph, tensors)
    onnx.checker.check_model(bound)
    assert [value.name for value in bound.graph.input] == ["image", "coords"]
    unbound = bind_constants(file.graph, {})
    names = [value.name for value in unbound.graph.input]
    assert names == ["image", "params", "thumbnail", "coords"]


def test_sessions_are_cached_by_context(slider_model: Path) -> None:
    file = read_model(slider_model)
    thumbnail = random_image(64, 64)
    context, other_context = (
        context_tensors(file.card, {"lambda": value}, thumbnail) for value in (0.02, 0.03)
    )
    session = get_session(file, "cpu", 1, context=context)
    assert session is get_session(file, "cpu", 1, context=dict(context))
    assert session is not get_session(file, "cpu", 1, context=other_context)
    other_thumbnail = context_tensors(file.card, {}, 1 - thumbnail)
    assert session is not get_session(file, "cpu", 1, context=other_thumbnail)
