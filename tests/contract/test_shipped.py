"""Every bundled model fulfils its card. Scores on photos are tested if the photos are there."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from burnish.editing.edit import operator_params
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

TEST_PHOTOS = Path(os.environ.get("BURNISH_TEST_PHOTOS", "../shared/photos/test"))
RECIPES = Path(__file__).parents[2] / "recipes" / "README.md"
# Photos of the test set that are tested; all of them would take an hour.
TESTED_PHOTOS = 5

each_model = pytest.mark.parametrize("name", model_names())
# Parts of the sample photo, 400 x 600 px. Reference operators take long on larger ones.
CENTRE, CORNER = np.s_[136:264, 236:364], np.s_[:128, :128]


def card_of(name):
    return read_model(find_model(name)).card


def sample(part):
    return np.ascontiguousarray(Photo.open(SAMPLE).pixels[part])


def test_the_ten_operators_of_the_paper_have_models():
    fast = [card for card in map(card_of, model_names()) if card.network == "fast"]
    assert [card.name for card in fast] == [card.operator for card in fast]
    assert {card.name for card in fast} == set(PAPER_OPERATORS)


@pytest.mark.parametrize("name", [name for name in model_names() if name not in PAPER_OPERATORS])
def test_larger_network_is_more_than_a_decibel_better(name):
    card = card_of(name)
    assert name == f"{card.operator}-{card.network}"
    larger, smaller = card.metrics[0], card_of(card.operator).metrics[0]
    assert larger.photos == smaller.photos
    assert larger.psnr_mean > smaller.psnr_mean + 1


def test_models_are_small():
    assert sum(find_model(name).stat().st_size for name in model_names()) < 10e6


@each_model
def test_card_matches_its_operator(name):
    card = card_of(name)
    assert card.name == name
    params = {p.name: p for p in OPERATORS[card.operator].params if isinstance(p, Param)}
    assert {p.name for p in card.params} == set(params)
    for param in card.params:
        assert (param.low, param.high) == (params[param.name].low, params[param.name].high)
    assert card.metrics[0].psnr_mean > card.metrics[0].identity_psnr_mean
    assert card.training["steps"] > 0
    assert "megapixels" in card.training["photos"]
    assert len(card.licence) > 10


@each_model
def test_recipe_of_the_model_is_documented(name):
    operator, network = card_of(name).operator, card_of(name).network
    lines = RECIPES.read_text().replace("\\\n", " ").splitlines()
    recipes = [line for line in lines if line.strip().startswith(f"burnish train {operator} ")]
    options = [re.search(r"--network (\S+)", recipe) for recipe in recipes]
    assert network in [option[1] if option else DEFAULT_NETWORK for option in options]


@each_model
def test_output_is_closer_to_the_operator_than_the_input_is(name):
    model = Model.open(name)
    comparison = compare(sample(CENTRE), reference_function(model.card, {}), model)
    assert comparison.psnr > comparison.identity_psnr + 2


@each_model
def test_tiled_output_equals_the_whole_bit_for_bit(name):
    model = Model.open(name, device="cpu")
    # Two copies of the sample photo, cropped to odd sides, are wider than the smallest tile.
    pixels = np.ascontiguousarray(np.tile(Photo.open(SAMPLE).pixels, (1, 2, 1))[:397, :1153])
    fractions = []
    memory = model.min_memory(*pixels.shape[:2])
    tiled = model(pixels, memory=memory, on_progress=fractions.append)
    assert len(fractions) > 1
    np.testing.assert_array_equal(tiled, model(pixels))


@each_model
def test_tiles_with_a_smaller_halo_differ_from_the_whole(name, run_tiled, insufficient_halo):
    """The image is noise, so that the outermost pixels have an effect in a trained network too."""
    file = read_model(find_model(name))
    side = 3 * (file.card.halo + file.card.size_multiple) + 13
    pixels = np.random.default_rng(0).random((side, 2 * side, 3), dtype=np.float32)
    whole, count = run_tiled(file, pixels, pixels.size, file.card.halo)
    tiled, tiled_count = run_tiled(file, pixels, 0, insufficient_halo(file.card))
    assert (count, tiled_count > 1) == (1, True)
    assert (tiled != whole).any()


@each_model
@pytest.mark.slow  # numba compiles the operators at first use
def test_sliders_change_the_output_as_the_operator_does(name):
    """At both ends of a slider, the model is closer to the operator than without the slider.

    If the operator's output changes by less than the model's error at the defaults, that proves
    nothing. The error has to be about as small as at the defaults then.
    """
    model = Model.open(name)
    pixels = sample(CORNER)
    default_output = model(pixels)
    default_target = reference_function(model.card, {})(pixels)
    default_error = mse(default_output, default_target)
    for param in model.card.sliders:
        for end in (param.low, param.high):
            target = reference_function(model.card, {param.name: end})(pixels)
            if mse(target, default_target) < default_error:
                limit = 1.3 * default_error
            else:
                limit = mse(default_output, target)
            assert mse(model(pixels, {param.name: end}), target) < limit, (param.name, end)


@each_model
@pytest.mark.slow
@pytest.mark.skipif(not TEST_PHOTOS.is_dir(), reason=f"no test photos at {TEST_PHOTOS}")
def test_scores_on_test_photos_match_the_card(name):
    model = Model.open(name)
    stated = model.card.metrics[0]
    jobs = pairs.plan_pairs(
        model.card.operator,
        operator_params(model.card, {}),
        pairs.find_photos(TEST_PHOTOS)[:TESTED_PHOTOS],
        short_sides=(),
        max_size=2160,
    )
    report = evaluate(lambda rgb, _: model(rgb), pairs.compute_pairs(jobs))
    assert report.worst.psnr > stated.psnr_worst - 0.05
    # The mean of five photos is near the mean of all.
    assert report.mean.psnr == pytest.approx(stated.psnr_mean, abs=2.5)
    assert report.mean.ssim == pytest.approx(stated.ssim_mean, abs=0.05)
    assert report.identity_psnr == pytest.approx(stated.identity_psnr_mean, abs=2.5)
