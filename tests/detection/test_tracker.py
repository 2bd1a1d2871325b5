"""Objects tracked through frames: ids, missing detections, and smoothing."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from burnish.detection import tracker
from burnish.detection.instances import Instances
from burnish.detection.tracker import TrackerState, iou, update_tracks


def squares(*objects):
    """Return squares of 20 px in a frame of 100 x 60 px, each given as its class and left edge."""
    boxes = np.array([[left, 10, left + 20, 30] for _, left in objects], np.float32)
    labels = tuple(label for label, _ in objects)
    scores = np.full(len(objects), 0.9, np.float32)
    masks = (np.ones((4, 4)),) * len(objects)
    return Instances((100, 60), boxes.reshape(-1, 4), labels, scores, masks)


def track(*frames):
    """Return the state after each frame."""
    states = [TrackerState()]
    for objects in frames:
        states.append(update_tracks(states[-1], squares(*objects)))
    return states[1:]


def ids(state):
    return {(track.id, track.label) for track in state.tracks}


def test_iou_equals_counted_pixels():
    random = np.random.default_rng(0)
    for _ in range(50):
        boxes = np.sort(random.integers(0, 12, (2, 2, 2)), axis=1).reshape(2, 4)
        grids = np.zeros((2, 12, 12), bool)
        for grid, (left, top, right, bottom) in zip(grids, boxes, strict=True):
            grid[top:bottom, left:right] = True
        union = grids.any(0).sum()
        assert iou(*boxes) == pytest.approx(grids.all(0).sum() / union if union else 0)


def test_ids_follow_moving_objects():
    states = track(*[[("cat", 5 + 4 * t), ("cat", 75 - 4 * t)] for t in range(6)])
    assert all(ids(state) == {(1, "cat"), (2, "cat")} for state in states)
    left = {track.id: float(track.box[0]) for track in states[-1].tracks}
    assert left[1] < left[2]


def test_order_of_detections_does_not_matter():
    states = track([("cat", 5), ("dog", 40)], [("dog", 42), ("cat", 6)])
    assert ids(states[1]) == {(1, "cat"), (2, "dog")}


def test_classes_are_not_mixed():
    assert ids(track([("cat", 5)], [("dog", 5)])[1]) == {(1, "cat"), (2, "dog")}


@pytest.mark.parametrize("max_age", [0, 1, 2])
def test_undetected_objects_are_kept_for_max_age_frames(max_age, monkeypatch):
    monkeypatch.setattr(tracker, "MAX_AGE", max_age)
    states = track([("cat", 5)], *[[]] * 4)
    counts = [len(state.tracks) for state in states]
    assert counts == [1] + [1] * max_age + [0] * (4 - max_age)
    if max_age:
        np.testing.assert_array_equal(states[1].tracks[0].box, states[0].tracks[0].box)


def test_object_detected_again_keeps_its_id_but_not_its_old_box():
    [track_after] = track([("cat", 5)], [], [], [("cat", 9)])[-1].tracks
    assert (track_after.id, track_after.age, track_after.box[0]) == (1, 0, 9)


def test_object_missing_for_longer_gets_a_new_id():
    assert ids(track([("cat", 5)], [], [], [], [("cat", 5)])[-1]) == {(2, "cat")}


def test_jitter_is_smoothed():
    states = track(*[[("cat", 20 + t % 2)] for t in range(20)])
    left = np.array([state.tracks[0].box[0] for state in states[5:]])
    assert np.ptp(left) < 0.6


def test_moving_boxes_do_not_lag():
    states = track(*[[("cat", 4 * t)] for t in range(15)])
    assert max(4 * t - state.tracks[0].box[0] for t, state in enumerate(states)) < 4


def test_masks_are_smoothed():
    first = squares(("cat", 5))
    second = replace(first, masks=(np.zeros((4, 4)),))
    state = update_tracks(update_tracks(TrackerState(), first), second)
    np.testing.assert_allclose(state.tracks[0].mask, 0.6)


def test_update_does_not_change_the_old_state():
    state = update_tracks(TrackerState(), squares(("cat", 5)))
    before = copy.deepcopy(state)
    update_tracks(state, squares(("cat", 7)))
    np.testing.assert_array_equal(state.tracks[0].box, before.tracks[0].box)
    assert state.next_id == before.next_id
