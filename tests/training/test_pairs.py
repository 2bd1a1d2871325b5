import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.errors import OperatorError, PhotoError, UsageError
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import find_operator
from burnish.params import Param
from burnish.progress import Progress
from burnish.runtime.resize import area_resize
from burnish.training import pair_computation
from burnish.training.pair_computation import GUIDE_RATIOS, compute_pairs
from burnish.training.pairs import (
    SLIDER_SETTINGS,
    cache_folder,
    find_photos,
    load_pairs,
    plan_pairs,
    resize,
    training_sizes,
)

VALUES = {"lambda": 0.02, "kappa": 2.0}
LAMBDA, KAPPA = OPERATORS["l0-smoothing"].params
FAILING_OPERATOR = "def picky(rgb):\n    assert rgb.shape[0] < 50, 'too tall'\n    return rgb\n"


def plan(photos, operator="l0-smoothing", values=VALUES, short_sides=(20,), **options):
    return plan_pairs(
        operator,
        values,
        find_photos(photos) if photos else [],
        short_sides=short_sides,
        max_size=2160,
        **options,
    )


class CountingProgress(Progress):
    def __init__(self):
        self.count = 0

    def advance(self, amount=1):
        self.count += amount


def test_training_sizes_are_the_own_size_and_those_well_below():
    sizes = training_sizes((1000, 2000), (240, 480, 900), 10_000)
    assert sizes == [(1000, 2000), (480, 960), (240, 480)]


def test_training_sizes_of_a_large_photo_are_at_most_max_size():
    assert training_sizes((4000, 3000), (), 2000) == [(2000, 1500)]


def test_training_sizes_never_enlarge_a_photo():
    assert training_sizes((30, 20), (240, 480), 2160) == [(30, 20)]


def test_pair_contains_the_photo_and_the_operators_output(photo_folder):
    pair = compute_pairs(plan(photo_folder))[2]
    before, after = pair.read()
    photo = np.asarray(Image.open(photo_folder / "1.png"), np.float32) / 255
    assert pair.digest == hashlib.sha256((photo_folder / "1.png").read_bytes()).hexdigest()
    np.testing.assert_allclose(before, photo, atol=1e-5)
    np.testing.assert_allclose(after, find_operator("l0-smoothing").run(photo), atol=1e-5)


def test_smaller_pair_is_the_operator_on_the_resized_photo(photo_folder):
    pair = compute_pairs(plan(photo_folder))[3]
    before, after = pair.read()
    assert pair.size == (20, 28)
    np.testing.assert_allclose(after, find_operator("l0-smoothing").run(before), atol=2e-3)


def test_read_of_a_crop_equals_the_crop_of_the_whole(photo_folder):
    pair = compute_pairs(plan(photo_folder))[2]
    crop = pair.read(slice(3, 9), slice(5, 20))
    np.testing.assert_array_equal(crop, pair.read()[:, 3:9, 5:20])


def test_cached_pairs_are_not_computed_again(photo_folder, monkeypatch):
    first = compute_pairs(plan(photo_folder))
    monkeypatch.setattr(
        pair_computation, "_compute_pair", lambda spec: pytest.fail("computed again")
    )
    assert compute_pairs(plan(photo_folder)) == first


def test_cache_key_depends_on_content_parameters_and_size_but_not_the_name(photo_folder):
    specs = plan(photo_folder)
    assert len({spec.target for spec in specs}) == len(specs) == 12
    other = plan(photo_folder, values=VALUES | {"lambda": 0.05})
    assert not {spec.target for spec in specs} & {spec.target for spec in other}
    (photo_folder / "1.png").rename(photo_folder / "renamed.png")
    assert {spec.target for spec in plan(photo_folder)} == {spec.target for spec in specs}


def test_several_processes_compute_the_same_pairs_as_one(photo_folder):
    specs = plan(photo_folder)
    progress = CountingProgress()
    parallel = [pair.read() for pair in compute_pairs(specs, processes=2, progress=progress)]
    assert progress.count == len(specs)
    for spec in specs:
        spec.target.unlink()
    for first, second in zip(compute_pairs(specs), parallel, strict=True):
        np.testing.assert_array_equal(first.read(), second)


