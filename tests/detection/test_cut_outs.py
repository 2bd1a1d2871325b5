"""Cut-outs pasted into photos: exact masks, and hidden objects."""

import json

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from burnish.detection import coco
from burnish.detection.training.cut_outs import (
    CutOut,
    Scene,
    copy_paste,
    read_cut_outs,
    synthesize_dataset,
)
from burnish.errors import OutputError, UsageError
from burnish.photo import Photo


@pytest.fixture
def cut_out_dir(tmp_path):
    """Two cut-outs, one of them in a folder called `person`, and an image without alpha."""
    folder = tmp_path / "cut-outs"
    (folder / "person").mkdir(parents=True)
    alpha = np.zeros((40, 50))
    alpha[10:30, 5:45] = 1
    Photo(np.full((40, 50, 3), 0.9), alpha).save(folder / "a.png")
    Photo(np.full((40, 50, 3), 0.1), alpha).save(folder / "person" / "b.png")
    Photo(np.full((40, 50, 3), 0.1)).save(folder / "c.png")
    return folder


def test_read_cut_outs_takes_classes_from_folders(cut_out_dir):
    first, second = read_cut_outs(cut_out_dir, ["person", "object"], "object")
    assert (first.label, second.label) == ("object", "person")
    assert first.alpha.shape == (20, 40)  # the transparent border is cropped
    assert first.pixels[0, 0].tolist() == pytest.approx([0.9, 0.9, 0.9], abs=1e-2)


def test_read_cut_outs_raises_without_class_or_alpha(cut_out_dir, tmp_path):
    with pytest.raises(UsageError, match="--other-class"):
        read_cut_outs(cut_out_dir, ["person"], None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty"):
        read_cut_outs(tmp_path / "empty", ["person"], "object")


def random_scene(seed):
    """Return a grey scene with six pasted rectangles."""
    random = np.random.default_rng(seed)
    scene = Scene(np.full((90, 120, 3), 0.5, np.float32), (), ())
    cut_outs = [
        CutOut(str(n), np.full((50, 60, 3), 0.1 * n, np.float32), np.ones((50, 60), np.float32))
        for n in range(4)
    ]
    for _ in range(6):
        scene = copy_paste(scene, cut_outs[random.integers(4)], random)
    return scene


@pytest.mark.parametrize("seed", range(10))
def test_masks_cover_the_visible_objects(seed):
    scene = random_scene(seed)
    assert len(scene.labels) == len(scene.masks) > 0
    covered = np.sum(scene.masks, axis=0)
    assert covered.max() <= 1  # no pixel belongs to two objects
    # Away from the objects and their soft edges, the scene is unchanged.
    near = binary_dilation(covered.astype(bool), np.ones((3, 3)), iterations=6)
    assert (scene.pixels == np.float32(0.5))[~near].mean() > 0.97
    assert scene.pixels.min() >= 0
    assert scene.pixels.max() <= 1


def test_hidden_objects_are_removed():
    random = np.random.default_rng(0)
    small = np.zeros((90, 120), bool)
    small[40:44, 60:64] = True
    large = np.ones((90, 120), bool)
    cut_out = CutOut("new", np.ones((60, 80, 3), np.float32), np.ones((60, 80), np.float32))
    outcomes = set()
    for _ in range(60):
        scene = Scene(np.zeros((90, 120, 3), np.float32), ("small", "large"), (small, large))
        pasted = copy_paste(scene, cut_out, random)
        visible = (small & ~pasted.masks[-1]).sum()
        assert ("small" in pasted.labels) == (visible > 8 and visible > 0.1 * small.sum())
        outcomes.add("small" in pasted.labels)
        assert "large" in pasted.labels
    assert outcomes == {True, False}


def test_copy_paste_is_determined_by_the_seed():
    np.testing.assert_array_equal(random_scene(3).pixels, random_scene(3).pixels)
    assert not np.array_equal(random_scene(3).pixels, random_scene(4).pixels)


def test_synthesize_dataset_writes_a_coco_dataset(cut_out_dir, photo_folder, tmp_path):
    cut_outs = read_cut_outs(cut_out_dir, ["person", "object"], "object")
    first, second = (
        synthesize_dataset(cut_outs, photo_folder, tmp_path / name, count=5, size=(96, 64), seed=1)
        for name in ("first", "second")
    )
    assert json.loads(first.read_bytes()) == json.loads(second.read_bytes())
    dataset = coco.read_dataset(first, first.parent)
    assert len(dataset.images) == 5
    assert dataset.categories == ("object", "person")
    annotations = [annotation for image in dataset.images for annotation in image.annotations]
    assert len(annotations) >= 5
    assert all(annotation.mask().any() for annotation in annotations)


def test_synthesize_dataset_raises_for_used_or_missing_folders(photo_folder, tmp_path):
    with pytest.raises(OutputError, match="not empty"):
        synthesize_dataset([], photo_folder, photo_folder, count=5, size=(96, 64))
    with pytest.raises(UsageError, match="none"):
        synthesize_dataset([], tmp_path / "none", tmp_path / "new", count=5, size=(96, 64))
