"""Measurements of model files: fidelity on held-out photos, and the times that belong together."""

import numpy as np
import pytest

from burnish.compression import measure
from burnish.compression.measure import Bench
from burnish.errors import UsageError
from burnish.metrics import MAX_PSNR, mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.runtime.cascade import operator_output
from burnish.runtime.model import Model
from burnish.training.pairs import Pair, write_codes

VALUES = {"lambda": 0.02, "kappa": 2.0}
OPERATOR = OPERATORS["l0-smoothing"]


@pytest.fixture
def make_pairs(tmp_path, make_image):
    """A function that returns pairs of a size, at the defaults and at other values."""

    def make_pairs(height, width):
        pairs = []
        for index, values in enumerate((VALUES, VALUES, VALUES | {"lambda": 0.05})):
            before = make_image(index, height, width).astype(np.float32) / 255
            path = tmp_path / f"{index}.npy"
            write_codes(path, np.stack([before, OPERATOR.run(before, **values)]))
            pairs.append(Pair(f"photo {index % 2}", path, values, f"{index}.png"))
        return pairs

    return make_pairs


@pytest.fixture(autouse=True)
def small_timed_image(monkeypatch):
    monkeypatch.setattr(measure, "TIMED_SIZE", (48, 40))
    monkeypatch.setattr(measure, "ROUNDS", 1)


def test_guided_network_is_scored_with_the_operators_guide_at_all_values(guided_model, make_pairs):
    pairs = make_pairs(40, 56)
    bench = Bench(guided_model, pairs, OPERATOR, VALUES, "onnxruntime")
    figures = bench.measure(guided_model, is_original=True)
    model = Model.open(guided_model, threads=1, engine="onnxruntime", precision="fp32")
    expected = []
    for pair in pairs:
        before, after = pair.read()
        guide = operator_output(
            OPERATOR,
            pair.values,
            lambda part, image=before: image[part.slices],
            (40, 56),
            model.first_level(40, 56),
        )
        sliders = {param.name: pair.values[param.name] for param in model.card.sliders}
        expected.append(psnr(mse(model(before, sliders, guide=guide), after)))
    assert figures.psnr == pytest.approx(np.mean(expected), abs=1e-3)
    assert (figures.speed, figures.original_psnr) == (1.0, None)
    assert figures.total_milliseconds >= figures.milliseconds > 0
    again = bench.measure(guided_model)
    assert again.original_psnr == MAX_PSNR
    assert again.psnr == figures.psnr


def test_photos_without_a_level_of_the_network_are_refused(guided_model, make_pairs):
    with pytest.raises(UsageError, match="not above the guide's 16"):
        Bench(guided_model, make_pairs(14, 20), OPERATOR, VALUES, "onnxruntime")


def test_network_without_a_guide_has_one_time(slider_model, make_pairs):
    bench = Bench(slider_model, make_pairs(14, 20), OPERATOR, VALUES, "onnxruntime")
    figures = bench.measure(slider_model)
    assert figures.total_milliseconds is None
    assert figures.original_psnr == MAX_PSNR
