"""The table of `burnish evaluate` against scores worked out by hand."""

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.evaluation.benchmark import evaluate_models
from burnish.evaluation.demo import SAMPLE
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model

MODEL = "l0-smoothing"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = Photo.open(SAMPLE).pixels
    for index in range(2):
        left = 200 * index
        Photo(pixels[100:180, left : left + 120]).save(folder / f"{index}.png", depth=16)
    return folder


def psnr(a, b):
    return float(-10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2)))


def test_scores_are_those_of_the_model_and_the_operator(photos):
    (table,) = evaluate_models([MODEL], photos)
    pixels = [Photo.open(photos / f"{index}.png").pixels for index in range(2)]
    targets = [OPERATORS[MODEL].run(one) for one in pixels]
    results = [Model.open(MODEL)(one) for one in pixels]
    untouched, model, slow = table.scores
    assert untouched.report.mean.psnr == pytest.approx(
        np.mean([psnr(a, b) for a, b in zip(pixels, targets, strict=True)]), abs=1e-2
    )
    found = [psnr(a, b) for a, b in zip(results, targets, strict=True)]
    assert model.report.mean.psnr == pytest.approx(np.mean(found), abs=1e-2)
    assert model.report.worst.psnr == pytest.approx(min(found), abs=1e-2)
    assert (slow.name, slow.report) == ("slow operator", None)
    assert (table.count, table.short_side) == (2, None)
    assert table.megapixels == pytest.approx(80 * 120 / 1e6)


def test_costs_are_the_cards_and_times_are_positive(photos):
    (table,) = evaluate_models([MODEL], photos)
    card = Model.open(MODEL).card
    row = table.scores[1]
    assert (row.macs_per_pixel, row.parameters) == (card.macs_per_pixel, card.parameter_count)
    assert row.seconds_per_megapixel > 0
    assert table.scores[2].seconds_per_megapixel > 0


def test_each_size_has_a_table_and_is_judged_at_that_size(photos):
    own, smaller = evaluate_models([MODEL], photos, sizes=(40,))
    assert (own.short_side, smaller.short_side) == (None, 40)
    assert smaller.megapixels == pytest.approx(40 * 60 / 1e6)


def test_a_size_that_no_photo_is_well_above_has_no_table(photos):
    assert [t.short_side for t in evaluate_models([MODEL], photos, sizes=(75,))] == [None]


def test_a_value_that_the_model_has_not_learnt_is_refused(photos):
    with pytest.raises(UsageError, match="kappa: expected 2"):
        evaluate_models([MODEL], photos, params={"kappa": 3.0})


def test_a_photo_too_small_to_be_judged_is_left_out_and_said(photos):
    before = evaluate_models([MODEL], photos)[0].scores[1].report
    Photo(np.zeros((10, 50, 3), np.float32)).save(photos / "small.png")
    with pytest.warns(UserWarning, match=r"small\.png: expected 11 pixels.*got 50 x 10"):
        (table,) = evaluate_models([MODEL], photos)
    assert (table.count, table.scores[1].report) == (2, before)
    for index in range(2):
        (photos / f"{index}.png").unlink()
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(UsageError, match="expected photos of 11 pixels or more"),
    ):
        evaluate_models([MODEL], photos)