def test_photo_that_cannot_be_read_is_left_out_with_a_warning(photo_folder):
    targets = {spec.target for spec in plan(photo_folder)}
    (photo_folder / "9.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"left out: .*9\.png"):
        assert {spec.target for spec in plan(photo_folder)} == targets


def test_photo_that_exists_twice_is_computed_once(photo_folder, monkeypatch):
    (photo_folder / "copy.png").write_bytes((photo_folder / "1.png").read_bytes())
    specs = plan(photo_folder)
    compute_pair, computed, progress = pair_computation._compute_pair, [], CountingProgress()
    monkeypatch.setattr(
        pair_computation,
        "_compute_pair",
        lambda spec: computed.append(spec.target) or compute_pair(spec),
    )
    assert len(compute_pairs(specs, progress=progress)) == len(specs) == progress.count
    assert len(computed) == len(set(computed)) == len(specs) - 2


@pytest.mark.parametrize("processes", [1, 2])
def test_truncated_photo_is_left_out_with_one_warning(photo_folder, processes):
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(rgb).save(photo_folder / "whole.jpg")
    (photo_folder / "cut.jpg").write_bytes((photo_folder / "whole.jpg").read_bytes()[:-2000])
    specs = plan(photo_folder)
    assert sum(spec.photo.name == "cut.jpg" for spec in specs) == 2
    progress = CountingProgress()
    with pytest.warns(UserWarning, match=r"left out: .*cut\.jpg") as caught:
        computed = compute_pairs(specs, processes=processes, progress=progress)
    assert len(caught) == 1
    assert progress.count == len(specs)
    assert [pair.path for pair in computed] == [
        spec.target for spec in specs if spec.photo.name != "cut.jpg"
    ]
    assert load_pairs(specs) == computed


@pytest.mark.parametrize("size", [20, 60])  # a part of the header, and the header alone
def test_folder_without_a_readable_photo_raises(tmp_path, size):
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:size])
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(PhotoError) as caught,
    ):
        compute_pairs(plan(tmp_path))
    assert caught.value.where == str(tmp_path)


def test_finished_pairs_are_kept_if_the_operator_fails(photo_folder, tmp_path, monkeypatch):
    script = tmp_path / "picky.py"
    script.write_text(FAILING_OPERATOR)
    specs = sorted(
        plan(photo_folder, f"python:{script}:picky", {}, ()),
        key=lambda spec: spec.photo.name == "0.png",
    )
    with pytest.raises(OperatorError):
        compute_pairs(specs)
    assert [spec.target.exists() for spec in specs] == [True] * 5 + [False]
    computed = []
    monkeypatch.setattr(
        pair_computation, "_compute_pair", lambda spec: computed.append(spec.photo.name)
    )
    compute_pairs(specs)
    assert computed == ["0.png"]


def test_error_of_the_operator_names_the_photo(photo_folder, tmp_path):
    script = tmp_path / "picky.py"
    script.write_text(FAILING_OPERATOR)
    with pytest.raises(OperatorError, match="too tall") as caught:
        compute_pairs(plan(photo_folder, f"python:{script}:picky", {}, ()), processes=2)
    assert "0.png: operator picky" in caught.value.where
    assert not list(cache_folder().rglob("*.part"))


def test_killed_worker_process_raises(photo_folder, tmp_path):
    script = tmp_path / "deadly.py"
    script.write_text("import os\ndef deadly(rgb):\n    os._exit(9)\n")
    with pytest.raises(OperatorError, match="killed"):
        compute_pairs(plan(photo_folder, f"python:{script}:deadly", {}, ()), processes=2)


def test_pairs_of_files_are_used_unchanged(tmp_path):
    for side, value in (("before", 10), ("after", 200)):
        (tmp_path / side).mkdir()
        Image.new("RGB", (30, 20), (value,) * 3).save(tmp_path / side / "a.png")
    (pair,) = compute_pairs(plan(None, f"pairs:{tmp_path}", {}))
    before, after = pair.read()
    assert (before[0, 0, 0], after[0, 0, 0]) == pytest.approx((10 / 255, 200 / 255), abs=1e-4)


def test_pairs_of_files_of_unequal_size_raise(tmp_path):
    for side, width in (("before", 30), ("after", 31)):
        (tmp_path / side).mkdir()
        Image.new("RGB", (width, 20)).save(tmp_path / side / "a.png")
    with pytest.raises(PhotoError, match=r"31 x 20.*30 x 20") as caught:
        compute_pairs(plan(None, f"pairs:{tmp_path}", {}))
    assert caught.value.where == str(tmp_path / "after" / "a.png")


def test_random_slider_values_follow_the_fixed_ones_for_each_photo_and_size(photo_folder):
    specs = plan(photo_folder, sliders=(LAMBDA,), slider_samples=3)
    assert len(specs) == 6 * 2 * (1 + 3)
    for start in range(0, len(specs), 4):
        first, *samples = specs[start : start + 4]
        assert first.values == VALUES
        assert {(spec.digest, spec.size) for spec in samples} == {(first.digest, first.size)}
        assert all(s.values["lambda"] != 0.02 and s.values["kappa"] == 2 for s in samples)
    assert len({spec.target for spec in specs}) > 0.9 * len(specs)


