"""From photos to a model file with sliders and global context, by the public function."""

from dataclasses import replace

import numpy as np
import pytest

import burnish.training
from burnish.errors import UsageError
from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.training.config import TrainConfig
from burnish.training.request import validate_request

VALUES = {"lambda": 0.02, "kappa": 2.0}


def test_slider_params_have_the_ranges_of_the_config_in_the_operators_order():
    sliders = {"kappa": (1.5, 3.0), "lambda": (0.03, 0.1)}
    config = TrainConfig("l0-smoothing", "fast", VALUES, steps=1, sliders=sliders)
    first, second = replace(config, params=VALUES | {"lambda": 0.05}).slider_params
    assert (first.name, first.low, first.high) == ("lambda", 0.03, 0.1)
    assert (second.name, second.low, second.high) == ("kappa", 1.5, 3.0)
    assert first.scale == OPERATORS["l0-smoothing"].params[0].scale


def test_slider_range_may_exclude_the_operators_default_but_not_the_value(photos, tmp_path):
    """0.02 is the operator's default, and 0.1 the value asked for."""
    request = validate_request(
        "l0-smoothing",
        photos=photos,
        params={"lambda": 0.1},
        sliders=["lambda=0.05:0.2"],
        output=tmp_path / "x.onnx",
        steps=1,
    )
    (param,) = request.config.slider_params
    assert (param.low, param.default, param.high) == (0.05, 0.1, 0.2)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [("l0-smoothing", False), ("local-laplacian", True), ("nonlocal-dehazing", True)],
)
def test_global_context_defaults_to_operators_that_need_it(photos, tmp_path, operator, expected):
    def global_context(**options):
        output = tmp_path / "x.onnx"
        request = validate_request(operator, photos=photos, output=output, steps=1, **options)
        return request.config.global_context

    assert global_context() is expected
    assert global_context(global_context=True)
    assert not global_context(network="can24")


@pytest.mark.slow
def test_trained_model_has_its_slider_and_global_context(photos, tmp_path):
    trained = burnish.training.train(
        "l0-smoothing",
        photos=photos,
        sliders=["lambda=0.005:0.1"],
        global_context=True,
        output=tmp_path / "turns.onnx",
        run_dir=tmp_path / "run",
        steps=4,
        slider_samples=2,
        batch=2,
        crop=16,
        short_sides=(),
        ema_decay=0.5,
    )
    model = Model.open(trained.path, device="cpu", threads=1)
    (slider,) = model.card.sliders
    assert (slider.name, slider.low, slider.value, slider.high) == ("lambda", 0.005, 0.02, 0.1)
    assert model.card.thumbnail_size == 64
    assert [param.name for param in model.card.params] == ["lambda", "kappa"]
    assert model.card.metrics[-1].photos.endswith(", sliders at random")
    assert len(model.card.metrics) == len(trained.validation) == 2
    pixels = np.random.default_rng(0).random((20, 33, 3), dtype=np.float32)
    assert np.abs(model(pixels, {"lambda": 0.1}) - model(pixels)).max() > 0
    with pytest.raises(UsageError) as caught:
        model(pixels, {"lambda": 0.2})
    assert caught.value.where == "lambda"
