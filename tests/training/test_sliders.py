"""What is learnt over a range: pairs at drawn values, crops with theirs, and a model of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, grid_sample

from burnish.errors import UsageError
from burnish.operators.registry import OPERATORS
from burnish.params import Param
from burnish.photo.rectangle import Rectangle
from burnish.runtime.area_resize import area_resize
from burnish.runtime.model import Model
from burnish.training import pairs
from burnish.training.config import TrainConfig
from burnish.training.pairs import Pair, find_photos, plan_pairs
from burnish.training.pipeline import train_and_export
from burnish.training.request import validate_request
from burnish.training.sampler import CropSampler
from burnish.training.train import TrainCallbacks, train
from burnish.training.validation import TileContext, as_callable, split_by_size, validate

VALUES = {"lambda": 0.02, "kappa": 2.0}
LAMBDA, KAPPA = OPERATORS["l0-smoothing"].params


def planned(photos, sliders=(LAMBDA,), draws=3, short_sides=(20,)):
    return plan_pairs(
        "l0-smoothing",
        VALUES,
        find_photos(photos),
        short_sides=short_sides,
        max_size=2160,
        cache=pairs.cache_folder(),
        sliders=sliders,
        slider_samples=draws,
    )


def test_each_photo_and_size_has_the_fixed_values_first_then_draws(photos):
    jobs = planned(photos)
    assert len(jobs) == 6 * 2 * (1 + 3)
    for start in range(0, len(jobs), 4):
        first, *drawn = jobs[start : start + 4]
        assert first.values == VALUES
        assert {(job.digest, job.size) for job in drawn} == {(first.digest, first.size)}
        assert all(job.values["lambda"] != 0.02 and job.values["kappa"] == 2 for job in drawn)
    assert len({job.target for job in jobs}) == len(jobs)


def test_draws_follow_from_photo_and_size_alone(photos):
    first = planned(photos)
    (photos / "1.png").rename(photos / "renamed.png")
    again = {job.target: job.values for job in planned(photos)}
    assert again == {job.target: job.values for job in first}
    more = {job.target for job in planned(photos, draws=5)}
    assert {job.target for job in first} < more
    assert len({job.values["lambda"] for job in first}) == 6 * 2 * 3 + 1


def test_no_sliders_no_draws(photos):
    assert [job.values for job in planned(photos, sliders=())] == [VALUES] * 12
    assert planned(photos, draws=0) == planned(photos, sliders=())


def test_draws_lie_in_the_range_and_spread_along_the_scale(photos):
    narrow = replace(LAMBDA, low=0.01, high=0.08)
    jobs = planned(photos, sliders=(narrow, KAPPA), draws=60, short_sides=())
    drawn = [job.values for job in jobs if job.values != VALUES]
    for param, scale in ((narrow, np.log), (KAPPA, np.log if KAPPA.scale == "log" else float)):
        values = [value[param.name] for value in drawn]
        assert param.low <= min(values) < max(values) <= param.high
        ends = scale(param.low), scale(param.high)
        shares = np.sort([(scale(v) - ends[0]) / (ends[1] - ends[0]) for v in values])
        uniform = (np.arange(len(shares)) + 0.5) / len(shares)
        # Kolmogorov and Smirnov's distance; of 360 uniform draws 99.9 % stay below this.
        assert np.abs(shares - uniform).max() < 1.95 / np.sqrt(len(shares))
    assert abs(np.corrcoef([[v["lambda"], v["kappa"]] for v in drawn], rowvar=False)[0, 1]) < 0.2


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 1])
def test_a_whole_parameter_is_drawn_whole(share):
    param = Param("radius", "looks wider", default=3, low=1, high=9, integer=True)
    value = param.at_fraction(share)
    assert isinstance(value, float)
    assert value == round(1 + 8 * share)
    assert param.check(value) == value


def test_pairs_carry_their_values(photos):
    made = pairs.compute_pairs(planned(photos, draws=1, short_sides=()), processes=1)
    for pair in made:
        before, after = pair.read()
        expected = OPERATORS["l0-smoothing"].run(before, **pair.values)
        np.testing.assert_allclose(after, expected, atol=2e-3)
    smoothness = [np.abs(np.diff(pair.read()[1], axis=0)).mean() for pair in made[:2]]
    assert (smoothness[0] < smoothness[1]) == (made[0].values["lambda"] > made[1].values["lambda"])


@pytest.fixture
def stored(tmp_path):
    """Pairs of one colour each, with a bright corner; the values tell the colour."""
    made = []
    for index, (height, width) in enumerate([(24, 32), (48, 40), (32, 32)]):
        before = np.full((height, width, 3), 6000 * (index + 1), np.uint16)
        before[: height // 4, : width // 4] = 60000
        path = tmp_path / f"{index}.npy"
        np.save(path, np.stack([before, 65535 - before]))
        made.append(Pair(f"{index}.png", path, {"lambda": 0.01 * (index + 1), "kappa": index + 2}))
    return made


def test_crops_of_equal_values_come_together_with_them(stored):
    """The values tell the colour of the pair, and the shares how many crops have them."""
    batches = CropSampler(stored, batch=6, crop=16, seed=0, sliders=(KAPPA, LAMBDA))
    seen = set()
    for step in range(4):
        parts = batches.batch_at(step, off_default=True)
        for part in parts:
            (values,) = part.context
            assert (values.shape, values.dtype) == ((1, 2, 1, 1), torch.float32)
            kappa, lambda_ = values.flatten().tolist()
            for crop in part.before:
                colour = round(crop.min().item() * 65535 / 6000)
                assert lambda_ == pytest.approx(0.01 * colour)
                assert kappa == colour + 1
                seen.add(colour)
            assert part.weight == pytest.approx(len(part.before) / 6)
        assert sum(len(part.before) for part in parts) == 6
        assert len({part.context[0].flatten().tolist()[0] for part in parts}) == len(parts)
    assert seen == {1, 2, 3}


def test_each_crop_brings_its_whole_photo_small_and_turned_alike(stored):
    """Crops as large as the photo: each thumbnail is what its crop shrinks to."""
    batches = CropSampler(stored[2:], batch=8, crop=32, seed=0, coords_block=8)
    corners = set()
    for step in range(4):
        (batch,) = batches.batch_at(step)
        thumbnails, _ = batch.context
        assert thumbnails.shape == (8, 3, 64, 64)
        for crop, thumbnail in zip(batch.before, thumbnails, strict=True):
            small = area_resize(crop.permute(1, 2, 0).numpy(), 64)
            np.testing.assert_allclose(thumbnail.permute(1, 2, 0).numpy(), small, atol=1e-6)
            corners.add(thumbnail[0, [0, 0, -1, -1], [0, -1, 0, -1]].argmax().item())
    assert corners == {0, 1, 2, 3}


def test_each_crop_brings_where_in_its_photo_it_lies(tmp_path):
    """Of a slope: what the thumbnail has at a block's place is what the block shows."""
    across, down = np.meshgrid(np.linspace(0, 60000, 96), np.linspace(0, 60000, 64))
    slope = np.stack([across, down, across + down / 2], axis=2).clip(0, 65535).astype(np.uint16)
    np.save(tmp_path / "slope.npy", np.stack([slope, slope]))
    batches = CropSampler(
        [Pair("slope", tmp_path / "slope.npy")], batch=8, crop=16, seed=1, coords_block=8
    )
    for step in range(8):
        (batch,) = batches.batch_at(step)
        thumbnails, where = batch.context
        assert where.shape == (8, 2, 2, 2)
        there = grid_sample(thumbnails, where, align_corners=False)
        np.testing.assert_allclose(there[:, :2], avg_pool2d(batch.before, 8)[:, :2], atol=0.01)


