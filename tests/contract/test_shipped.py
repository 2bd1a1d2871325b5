"""Every bundled model fulfils its card. Scores on photos are tested if the photos are there."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from burnish.editing.card_params import operator_params
from burnish.editing.edit import load_edit
from burnish.evaluation.compare import compare, reference_function
from burnish.evaluation.doctor import SAMPLE
from burnish.metrics import mse
from burnish.modelfile.reader import read_model
from burnish.networks.registry import DEFAULT_NETWORK
from burnish.operators.paper import PAPER_OPERATORS
from burnish.operators.registry import OPERATORS
from burnish.params import Param
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model, model_names
from burnish.training import pairs
from burnish.training.evaluation import evaluate
from burnish.training.pair_computation import compute_pairs

TEST_PHOTOS = Path(os.environ.get("BURNISH_TEST_PHOTOS", "../shared/photos/test"))
RECIPES = Path(__file__).parents[2] / "recipes" / "README.md"
# Photos of the test set that are tested; all of them would take an hour.
TESTED_PHOTOS = 5

each_model = pytest.mark.parametrize("name", model_names())


def card_of(name):
    return read_model(find_model(name)).card


def sample():
    """Return the sample photo, 400 x 600 px, on which a guided network has two levels."""
    return Photo.open(SAMPLE).pixels


def test_the_ten_operators_of_the_paper_have_models():
    operators = {name: card_of(name).operator for name in model_names() if name in PAPER_OPERATORS}
    assert operators == {name: name for name in PAPER_OPERATORS}


@pytest.mark.parametrize("name", [name for name in model_names() if name not in PAPER_OPERATORS])
def test_larger_network_is_named_after_its_operator_and_kind(name):
    card = card_of(name)
    assert name == f"{card.operator}-{card.network}"


def test_models_are_small():
    assert sum(find_model(name).stat().st_size for name in model_names()) < 25e6


@each_model
def test_card_matches_its_operator(name):
    card = card_of(name)
    assert card.name == name
    params = {p.name: p for p in OPERATORS[card.operator].params if isinstance(p, Param)}
    assert {p.name for p in card.params} == set(params)
    for param in card.params:
        assert (param.low, param.high) == (params[param.name].low, params[param.name].high)
    guides = {"operator", "network"} if card.guide else {None}
    assert {measurement.guide for measurement in card.metrics} == guides
    for measurement in card.metrics:
        assert measurement.psnr_mean > measurement.identity_psnr_mean
    assert card.training["steps"] > 0
    assert "megapixels" in card.training["photos"]
    assert len(card.licence) > 10


@each_model
def test_recipe_of_the_model_is_documented(name):
    card = card_of(name)
    lines = RECIPES.read_text().replace("\\\n", " ").splitlines()
    recipes = [line for line in lines if line.strip().startswith(f"burnish train {card.operator} ")]
    options = [re.search(r"--network (\S+)", recipe) for recipe in recipes]
    assert card.network in [option[1] if option else DEFAULT_NETWORK for option in options]
    if card.guide:
        assert any("--start " in recipe for recipe in recipes)


def test_output_is_closer_to_the_operator_than_the_input_is(bundled_edit):
    slow = reference_function(card_of(bundled_edit.name), {})
    comparison = compare(sample(), slow, bundled_edit.run)
    assert comparison.psnr > comparison.identity_psnr + 2


@each_model
def test_tiled_output_equals_the_whole_bit_for_bit(name):
    model = Model.open(name, device="cpu")
    # Two copies of the sample photo, cropped to odd sides, are wider than the smallest tile.
    pixels = np.ascontiguousarray(np.tile(sample(), (1, 2, 1))[:397, :1153])
    fractions = []
    memory = model.min_memory(*pixels.shape[:2])
    tiled = model(pixels, memory=memory, on_progress=fractions.append)
    # A guided network has two levels at this size.
    assert len(fractions) > 2
    np.testing.assert_array_equal(tiled, model(pixels))


@each_model
def test_tiles_with_a_smaller_halo_differ_from_the_whole(name, run_tiled, insufficient_halo):
    """The image is noise, so that the outermost pixels have an effect in a trained network too."""
    file = read_model(find_model(name))
    for network in filter(None, (file, file.start)):
        side = 3 * (network.card.halo + network.card.size_multiple) + 13
        pixels = np.random.default_rng(0).random((side, 2 * side, 3), dtype=np.float32)
        whole, count = run_tiled(network, pixels, pixels.size, network.card.halo)
        tiled, tiled_count = run_tiled(network, pixels, 0, insufficient_halo(network.card))
        assert (count, tiled_count > 1) == (1, True)
        assert (tiled != whole).any()


@pytest.mark.slow  # numba compiles the operators at first use
def test_sliders_change_the_output_as_the_operator_does(bundled_edit):
    """At both ends of a slider, the model is closer to the operator than without the slider.

    If the operator's output changes by less than the model's error at the defaults, that proves
    nothing. The error has to be about as small as at the defaults then.
    """
    name, guide = bundled_edit.name, bundled_edit.guide
    card, pixels = card_of(name), sample()
    default_output = bundled_edit.run(pixels)
    default_target = reference_function(card, {})(pixels)
    default_error = mse(default_output, default_target)
    for param in card.sliders:
        for end in (param.low, param.high):
            target = reference_function(card, {param.name: end})(pixels)
            if mse(target, default_target) < default_error:
                limit = 1.4 * default_error
            else:
                limit = mse(default_output, target)
            output = load_edit(name, {param.name: end}, guide=guide, device="cpu").run(pixels)
            assert mse(output, target) < limit, (param.name, end)


@pytest.mark.slow
@pytest.mark.skipif(not TEST_PHOTOS.is_dir(), reason=f"no test photos at {TEST_PHOTOS}")
def test_scores_on_test_photos_match_the_card(bundled_edit):
    card = card_of(bundled_edit.name)
    stated = next(score for score in card.metrics if score.guide == bundled_edit.guide)
    jobs = pairs.plan_pairs(
        card.operator,
        operator_params(card, {}),
        pairs.find_photos(TEST_PHOTOS)[:TESTED_PHOTOS],
        short_sides=(),
        max_size=2160,
    )
    report = evaluate(lambda rgb, _: bundled_edit.run(rgb), compute_pairs(jobs))
    # Few photos are tested, so that their scores are only near those of all.
    assert report.worst.psnr > stated.psnr_worst - 2
    assert report.mean.psnr == pytest.approx(stated.psnr_mean, abs=2.5)
    assert report.mean.ssim == pytest.approx(stated.ssim_mean, abs=0.05)
    assert report.identity_psnr == pytest.approx(stated.identity_psnr_mean, abs=2.5)