def test_random_slider_values_depend_on_photo_and_size_only(photo_folder):
    def values_by_target(samples=3):
        specs = plan(photo_folder, sliders=(LAMBDA,), slider_samples=samples)
        return {spec.target: spec.values for spec in specs}

    first = values_by_target()
    (photo_folder / "1.png").rename(photo_folder / "renamed.png")
    assert values_by_target() == first
    assert first.items() < values_by_target(samples=5).items()
    assert len({values["lambda"] for values in first.values()}) > 6 * 2


def test_plan_without_sliders_has_the_fixed_values_only(photo_folder):
    assert [spec.values for spec in plan(photo_folder, slider_samples=3)] == [VALUES] * 12
    assert plan(photo_folder, sliders=(LAMBDA,), slider_samples=0) == plan(photo_folder)


def test_random_slider_values_are_of_few_settings_and_the_most_frequent_near_the_ends(photo_folder):
    """Fractions follow the arcsine distribution along the scale, and sliders are independent."""
    narrow = replace(LAMBDA, low=0.01, high=0.08)
    specs = plan(photo_folder, sliders=(narrow, KAPPA), slider_samples=60, short_sides=())
    settings = sorted(
        {(s.values["lambda"], s.values["kappa"]) for s in specs if s.values != VALUES}
    )
    assert 60 <= len(settings) <= SLIDER_SETTINGS
    uniform = (np.arange(len(settings)) + 0.5) / len(settings)
    for param, values in zip((narrow, KAPPA), np.transpose(settings), strict=True):
        low, high = np.log([param.low, param.high])
        fractions = np.sort((np.log(values) - low) / (high - low))
        assert 0 <= fractions[0] < 0.01
        assert 0.99 < fractions[-1] <= 1
        distribution = 2 / np.pi * np.arcsin(np.sqrt(fractions))
        # The Kolmogorov-Smirnov distance: 99.9 % of such samples stay below this.
        assert np.abs(distribution - uniform).max() < 1.95 / np.sqrt(len(settings))
    assert abs(np.corrcoef(settings, rowvar=False)[0, 1]) < 0.3


@pytest.mark.parametrize("fraction", [0, 0.3, 0.5, 1])
def test_value_of_an_integer_parameter_at_a_fraction_is_whole(fraction):
    param = Param("radius", "looks wider", default=3, low=1, high=9, integer=True)
    value = param.at_fraction(fraction)
    assert isinstance(value, float)
    assert value == round(1 + 8 * fraction)
    assert param.check(value) == value


def test_pair_at_random_slider_values_is_the_operators_output(photo_folder):
    computed = compute_pairs(
        plan(photo_folder, sliders=(LAMBDA,), slider_samples=1, short_sides=())
    )
    for pair in computed:
        before, after = pair.read()
        expected = OPERATORS["l0-smoothing"].run(before, **pair.values)
        np.testing.assert_allclose(after, expected, atol=2e-3)
    first, second = computed[:2]
    edges = [np.abs(np.diff(pair.read()[1], axis=0)).mean() for pair in (first, second)]
    assert (edges[0] < edges[1]) == (first.values["lambda"] > second.values["lambda"])


@pytest.fixture
def large_photos(tmp_path, make_image):
    """Two photos of 150 x 200 pixels."""
    folder = tmp_path / "large"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(make_image(seed, 150, 200)).save(folder / f"{seed}.png")
    return folder


def smaller_copies(pair):
    while pair.smaller is not None:
        yield pair, pair.smaller
        pair = pair.smaller


def test_smaller_copies_are_resized_by_area_and_run_at_their_size(large_photos):
    """The operator's radius is in px, and the colour of haze is that of the whole photo."""
    name = "dark-channel-guided"
    operator = OPERATORS[name]
    values = operator.resolve_params({"radius": 12})
    for pair in compute_pairs(plan(large_photos, name, values, (), guided=True)):
        measured = operator.measure(pair.read()[0], **values)
        copies = list(smaller_copies(pair))
        assert copies
        for larger, smaller in copies:
            before, after = smaller.read()
            expected = area_resize(larger.read()[0], smaller.size)
            np.testing.assert_allclose(before, expected, atol=2e-5)
            k = smaller.size[0] / pair.size[0]
            expected = operator.run_small(before, k, measured, **values)
            np.testing.assert_allclose(after, expected, atol=1e-3)


def test_ratios_of_smaller_copies_cover_their_range(large_photos, tmp_path):
    script = tmp_path / "same.py"
    script.write_text("def same(rgb):\n    return rgb\n")
    specs = plan(large_photos, f"python:{script}:same", {}, range(80, 120), guided=True)
    pairs = [pair for pair in compute_pairs(specs) if pair.smaller]
    ratios = np.array([np.divide(pair.size, pair.smaller.size) for pair in pairs])
    assert len(ratios) > 60
    assert GUIDE_RATIOS[0] * 0.98 < ratios.min() < 1.25
    assert 3.5 < ratios.max() < GUIDE_RATIOS[1] * 1.02