def test_a_pair_s_thumbnail_is_of_all_of_it(stored):
    before, _ = stored[1].read()
    np.testing.assert_allclose(stored[1].thumbnail, area_resize(before, 64), atol=1e-6)


def test_a_thumbnail_changes_no_crop(stored):
    (plain,) = CropSampler(stored, batch=4, crop=16, seed=3).batch_at(5)
    (rich,) = CropSampler(stored, batch=4, crop=16, seed=3, coords_block=8).batch_at(5)
    assert torch.equal(rich.before, plain.before)
    assert torch.equal(rich.after, plain.after)
    assert [part.shape for part in rich.context] == [(4, 3, 64, 64), (4, 2, 2, 2)]


def settings(**changes):
    wanted = {"operator": "l0-smoothing", "network": "fast", "params": VALUES, "steps": 1}
    return TrainConfig(**wanted | changes)


def test_settings_with_sliders_come_back_from_json():
    wanted = settings(sliders={"lambda": (0.01, 0.1)}, draws=4, thumbnail=True)
    again = TrainConfig.from_json(json.dumps(wanted.to_json()))
    assert again == wanted
    assert again.sliders["lambda"] == (0.01, 0.1)


def test_slider_params_are_the_operator_s_narrowed_in_its_order():
    wanted = settings(sliders={"kappa": (1.5, 3.0), "lambda": (0.03, 0.1)}, params=VALUES)
    first, second = replace(wanted, params=VALUES | {"lambda": 0.05}).slider_params
    assert (first.name, first.low, first.high) == ("lambda", 0.03, 0.1)
    assert (second.name, second.low, second.high) == ("kappa", 1.5, 3.0)
    assert first.scale == LAMBDA.scale


