"""Objects in a film: who is who, what is missed, and masks that neither blink nor trail behind."""

import numpy as np
import pytest

from burnish.detection.instances import Instances
from burnish.detection.tracker import TrackerConfig, TrackerState, iou, update_tracks

SIZE = (100, 60)


def seen(*objects):
    """Objects as (class, left, score): squares of 20 pixels."""
    boxes = np.array([[left, 10, left + 20, 30] for _, left, *_ in objects], np.float32)
    scores = np.array([score for _, _, *rest in objects for score in (rest or [0.9])], np.float32)
    labels = tuple(label for label, *_ in objects)
    return Instances(SIZE, boxes.reshape(-1, 4), labels, scores, (np.ones((4, 4)),) * len(objects))


def run(*frames, how=None):
    how = how or TrackerConfig()
    tracks, after = TrackerState(), []
    for frame in frames:
        tracks = update_tracks(tracks, seen(*frame), how)
        after.append(tracks)
    return after


def identities(tracks):
    return {(track.identity, track.label) for track in tracks.tracks}


def test_overlap_by_counting_pixels():
    random = np.random.default_rng(0)
    for _ in range(50):
        boxes = np.sort(random.integers(0, 12, (2, 2, 2)), axis=1).reshape(2, 4)
        grids = []
        for left, top, right, bottom in boxes:
            grid = np.zeros((12, 12), bool)
            grid[top:bottom, left:right] = True
            grids.append(grid)
        union = (grids[0] | grids[1]).sum()
        expected = (grids[0] & grids[1]).sum() / union if union else 0
        assert iou(*boxes) == pytest.approx(expected)


def test_identities_stay_while_objects_move():
    frames = [[("cat", 5 + 4 * t), ("cat", 75 - 4 * t)] for t in range(6)]
    after = run(*frames)
    assert all(identities(tracks) == {(1, "cat"), (2, "cat")} for tracks in after)
    lefts = {track.identity: float(track.box[0]) for track in after[-1].tracks}
    assert lefts[1] < lefts[2]


def test_the_order_in_which_they_are_found_does_not_matter():
    after = run([("cat", 5), ("dog", 40)], [("dog", 42), ("cat", 6)])
    assert identities(after[1]) == {(1, "cat"), (2, "dog")}


def test_a_class_is_never_taken_for_another():
    assert identities(run([("cat", 5)], [("dog", 5)])[1]) == {(1, "cat"), (2, "dog")}


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_missed_objects_keep_their_mask_for_a_while(patience):
    how = TrackerConfig(max_age=patience)
    after = run([("cat", 5)], *[[]] * 4, how=how)
    assert [len(tracks.tracks) for tracks in after] == [1] + [1] * patience + [0] * (4 - patience)
    if patience:
        np.testing.assert_array_equal(after[1].tracks[0].box, after[0].tracks[0].box)


def test_found_again_it_is_the_same_and_at_once_where_it_is():
    after = run([("cat", 5)], [], [], [("cat", 9)])
    [track] = after[-1].tracks
    assert (track.identity, track.missed, track.box[0]) == (1, 0, 9)


def test_gone_for_long_it_is_another():
    assert identities(run([("cat", 5)], [], [], [], [("cat", 5)])[-1]) == {(2, "cat")}


def test_a_trembling_box_is_steadied_and_a_moving_one_not_left_behind():
    trembling = run(*[[("cat", 20 + (t % 2))] for t in range(20)])
    lefts = np.array([tracks.tracks[0].box[0] for tracks in trembling[5:]])
    assert np.ptp(lefts) < 0.6
    moving = run(*[[("cat", 4 * t)] for t in range(15)])
    lags = [4 * t - tracks.tracks[0].box[0] for t, tracks in enumerate(moving)]
    assert max(lags) < 4


def test_masks_are_steadied_between_those_found():
    first, second = seen(("cat", 5)), seen(("cat", 5))
    object.__setattr__(second, "masks", (np.zeros((4, 4)),))
    tracks = update_tracks(update_tracks(TrackerState(), first), second)
    np.testing.assert_allclose(tracks.tracks[0].mask, 0.6)


def test_nothing_is_changed_that_was_given():
    before = update_tracks(TrackerState(), seen(("cat", 5)))
    box = before.tracks[0].box.copy()
    update_tracks(before, seen(("cat", 7)))
    np.testing.assert_array_equal(before.tracks[0].box, box)
    assert before.next_id == 2
