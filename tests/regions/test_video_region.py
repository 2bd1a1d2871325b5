"""Regions of videos: objects are tracked from frame to frame, and masks serve for all frames."""

import numpy as np
import pytest

from burnish.detection.instances import Instances
from burnish.errors import UsageError
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.regions.video_region import VideoRegion

FRAME = np.zeros((60, 100, 3), np.float32)


class ScriptedSource:
    """Returns objects given for each frame: squares of 20 px as (class, left, score)."""

    name, sha256, classes = "script", None, ("cat", "dog")

    def __init__(self, frames):
        self.frames = iter(frames)

    def find(self, pixels, source=None):
        objects = next(self.frames)
        boxes = np.array([[left, 10, left + 20, 30] for _, left, *_ in objects], np.float32)
        scores = np.array([score[0] if score else 0.9 for _, _, *score in objects], np.float32)
        labels = tuple(label for label, *_ in objects)
        masks = (np.ones((4, 4), np.float32),) * len(objects)
        return Instances((100, 60), boxes.reshape(-1, 4), labels, scores, masks)


def compute_masks(frames, **options):
    region = VideoRegion(Region(RegionOptions(feather=0, **options), ScriptedSource(frames)))
    return [region.compute_mask(FRAME, index) for index in range(len(frames))]


def left_edge(mask):
    return int(np.flatnonzero(mask.any(axis=0))[0])


def test_mask_of_a_missed_object_is_kept_for_a_few_frames():
    masks = compute_masks([[("cat", 5)], [], [("cat", 5)], [], []])
    assert all(mask.any() for mask in masks)


def test_tracked_object_is_kept_at_half_the_score_that_starts_a_track():
    masks = compute_masks([[("cat", 5, score)] for score in (0.3, 0.6, 0.3, 0.3, 0.3, 0.3)])
    assert [bool(mask.any()) for mask in masks] == [False] + [True] * 5


def test_only_selects_classes():
    masks = compute_masks([[("cat", 5), ("dog", 60)]] * 2, only=("dog",))
    assert left_edge(masks[1]) == 60


def test_click_selects_an_object_of_the_first_frame_and_follows_it():
    frames = [[("cat", 5 + 5 * t), ("cat", 70)] for t in range(6)]
    masks = compute_masks(frames, clicks=((10, 15),))
    assert left_edge(masks[0]) == 5
    assert 25 < left_edge(masks[-1]) <= 30


def test_click_without_the_first_frame_raises_usage_error():
    options = RegionOptions(clicks=((10, 15),))
    region = VideoRegion(Region(options, ScriptedSource([[("cat", 5)]])))
    with pytest.raises(UsageError, match="240"):
        region.compute_mask(FRAME, 240)


def test_mask_is_used_for_every_frame():
    mask = np.zeros((60, 100), bool)
    mask[5:9] = True
    region = VideoRegion(Region(mask=mask))
    for index in range(2):
        np.testing.assert_array_equal(region.compute_mask(FRAME, index), mask)