def test_a_range_without_the_operator_s_default_holds_around_what_is_asked(photos, tmp_path):
    """0.02 is l0-smoothing's default, 0.1 what is asked for."""
    order = validate_request(
        "l0-smoothing",
        photos=photos,
        params={"lambda": 0.1},
        sliders=["lambda=0.05:0.2"],
        output=tmp_path / "x.onnx",
        steps=1,
    )
    (param,) = order.config.slider_params
    assert (param.low, param.default, param.high) == (0.05, 0.1, 0.2)


def test_groups_are_own_size_then_octaves_then_drawn(tmp_path):
    made = []
    for digest in "ab":
        for side in (32, 30, 15):
            path = tmp_path / f"{digest}{side}.npy"
            np.save(path, np.zeros((2, side, side, 3), np.uint16))
            made.append(Pair(digest, path, VALUES))
            made.append(Pair(digest, path, VALUES | {"lambda": 0.01}))
    found = split_by_size(made)
    assert [remark for remark, _ in found] == ["", "", "", "", ", sliders at random"]
    assert [len(members) for _, members in found] == [2, 2, 2, 2, 6]
    sides = [{pair.size[0] for pair in members} for _, members in found]
    assert sides == [{32}, {15}, {30}, {32}, {15, 30, 32}]
    assert [remark for remark, _ in split_by_size(made[:1])] == [""]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (13, 22), (17, 3)])
def test_a_network_as_a_filter_takes_any_size_as_the_model_file_does(
    slider_model, lively, height, width
):
    network, sliders = lively()
    rgb = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    values = {"lambda": 0.05, "kappa": 3.0}
    apply = as_callable(network, [param.name for param in sliders])
    result = apply(rgb, values)
    expected = Model.open(slider_model, device="cpu", threads=1)(rgb, values)
    assert result.shape == rgb.shape
    np.testing.assert_allclose(result.clip(0, 1), expected, atol=1e-5)
    assert np.abs(result - apply(rgb, values | {"lambda": 0.2})).max() > 1e-3


