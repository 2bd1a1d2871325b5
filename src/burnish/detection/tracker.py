"""Track objects from frame to frame of a video, so that masks do not flicker or jitter."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.types import Mask

Box = NDArray[np.float32]

# Minimum intersection over union of an object's boxes in two frames.
MIN_IOU = 0.3
# An object that is not detected is kept at its last position for this number of frames.
MAX_AGE = 2
# Weight of the previous frame in box and mask of an object that does not move. The weight is lower
# for a moving object, whose mask would lag behind.
SMOOTHING = 0.6


@dataclass(frozen=True, eq=False)
class Track:
    """An object as last detected; `age` is the number of frames since then."""

    id: int
    label: str
    box: Box
    mask: Mask
    score: float
    age: int = 0


@dataclass(frozen=True)
class TrackerState:
    """All tracked objects, and the id of the next new one."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 1

    def instances(self, size: tuple[int, int]) -> Instances:
        """Return the objects in a frame of this width and height, px, in the order of `tracks`."""
        return Instances(
            size,
            np.array([track.box for track in self.tracks], np.float32).reshape(-1, 4),
            tuple(track.label for track in self.tracks),
            np.array([track.score for track in self.tracks], np.float32),
            tuple(track.mask for track in self.tracks),
        )


def update_tracks(
    state: TrackerState, detections: Instances, min_new_score: float = 0.0
) -> TrackerState:
    """Return the tracked objects after another frame.

    Detections are assigned to tracks of the same class greedily, in the order of descending IoU.
    A track without a detection keeps its mask for `MAX_AGE` frames. A detection without a track
    starts a track at once, because an edit that starts late is easier to see than one that ends
    late.

    Parameters
    ----------
    min_new_score : minimum score of a detection that starts a track

    Examples
    --------
    >>> boxes = np.array([[0, 0, 8, 8]], np.float32)
    >>> cat = Instances((9, 9), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> state = update_tracks(TrackerState(), cat)
    >>> [(track.id, track.age) for track in update_tracks(state, cat.select([])).tracks]
    [(1, 1)]
    """
    pairs = sorted(
        (-iou(track.box, detections.boxes[index]), track_index, index)
        for track_index, track in enumerate(state.tracks)
        for index in range(len(detections))
        if track.label == detections.labels[index]
    )
    # The index of a track -> the index of its detection.
    matches: dict[int, int] = {}
    for negative_iou, track_index, index in pairs:
        is_free = track_index not in matches and index not in matches.values()
        if -negative_iou >= MIN_IOU and is_free:
            matches[track_index] = index
    tracks = []
    for track_index, track in enumerate(state.tracks):
        if track_index in matches:
            tracks.append(_smooth(track, detections, matches[track_index]))
        elif track.age < MAX_AGE:
            tracks.append(replace(track, age=track.age + 1))
    next_id = state.next_id
    for index in range(len(detections)):
        if index not in matches.values() and float(detections.scores[index]) >= min_new_score:
            tracks.append(_new_track(next_id, detections, index))
            next_id += 1
    return TrackerState(tuple(tracks), next_id)


def iou(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom).

    Examples
    --------
    >>> iou(np.array([0, 0, 2, 1]), np.array([1, 0, 3, 1]))
    0.3333333333333333
    """
    intersection_size = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    intersection = float(np.prod(intersection_size.clip(0)))
    areas = sum(float(np.prod((box[2:] - box[:2]).clip(0))) for box in (first, second))
    return intersection / (areas - intersection) if areas > intersection else 0.0


def _smooth(track: Track, detections: Instances, index: int) -> Track:
    """Return a track with a new detection: a weighted mean of both boxes and masks."""
    new = _new_track(track.id, detections, index)
    # 1 for an object that does not move, 0 if the IoU is at most a half.
    stillness = max(0.0, 2 * iou(track.box, new.box) - 1)
    weight = np.float32(SMOOTHING * stillness)
    if track.age or new.mask.shape != track.mask.shape:
        weight = np.float32(0)
    return replace(
        new,
        box=weight * track.box + (1 - weight) * new.box,
        mask=weight * track.mask + (1 - weight) * new.mask,
    )


def _new_track(id: int, detections: Instances, index: int) -> Track:
    return Track(
        id,
        detections.labels[index],
        detections.boxes[index],
        detections.masks[index],
        float(detections.scores[index]),
    )
