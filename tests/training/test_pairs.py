import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.errors import BurnishError, OperatorError, PhotoError, UsageError
from burnish.operators.user_defined import find_operator
from burnish.training import pairs
from burnish.training.pairs import (
    compute_pairs,
    find_photos,
    load_pairs,
    plan_pairs,
    resize,
    training_sizes,
)

VALUES = {"lambda": 0.02, "kappa": 2.0}


def jobs_of(photos, spec="l0-smoothing", values=VALUES, short_sides=(20,)):
    return plan_pairs(
        spec,
        values,
        find_photos(photos) if photos else [],
        short_sides=short_sides,
        max_size=2160,
        cache=pairs.cache_folder(),
    )


def test_sizes_are_the_photos_own_and_those_well_below():
    assert training_sizes((1000, 2000), (240, 480, 900), 10_000) == [
        (1000, 2000),
        (480, 960),
        (240, 480),
    ]


def test_a_large_photo_is_brought_down_first():
    assert training_sizes((4000, 3000), (), 2000) == [(2000, 1500)]


def test_a_small_photo_is_never_enlarged():
    assert training_sizes((30, 20), (240, 480), 2160) == [(30, 20)]


def test_pair_holds_the_photo_and_what_the_operator_makes_of_it(photos):
    pair = compute_pairs(jobs_of(photos), processes=1)[2]
    before, after = pair.read()
    photo = np.asarray(Image.open(photos / "1.png"), np.float32) / 255
    assert pair.digest == hashlib.sha256((photos / "1.png").read_bytes()).hexdigest()
    np.testing.assert_allclose(before, photo, atol=1e-5)
    np.testing.assert_allclose(after, find_operator("l0-smoothing").run(photo), atol=1e-5)


def test_smaller_pair_is_the_operator_on_the_smaller_photo(photos):
    pair = compute_pairs(jobs_of(photos), processes=1)[3]
    before, after = pair.read()
    assert pair.size == (20, 28)
    np.testing.assert_allclose(after, find_operator("l0-smoothing").run(before), atol=2e-3)


def test_crop_is_a_part_of_the_whole(photos):
    pair = compute_pairs(jobs_of(photos), processes=1)[2]
    crop = pair.read(slice(3, 9), slice(5, 20))
    np.testing.assert_array_equal(crop, pair.read()[:, 3:9, 5:20])


def test_nothing_is_computed_twice(photos, monkeypatch):
    first = compute_pairs(jobs_of(photos), processes=1)
    monkeypatch.setattr(pairs, "_compute_pair", lambda job: pytest.fail("computed again"))
    assert compute_pairs(jobs_of(photos), processes=1) == first


def test_key_follows_content_parameters_and_size_not_the_name(photos):
    jobs = jobs_of(photos)
    assert len({job.target for job in jobs}) == len(jobs) == 12
    other = jobs_of(photos, values=VALUES | {"lambda": 0.05})
    assert not {job.target for job in jobs} & {job.target for job in other}
    (photos / "1.png").rename(photos / "renamed.png")
    assert {job.target for job in jobs_of(photos)} == {job.target for job in jobs}


def test_several_processes_make_the_same(photos, cache):
    jobs = jobs_of(photos)
    ticks = []
    parallel = [
        pair.read()
        for pair in compute_pairs(jobs, processes=2, on_progress=lambda: ticks.append(1))
    ]
    assert len(ticks) == len(jobs)
    for job in jobs:
        job.target.unlink()
    for one, two in zip(compute_pairs(jobs, processes=1), parallel, strict=True):
        np.testing.assert_array_equal(one.read(), two)


def test_a_photo_that_cannot_be_read_is_left_out_and_said(photos):
    whole = {job.target for job in jobs_of(photos)}
    (photos / "9.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"left out: .*9\.png: expected a picture"):
        assert {job.target for job in jobs_of(photos)} == whole


def test_a_photo_that_is_there_twice_is_made_once(photos, monkeypatch):
    (photos / "copy.png").write_bytes((photos / "1.png").read_bytes())
    jobs = jobs_of(photos)
    once, calls, ticks = pairs._compute_pair, [], []
    monkeypatch.setattr(pairs, "_compute_pair", lambda job: calls.append(job.target) or once(job))
    assert (
        len(compute_pairs(jobs, processes=1, on_progress=lambda: ticks.append(1)))
        == len(jobs)
        == len(ticks)
    )
    assert len(calls) == len(set(calls)) == len(jobs) - 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_photo_that_breaks_off_is_left_out_and_said_once(photos, processes):
    rgb = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    whole = photos / "whole.jpg"
    Image.fromarray(rgb).save(whole)
    (photos / "cut.jpg").write_bytes(whole.read_bytes()[:-2000])
    jobs = jobs_of(photos)
    assert sum(job.photo.name == "cut.jpg" for job in jobs) == 2
    ticks = []
    with pytest.warns(UserWarning, match=r"left out: .*cut\.jpg: expected") as said:
        found = compute_pairs(jobs, processes=processes, on_progress=lambda: ticks.append(1))
    assert len(said) == 1
    assert len(ticks) == len(jobs)
    assert [pair.path for pair in found] == [
        job.target for job in jobs if job.photo.name != "cut.jpg"
    ]
    assert load_pairs(jobs) == found


@pytest.mark.parametrize("kept", [20, 60])  # a part of the header, and the header alone
def test_photos_of_which_none_can_be_read_are_one_error(tmp_path, kept):
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:kept])
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(PhotoError, match="expected photos that can be read, got none"),
    ):
        compute_pairs(jobs_of(tmp_path), processes=1)