def test_a_part_is_judged_by_the_whole_s_thumbnail(lively):
    network, _ = lively((), thumbnail=True)
    rgb = np.random.default_rng(0).random((160, 160, 3), dtype=np.float32)
    apply = as_callable(network)
    inner = slice(40, 120)
    view = TileContext(Rectangle(40, 120, 40, 120), (160, 160), area_resize(rgb, 64))
    part = apply(np.ascontiguousarray(rgb[inner, inner]), {}, view)
    margin = slice(network.halo + 4, -network.halo - 4)
    whole = apply(rgb, {})[inner, inner]
    np.testing.assert_allclose(part[margin, margin], whole[margin, margin], atol=1e-5)


def test_judging_says_which_photos_and_how_good(photos, lively):
    network, _ = lively(("lambda",), thumbnail=False)
    unseen = pairs.compute_pairs(planned(photos, draws=1, short_sides=(20,)), processes=1)
    ticks = []
    found = validate(network, ["lambda"], unseen, photos, lambda: ticks.append(1))
    assert len(ticks) == sum(judgement.report.count for judgement in found)
    own, *_, drawn = found
    assert own.photos.startswith("6 from 'фото', 0.0022")
    assert (own.report.count, drawn.report.count) == (6, 12)
    assert drawn.photos.endswith(", sliders at random")


TINY = {"batch": 2, "crop": 16, "short_sides": (), "ema_decay": 0.5}


def test_held_out_photos_are_left_out_of_training(photos, tmp_path):
    """Though they lie among the photos to learn from, under other names."""
    few = tmp_path / "few"
    few.mkdir()
    for name in ("1.png", "4.png"):
        (few / f"copy {name}").write_bytes((photos / name).read_bytes())
    result = train(
        TrainConfig("l0-smoothing", "can24", VALUES, steps=1, **TINY), photos, few, tmp_path / "run"
    )
    assert len(result.validation) == 2
    assert result.validation_source == few
    assert result.trained_on.startswith("4 from 'фото'")


def test_a_slider_and_a_thumbnail_from_photos_to_a_model_that_turns(photos, tmp_path):
    """A few steps teach it little, but to take both it has to."""
    order = validate_request(
        "l0-smoothing",
        photos=photos,
        sliders=["lambda=0.005:0.1"],
        global_context=True,
        output=tmp_path / "turns.onnx",
        run_dir=tmp_path / "run",
        steps=4,
        draws=2,
        **TINY,
    )
    published = train_and_export(order, TrainCallbacks())
    model = Model.open(published.path, device="cpu", threads=1)
    (slider,) = model.card.sliders
    assert (slider.name, slider.low, slider.value, slider.high) == ("lambda", 0.005, 0.02, 0.1)
    assert model.card.thumbnail_size == 64
    assert [param.name for param in model.card.params] == ["lambda", "kappa"]
    assert model.card.metrics[-1].photos.endswith(", sliders at random")
    assert len(model.card.metrics) == len(published.validation) == 2
    pixels = np.random.default_rng(0).random((20, 33, 3), dtype=np.float32)
    assert np.abs(model(pixels, {"lambda": 0.1}) - model(pixels)).max() > 0
    with pytest.raises(UsageError, match=r"lambda: expected 0\.005 to 0\.1, got 0\.2"):
        model(pixels, {"lambda": 0.2})


@pytest.mark.parametrize(
    ("name", "seen"),
    [("l0-smoothing", False), ("local-laplacian", True), ("nonlocal-dehazing", True)],
)
def test_a_thumbnail_is_given_where_the_operator_looks_at_the_whole(photos, tmp_path, name, seen):
    order = validate_request(name, photos=photos, output=tmp_path / "x.onnx", steps=1)
    assert order.config.global_context is seen
    chosen = validate_request(
        name, photos=photos, output=tmp_path / "x.onnx", steps=1, global_context=True
    )
    assert chosen.config.global_context
    can = validate_request(
        name, photos=photos, output=tmp_path / "x.onnx", steps=1, network="can24"
    )
    assert not can.config.global_context
