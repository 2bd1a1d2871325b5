"""Track: objects followed from frame to frame of a film, so that masks do not blink or tremble."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.types import Pixels

Box = NDArray[np.float32]


@dataclass(frozen=True)
class TrackerConfig:
    """How objects are followed.

    Parameters
    ----------
    min_iou : how much, as intersection over union, two boxes of an object share at least
    max_age : for how many frames an object that is not found stays where it was last
    new_track_score : how certain the detector has to be of an object for it to be followed from then on
    smoothing : 0 to below 1: how much of the frame before stays in box and mask of an object that
        does not move; less of one that does, so that masks do not trail behind
    """

    min_iou: float = 0.3
    max_age: int = 2
    new_track_score: float = 0.0
    smoothing: float = 0.6


@dataclass(frozen=True, eq=False)
class Track:
    """One object: who it is, as last seen, and for how many frames it has not been found."""

    id: int
    label: str
    box: Box
    mask: Pixels
    score: float
    age: int = 0


@dataclass(frozen=True)
class TrackerState:
    """All objects that are followed, and the number that the next new one gets."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 1

    def instances(self, size: tuple[int, int]) -> Instances:
        """Return the objects as of this frame, in the order of `tracks`.

        Parameters
        ----------
        size : the frame's width and height, px
        """
        return Instances(
            size,
            np.array([track.box for track in self.tracks], np.float32).reshape(-1, 4),
            tuple(track.label for track in self.tracks),
            np.array([track.score for track in self.tracks], np.float32),
            tuple(track.mask for track in self.tracks),
        )


def update_tracks(
    state: TrackerState, detections: Instances, config: TrackerConfig = TrackerConfig()
) -> TrackerState:
    """Return the objects after another frame.

    The found ones are given to those of their class that they overlap most, the best pair first.
    One that is not found keeps its mask for `patience` frames; one that is found for the first
    time is followed at once, as an edit that comes late shows more than one that goes late.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 8, 8]], np.float32)
    >>> cat = Instances((9, 9), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> first = update_tracks(TrackerState(), cat)
    >>> [(t.identity, t.missed) for t in update_tracks(first, cat.pick([])).tracks]
    [(1, 1)]
    """
    pairs = sorted(
        (
            (-iou(track.box, detections.boxes[index]), place, index)
            for place, track in enumerate(state.tracks)
            for index in range(len(detections))
            if track.label == detections.labels[index]
        ),
    )
    matches: dict[int, int] = {}
    for negative, place, index in pairs:
        if -negative >= config.min_iou and place not in matches and index not in matches.values():
            matches[place] = index
    updated = []
    for place, track in enumerate(state.tracks):
        if place in matches:
            updated.append(_smoothed(track, detections, matches[place], config))
        elif track.age < config.max_age:
            updated.append(replace(track, age=track.age + 1))
    next_id = state.next_id
    for index in range(len(detections)):
        if (
            index not in matches.values()
            and float(detections.scores[index]) >= config.new_track_score
        ):
            updated.append(_new_track(detections, index, next_id))
            next_id += 1
    return TrackerState(tuple(updated), next_id)


def iou(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom).

    Examples
    --------
    >>> iou(np.array([0, 0, 2, 1]), np.array([1, 0, 3, 1]))
    0.3333333333333333
    """
    intersection_size = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    intersection = float(np.prod(intersection_size.clip(0)))
    areas = sum(float(np.prod((box[2:] - box[:2]).clip(0))) for box in (one, other))
    return intersection / (areas - intersection) if areas > intersection else 0.0


def _smoothed(track: Track, detections: Instances, index: int, config: TrackerConfig) -> Track:
    """Return a track that was found again: its box and mask come nearer to what was found."""
    box, mask = detections.boxes[index], detections.masks[index]
    # All of the steadiness where it stands still, none where half of it is elsewhere.
    stillness = max(0.0, 2 * iou(track.box, box) - 1)
    weight = np.float32(config.smoothing * stillness)
    if track.age or mask.shape != track.mask.shape:
        weight = np.float32(0)
    return Track(
        track.id,
        track.label,
        weight * track.box + (1 - weight) * box,
        weight * track.mask + (1 - weight) * mask,
        float(detections.scores[index]),
    )


def _new_track(detections: Instances, index: int, track_id: int) -> Track:
    return Track(
        track_id,
        detections.labels[index],
        detections.boxes[index],
        detections.masks[index],
        float(detections.scores[index]),
    )
