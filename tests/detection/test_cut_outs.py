"""Cut-outs pasted into photos: truth that is exact, and what is hidden."""

import json

import numpy as np
import pytest

from burnish.detection import coco
from burnish.detection.training.cut_outs import CutOut, Scene, copy_paste, read_cut_outs
from burnish.detection.training.synthesize import synthesize_dataset
from burnish.errors import OutputError, UsageError
from burnish.photo import Photo


@pytest.fixture
def folder(tmp_path):
    """Two cut-outs, one of them in a folder called `person`, and a picture without alpha."""
    place = tmp_path / "cut-outs"
    (place / "person").mkdir(parents=True)
    alpha = np.zeros((40, 50))
    alpha[10:30, 5:45] = 1
    Photo(np.full((40, 50, 3), 0.9), alpha).save(place / "a.png")
    Photo(np.full((40, 50, 3), 0.1), alpha).save(place / "person" / "b.png")
    Photo(np.full((40, 50, 3), 0.1)).save(place / "c.png")
    return place


def test_folders_name_classes(folder):
    first, second = read_cut_outs(folder, ["person", "object"], "object")
    assert (first.label, second.label) == ("object", "person")
    assert first.alpha.shape == (20, 40)  # what is empty around it is cut off
    assert first.pixels[0, 0].tolist() == pytest.approx([0.9, 0.9, 0.9], abs=1e-2)


def test_faults(folder, tmp_path):
    with pytest.raises(UsageError, match="give --rest"):
        read_cut_outs(folder, ["person"], None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="got none"):
        read_cut_outs(tmp_path / "empty", ["person"], "object")


def pasted(seed, times=6):
    random = np.random.default_rng(seed)
    scene = Scene(np.full((90, 120, 3), 0.5, np.float32), (), ())
    pieces = [
        CutOut(str(n), np.full((50, 60, 3), 0.1 * n, np.float32), np.ones((50, 60), np.float32))
        for n in range(4)
    ]
    for _ in range(times):
        scene = copy_paste(scene, pieces[random.integers(4)], random)
    return scene


@pytest.mark.parametrize("seed", range(10))
def test_masks_tell_what_is_seen(seed):
    scene = pasted(seed)
    assert len(scene.labels) == len(scene.masks) > 0
    together = np.sum(scene.masks, axis=0)
    assert together.max() <= 1  # no pixel belongs to two
    untouched = scene.pixels == np.float32(0.5)
    # Where no object is, at most a soft edge of one is seen.
    inside = together.astype(bool)
    grown = inside.copy()
    for _ in range(6):
        grown[1:] |= grown[:-1]
        grown[:-1] |= grown[1:]
        grown[:, 1:] |= grown[:, :-1]
        grown[:, :-1] |= grown[:, 1:]
    assert untouched[~grown].mean() > 0.97
    assert scene.pixels.min() >= 0
    assert scene.pixels.max() <= 1


def test_what_is_hidden_is_no_longer_told_of():
    random = np.random.default_rng(0)
    small = np.zeros((90, 120), bool)
    small[40:44, 60:64] = True
    everywhere = np.ones((90, 120), bool)
    gone = kept = 0
    for _ in range(60):
        scene = Scene(np.zeros((90, 120, 3), np.float32), ("small", "large"), (small, everywhere))
        piece = CutOut("new", np.ones((60, 80, 3), np.float32), np.ones((60, 80), np.float32))
        result = copy_paste(scene, piece, random)
        covered = result.masks[-1]
        share = (small & ~covered).sum() / small.sum()
        assert ("small" in result.labels) == ((small & ~covered).sum() > 8 and share > 0.1)
        gone += "small" not in result.labels
        kept += "small" in result.labels
        assert "large" in result.labels
    assert gone > 0
    assert kept > 0


def test_the_same_seed_pastes_the_same():
    one, other = pasted(3), pasted(3)
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert not np.array_equal(one.pixels, pasted(4).pixels)


def test_composites_are_a_coco_set(folder, photos, tmp_path):
    cut_outs = read_cut_outs(folder, ["person", "object"], "object")
    target = tmp_path / "composites"
    path = synthesize_dataset(cut_outs, photos, target, count=5, size=(96, 64), seed=1)
    found = coco.read_dataset(path, target)
    assert len(found.images) == 5
    assert found.categories == ("object", "person")
    objects = [each for picture in found.images for each in picture.annotations]
    assert len(objects) >= 5
    assert all(each.mask().sum() > 0 for each in objects)
    first = path.read_bytes()
    again = synthesize_dataset(cut_outs, photos, tmp_path / "again", count=5, size=(96, 64), seed=1)
    assert json.loads(again.read_bytes()) == json.loads(first)
    with pytest.raises(OutputError, match="a new folder"):
        synthesize_dataset(cut_outs, photos, target, count=5)
    with pytest.raises(UsageError, match="expected a folder of photos, got no such file"):
        synthesize_dataset(cut_outs, tmp_path / "nosuch", tmp_path / "new", count=5)
