"""Every shipped model does what its card says, on photos as far as they are at hand."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from burnish.editing.edit import operator_params
from burnish.evaluation.reference import reference_function
from burnish.evaluation.compare import compare
from burnish.evaluation.demo import SAMPLE
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

SOME = 5

shipped = pytest.mark.parametrize("name", model_names())


def card_of(name):
    return read_model(find_model(name)).card


def test_the_paper_s_ten_operators_ship():
    fast = [card for card in map(card_of, model_names()) if card.network == "fast"]
    assert [card.name for card in fast] == [card.operator for card in fast]
    assert {card.name for card in fast} == set(PAPER_OPERATORS)


@pytest.mark.parametrize("name", [name for name in model_names() if name not in PAPER_OPERATORS])
def test_a_larger_network_ships_where_it_is_more_than_a_decibel_closer(name):
    card = card_of(name)
    assert name == f"{card.operator}-{card.network}"
    larger, smaller = card.metrics[0], card_of(card.operator).metrics[0]
    assert larger.photos == smaller.photos
    assert larger.psnr_mean > smaller.psnr_mean + 1


def test_all_together_are_small():
    assert sum(find_model(name).stat().st_size for name in model_names()) < 10e6


@shipped
def test_card_belongs_to_an_operator_and_says_what_matters(name):
    card = card_of(name)
    assert card.name == name
    described = {p.name: p for p in OPERATORS[card.operator].params if isinstance(p, Param)}
    assert {p.name for p in card.params} == set(described)
    for param in card.params:
        assert (param.low, param.high) == (described[param.name].low, described[param.name].high)
    assert card.metrics[0].psnr_mean > card.metrics[0].identity_psnr_mean
    assert card.training["steps"] > 0
    assert "megapixels" in card.training["photos"]
    assert len(card.licence) > 10


@shipped
def test_recipe_is_written_down(name):
    operator, network = card_of(name).operator, card_of(name).network
    commands = RECIPES.read_text().replace("\\\n", " ").splitlines()
    mine = [line for line in commands if line.strip().startswith(f"burnish train {operator} ")]
    asked = [re.search(r"--network (\S+)", line) for line in mine]
    assert network in [found[1] if found else DEFAULT_NETWORK for found in asked]


@shipped
def test_comes_closer_to_the_operator_than_the_untouched_photo(name):
    model = Model.open(name)
    found = compare(Photo.open(SAMPLE).pixels, reference_function(model.card, {}), model)
    assert found.psnr > found.identity_psnr + 2


def wide(model):
    """The sample photo, repeated until the smallest tile is a part of it, of odd size."""
    return np.ascontiguousarray(np.tile(Photo.open(SAMPLE).pixels, (1, 2, 1))[:397, :1153])


@shipped
def test_tiled_equals_whole_bit_for_bit(name):
    model = Model.open(name, device="cpu")
    pixels = wide(model)
    shares = []
    memory = model.min_memory(*pixels.shape[:2])
    tiled = model(pixels, memory=memory, on_progress=shares.append)
    assert len(shares) > 1
    np.testing.assert_array_equal(tiled, model(pixels))


@shipped
def test_less_halo_is_not_the_whole(name, in_tiles, short):
    """On noise, where a trained network makes something of the outermost pixels too."""
    file = read_model(find_model(name))
    side = 3 * (file.card.halo + file.card.size_multiple) + 13
    pixels = np.random.default_rng(0).random((side, 2 * side, 3), dtype=np.float32)
    whole, one = in_tiles(file, pixels, pixels.size, file.card.halo)
    tiled, several = in_tiles(file, pixels, 0, short(file.card))
    assert (one, several > 1) == (1, True)
    assert (tiled != whole).any()


@shipped
def test_sliders_move_the_picture_as_the_operator_does(name):
    """At both ends of every slider, it is not worse than standing still.

    Where an end's picture is nearer to the default's than the network comes to that, standing still
    proves nothing: there it has to come about as close as at the default.
    """
    model = Model.open(name)
    photo = np.ascontiguousarray(Photo.open(SAMPLE).pixels[:256, :256])
    unmoved = model(photo)
    default = reference_function(model.card, {})(photo)
    own = mse(unmoved, default)
    for param in model.card.sliders:
        for end in (param.low, param.high):
            target = reference_function(model.card, {param.name: end})(photo)
            moved = model(photo, {param.name: end})
            near = mse(target, default) < own
            limit = 1.3 * own if near else mse(unmoved, target)
            assert mse(moved, target) < limit, (param.name, end)


@shipped
@pytest.mark.skipif(not TEST_PHOTOS.is_dir(), reason=f"no test photos at {TEST_PHOTOS}")
def test_no_photo_is_worse_than_the_card_says(name):
    """On some of the photos that the card's figures are of; all of them would take an hour."""
    model = Model.open(name)
    said = model.card.metrics[0]
    photos = pairs.find_photos(TEST_PHOTOS)[:SOME]
    values = operator_params(model.card, {})
    jobs = pairs.plan_pairs(
        model.card.operator,
        values,
        photos,
        short_sides=(),
        max_size=2160,
        cache=pairs.cache_folder(),
    )
    report = evaluate(lambda rgb, _: model(rgb), pairs.compute_pairs(jobs))
    assert report.worst.psnr > said.psnr_worst - 0.05
    # Five of the photos cannot be far from the mean of all without something being wrong.
    assert report.mean.psnr == pytest.approx(said.psnr_mean, abs=2.5)
    assert report.mean.ssim == pytest.approx(said.ssim_mean, abs=0.05)
    assert report.identity.psnr == pytest.approx(said.identity_psnr_mean, abs=2.5)