def test_photos_are_halved_or_quartered_for_an_operator_that_works_on_octaves(large_photos):
    values = OPERATORS["local-laplacian"].resolve_params({})
    specs = plan(large_photos, "local-laplacian", values, range(96, 120, 2), guided=True)
    pairs = [pair for pair in compute_pairs(specs) if pair.smaller]
    ratios = [round(pair.size[0] / pair.smaller.size[0]) for pair in pairs]
    assert set(ratios) == {2, 4}
    for pair, ratio in zip(pairs, ratios, strict=True):
        assert np.abs(np.divide(pair.size, ratio) - pair.smaller.size).max() <= 0.5


def test_small_copies_are_those_of_larger_photos_unless_a_slider_says_so(large_photos):
    operator = OPERATORS["dark-channel-guided"]
    values = operator.resolve_params({"radius": 12})
    sizes = range(40, 120, 4)
    specs = plan(large_photos, operator.name, values, sizes, small_copies=True)
    ks = [spec.k for spec in specs]
    assert 1 / 12 <= min(ks) < 0.2
    assert 0.6 < max(ks) <= 1
    for pair, spec in zip(compute_pairs(specs[:4]), specs[:4], strict=True):
        before, after = pair.read()
        expected = operator.run_small(before, spec.k, **values)
        np.testing.assert_allclose(after, expected, atol=1e-3)
    radius = next(param for param in operator.params if param.name == "radius")
    with_slider = plan(
        large_photos, operator.name, values, sizes, small_copies=True, sliders=[radius]
    )
    assert {spec.k for spec in with_slider} == {1}


def test_smaller_copies_have_at_least_24_pixels_and_exist_for_guided_trainings_only(photo_folder):
    guided = compute_pairs(plan(photo_folder, guided=True))
    plain = compute_pairs(plan(photo_folder))
    assert not {pair.path for pair in guided} & {pair.path for pair in plain}
    assert not any(list(smaller_copies(pair)) for pair in plain)
    sides = [min(small.size) for pair in guided for _, small in smaller_copies(pair)]
    assert sides
    assert min(sides) >= 24


def test_both_photos_of_a_pair_of_files_are_made_smaller(tmp_path, make_image):
    for seed, side in enumerate(("before", "after")):
        (tmp_path / side).mkdir()
        Image.fromarray(make_image(seed, 180, 240)).save(tmp_path / side / "a.png")
    (pair,) = compute_pairs(plan(None, f"pairs:{tmp_path}", {}, guided=True))
    copies = list(smaller_copies(pair))
    assert copies
    for larger, smaller in copies:
        before, after = smaller.read()
        expected = area_resize(larger.read()[0], smaller.size)
        np.testing.assert_allclose(before, expected, atol=2e-5)
        np.testing.assert_allclose(after, area_resize(pair.read()[1], smaller.size), atol=2e-5)


def test_error_of_the_operator_for_a_smaller_copy_names_the_photo(large_photos, tmp_path):
    script = tmp_path / "large.py"
    script.write_text("def large(rgb):\n    assert len(rgb) > 149, 'too small'\n    return rgb\n")
    specs = plan(large_photos, f"python:{script}:large", {}, (), guided=True)
    with pytest.raises(OperatorError, match="too small") as caught:
        compute_pairs(specs)
    assert "0.png: operator large" in caught.value.where
    assert not any(spec.target.exists() for spec in specs)


@pytest.mark.parametrize("size", [(20, 28), (13, 17), (1, 1), (40, 56)])
def test_resize_returns_the_size_asked_for(size):
    pixels = np.random.default_rng(0).random((40, 56, 3)).astype(np.float32)
    resized = resize(pixels, size)
    assert resized.shape == (*size, 3)
    assert resized.dtype == np.float32


def test_resize_averages_fine_stripes():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 32)[None, :, None].repeat(64, 0)
    resized = resize(np.ascontiguousarray(stripes.repeat(3, 2)), (16, 16))
    np.testing.assert_allclose(resized[4:-4, 4:-4], 0.5, atol=0.05)


def test_find_photos_without_photos_raises(tmp_path):
    with pytest.raises(UsageError, match="contains no photos"):
        find_photos(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find_photos(tmp_path / "missing")


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "pairs"
    assert cache_folder("python:numpy:sqrt") == tmp_path / "pairs" / "python-sqrt"
    code = "from burnish.training.pairs import cache_folder; print(cache_folder())"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("BURNISH_CACHE")
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == str(tmp_path / "burnish" / "pairs")


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/fd or /proc")
def test_pairs_keep_no_files_open(photo_folder):
    def open_files():
        return len(list(Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd").iterdir()))

    computed = compute_pairs(plan(photo_folder))
    before = open_files()
    contents = [(pair.read(), pair.size, pair.thumbnail) for pair in computed]
    assert len(contents) > 6
    assert open_files() == before
