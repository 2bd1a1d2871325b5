"""Validation groups, and a network on arrays against its model file and its own tiles."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.runtime.session import load_engine
from burnish.training.pipeline import measurement
from burnish.training.validation import ImageNetwork, TileContext, split_by_size, validate
from burnish.types import Rectangle

OPERATOR = OPERATORS["l0-smoothing"]
VALUES = {"lambda": 0.02, "kappa": 2.0}


def test_split_by_size_returns_own_size_then_octaves_then_random_values(write_pair):
    pairs = []
    for digest in "ab":
        for side in (32, 30, 15):
            black = np.zeros((side, side, 3))
            pairs.append(write_pair(digest, black, black, VALUES))
            pairs.append(write_pair(digest, black, black, VALUES | {"lambda": 0.01}))
    groups = split_by_size(pairs)
    suffixes = [", each at its largest size", "", "", ", sliders at random"]
    assert [suffix for suffix, _ in groups] == suffixes
    assert [len(group) for _, group in groups] == [2, 2, 2, 6]
    sides = [{pair.size[0] for pair in group} for _, group in groups]
    assert sides == [{32}, {15}, {30}, {15, 30, 32}]  # the octave of 32 alone is the first group
    assert [suffix for suffix, _ in split_by_size(pairs[:1])] == [""]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (13, 22), (17, 3)])
def test_image_network_equals_the_model_file_at_any_size(
    slider_model, random_network, height, width
):
    network, sliders = random_network()
    rgb = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    values = {"lambda": 0.05, "kappa": 3.0}
    apply = ImageNetwork(network, [param.name for param in sliders])
    output = apply(rgb, values)
    expected = Model.open(slider_model, device="cpu", threads=1)(rgb, values)
    assert output.shape == rgb.shape
    np.testing.assert_allclose(output.clip(0, 1), expected, atol=1e-5)
    assert np.abs(output - apply(rgb, values | {"lambda": 0.2})).max() > 1e-3


def test_image_network_on_a_crop_uses_the_thumbnail_of_the_image(random_network):
    network, _ = random_network(())
    rgb = np.random.default_rng(0).random((160, 160, 3), dtype=np.float32)
    apply = ImageNetwork(network)
    inner = slice(40, 120)
    context = TileContext(Rectangle(40, 120, 40, 120), (160, 160), area_resize(rgb, (64, 64)))
    crop = apply(np.ascontiguousarray(rgb[inner, inner]), {}, context)
    expected = apply(rgb, {})[inner, inner]
    core = slice(network.halo + 4, -network.halo - 4)
    np.testing.assert_allclose(crop[core, core], expected[core, core], atol=1e-5)


def test_validate_describes_the_photos_of_each_group(write_pair, slider_model, recording_progress):
    generator = np.random.default_rng(0)
    pairs = [
        write_pair(digest, *generator.random((2, *size, 3)), VALUES | {"lambda": value})
        for digest in "abc"
        for size in ((40, 56), (20, 28))
        for value in (0.02, 0.1)
    ]
    progress = recording_progress()
    model = Model.open(slider_model, device="cpu", threads=1)
    first, *_, last = results = validate(model, OPERATOR, pairs, "some/photos", progress)
    count = sum(result.report.count for result in results)
    assert progress.tasks == [("validating", count)]
    assert progress.done[-1] == count
    assert first.photos == "3 from 'photos', 0.0022 megapixels, each at its largest size"
    assert (first.report.count, last.report.count) == (3, 6)
    assert last.photos.endswith(", sliders at random")
    assert {result.guide for result in results} == {None}
    assert len({result.label for result in results}) == len(results)


def test_guided_model_is_validated_with_both_guides(write_pair, guided_model, make_image):
    """Photos of 16 px, the least size of the first level, are left out if the operator guides."""
    pairs = []
    for seed, size in enumerate([(40, 56), (40, 56), (16, 24)]):
        before = make_image(seed, *size) / np.float32(255)
        pairs.append(write_pair(str(seed), before, OPERATOR.run(before, **VALUES), VALUES))
    model = Model.open(guided_model, device="cpu", threads=1)
    results = validate(model, OPERATOR, pairs, "photos")
    assert [(r.guide, r.report.count) for r in results] == [
        ("operator", 2),
        *(("network", count) for count in (3, 1, 2)),
    ]
    # The operator's result at the first level, and from there on the cascade, by hand.
    psnrs = []
    for pair in pairs[:2]:
        before, after = pair.read()
        small = area_resize(before, (20, 28))
        output = model(before, VALUES, guide=OPERATOR.run(small, **VALUES))
        psnrs.append(-10 * np.log10(np.mean((output - after) ** 2)))
    assert results[0].report.mean.psnr == pytest.approx(np.mean(psnrs), abs=1e-4)


def test_other_precisions_of_the_machine_are_scored_at_the_largest_size(
    write_pair, slider_model, monkeypatch, make_image
):
    engines = [name for name in ("onnxruntime", "openvino") if find_spec(name)]
    monkeypatch.setattr("burnish.runtime.engine_choice.installed_engines", lambda: engines)
    precisions = {name for engine in engines for name in load_engine(engine).precisions()}
    pairs = []
    for size in ((40, 56), (20, 28)):
        before = make_image(1, *size) / np.float32(255)
        pairs.append(write_pair("a", before, before, VALUES))
    model = Model.open(slider_model, device="cpu", threads=1)
    results = validate(model, OPERATOR, pairs, "photos")
    others = precisions - {"fp32", "int8"}  # the card has no ranges
    assert [result.precision for result in results] == ["fp32", "fp32", *others]
    for result in results[2:]:
        assert result.photos == results[0].photos
        exact = results[0].report.mean
        assert 0 < abs(result.report.mean.mse - exact.mse) < 0.02 * exact.mse
        assert measurement(result).precision == result.precision


def test_pairs_of_files_are_validated_with_the_start_network_alone(write_pair, guided_model):
    pairs = [write_pair("a", *np.random.default_rng(0).random((2, 40, 56, 3)), VALUES)]
    unknown = replace(OPERATOR, pairs=((Path("before.png"), Path("after.png")),))
    model = Model.open(guided_model, device="cpu", threads=1)
    assert [result.guide for result in validate(model, unknown, pairs, "photos")] == ["network"]