def test_a_failure_keeps_what_is_finished(photos, tmp_path, monkeypatch):
    script = tmp_path / "picky.py"
    script.write_text("def picky(rgb):\n    assert rgb.shape[0] < 50, 'too tall'\n    return rgb\n")
    jobs = sorted(
        jobs_of(photos, f"python:{script}:picky", {}, ()), key=lambda job: job.photo.name == "0.png"
    )
    with pytest.raises(OperatorError):
        compute_pairs(jobs, processes=1)
    assert [job.target.exists() for job in jobs] == [True] * 5 + [False]
    called = []
    monkeypatch.setattr(pairs, "_compute_pair", lambda job: called.append(job.photo.name))
    compute_pairs(jobs, processes=1)
    assert called == ["0.png"]


def test_an_operator_that_fails_names_the_photo(photos, tmp_path):
    script = tmp_path / "picky.py"
    script.write_text("def picky(rgb):\n    assert rgb.shape[0] < 50, 'too tall'\n    return rgb\n")
    with pytest.raises(OperatorError, match=r"0\.png: operator picky.*too tall"):
        compute_pairs(jobs_of(photos, f"python:{script}:picky", {}, ()), processes=2)
    assert not list(pairs.cache_folder().glob("*.part"))


def test_a_killed_worker_is_one_clear_error(photos, tmp_path):
    script = tmp_path / "deadly.py"
    script.write_text("import os\ndef deadly(rgb):\n    os._exit(9)\n")
    with pytest.raises(OperatorError, match="got a process ended by itself"):
        compute_pairs(jobs_of(photos, f"python:{script}:deadly", {}, ()), processes=2)


def test_pairs_are_taken_as_they_are(tmp_path):
    for side, value in (("before", 10), ("after", 200)):
        (tmp_path / side).mkdir()
        Image.new("RGB", (30, 20), (value,) * 3).save(tmp_path / side / "a.png")
    pair = compute_pairs(jobs_of(None, f"pairs:{tmp_path}", {}), processes=1)[0]
    before, after = pair.read()
    assert (before[0, 0, 0], after[0, 0, 0]) == pytest.approx((10 / 255, 200 / 255), abs=1e-4)


def test_pairs_of_unequal_size_are_refused(tmp_path):
    for side, width in (("before", 30), ("after", 31)):
        (tmp_path / side).mkdir()
        Image.new("RGB", (width, 20)).save(tmp_path / side / "a.png")
    with pytest.raises(PhotoError, match="expected the size of its 'before', 30 x 20, got 31 x 20"):
        compute_pairs(jobs_of(None, f"pairs:{tmp_path}", {}), processes=1)


@pytest.mark.parametrize("size", [(20, 28), (13, 17), (1, 1), (40, 56)])
def test_resize_gives_the_size_asked_for(size):
    pixels = np.random.default_rng(0).random((40, 56, 3)).astype(np.float32)
    scaled = resize(pixels, size)
    assert scaled.shape == (*size, 3)
    assert scaled.dtype == np.float32


def test_resize_averages_rather_than_drops():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 32)[None, :, None].repeat(64, 0)
    scaled = resize(np.ascontiguousarray(stripes.repeat(3, 2)), (16, 16))
    np.testing.assert_allclose(scaled[4:-4, 4:-4], 0.5, atol=0.05)


def test_no_photos(tmp_path):
    with pytest.raises(UsageError, match="expected a folder of photos, got one without any"):
        find_photos(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find_photos(tmp_path / "nowhere")


def test_errors_survive_the_way_from_another_process():
    import pickle

    error = PhotoError("a.jpg", expected="a picture", got="none", remedy="look")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (PhotoError, str(error))
    assert isinstance(again, BurnishError)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("BURNISH_CACHE", str(tmp_path))
    assert pairs.cache_folder() == tmp_path / "pairs"
    code = "from burnish.training.pairs import cache_folder; print(cache_folder())"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("BURNISH_CACHE")
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(tmp_path / "burnish" / "pairs")


@pytest.mark.skipif(sys.platform == "win32", reason="needs /dev/fd or /proc")
def test_pairs_do_not_stay_open(photos):
    def opened():
        return len(list(Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd").iterdir()))

    found = compute_pairs(jobs_of(photos), processes=1)
    before = opened()
    kept = [(pair.read(), pair.size, pair.thumbnail) for pair in found]
    assert len(kept) > 6
    assert opened() == before
