"""Track: objects followed from frame to frame of a film, so that masks do not blink or tremble."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances
from burnish.types import Pixels

Box = NDArray[np.float32]


@dataclass(frozen=True)
class Tracking:
    """How objects are followed.

    Parameters
    ----------
    overlap : how much, as intersection over union, two boxes of an object share at least
    patience : for how many frames an object that is not found stays where it was last
    begin : how certain the detector has to be of an object for it to be followed from then on
    steadiness : 0 to below 1: how much of the frame before stays in box and mask of an object that
        does not move; less of one that does, so that masks do not trail behind
    """

    overlap: float = 0.3
    patience: int = 2
    begin: float = 0.0
    steadiness: float = 0.6


@dataclass(frozen=True, eq=False)
class Track:
    """One object: who it is, as last seen, and for how many frames it has not been found."""

    identity: int
    label: str
    box: Box
    mask: Pixels
    score: float
    missed: int = 0


@dataclass(frozen=True)
class Tracks:
    """All objects that are followed, and the number that the next new one gets."""

    tracks: tuple[Track, ...] = ()
    following: int = 1

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


def follow(before: Tracks, found: Instances, how: Tracking = Tracking()) -> Tracks:
    """Return the objects after another frame.

    The found ones are given to those of their class that they overlap most, the best pair first.
    One that is not found keeps its mask for `patience` frames; one that is found for the first
    time is followed at once, as an edit that comes late shows more than one that goes late.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 8, 8]], np.float32)
    >>> cat = Instances((9, 9), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> first = follow(Tracks(), cat)
    >>> [(t.identity, t.missed) for t in follow(first, cat.pick([])).tracks]
    [(1, 1)]
    """
    pairs = sorted(
        (
            (-overlap(track.box, found.boxes[index]), place, index)
            for place, track in enumerate(before.tracks)
            for index in range(len(found))
            if track.label == found.labels[index]
        ),
    )
    given: dict[int, int] = {}
    for negative, place, index in pairs:
        if -negative >= how.overlap and place not in given and index not in given.values():
            given[place] = index
    after = []
    for place, track in enumerate(before.tracks):
        if place in given:
            after.append(_seen(track, found, given[place], how))
        elif track.missed < how.patience:
            after.append(replace(track, missed=track.missed + 1))
    following = before.following
    for index in range(len(found)):
        if index not in given.values() and float(found.scores[index]) >= how.begin:
            after.append(_new(found, index, following))
            following += 1
    return Tracks(tuple(after), following)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom).

    Examples
    --------
    >>> overlap(np.array([0, 0, 2, 1]), np.array([1, 0, 3, 1]))
    0.3333333333333333
    """
    extent = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(extent.clip(0)))
    areas = sum(float(np.prod((box[2:] - box[:2]).clip(0))) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0


def _seen(track: Track, found: Instances, index: int, how: Tracking) -> Track:
    """Return a track that was found again: its box and mask come nearer to what was found."""
    box, mask = found.boxes[index], found.masks[index]
    # All of the steadiness where it stands still, none where half of it is elsewhere.
    still = max(0.0, 2 * overlap(track.box, box) - 1)
    keep = np.float32(how.steadiness * still)
    if track.missed or mask.shape != track.mask.shape:
        keep = np.float32(0)
    return Track(
        track.identity,
        track.label,
        keep * track.box + (1 - keep) * box,
        keep * track.mask + (1 - keep) * mask,
        float(found.scores[index]),
    )


def _new(found: Instances, index: int, identity: int) -> Track:
    return Track(
        identity,
        found.labels[index],
        found.boxes[index],
        found.masks[index],
        float(found.scores[index]),
    )
