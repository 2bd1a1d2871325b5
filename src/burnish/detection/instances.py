"""Instances: the objects that a detector found in one picture. Any detector can stand in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.detection.paste_mask import paste_mask
from burnish.types import Pixels


@dataclass(frozen=True, eq=False)
class Instances:
    """What was found in a picture, the most certain first.

    Parameters
    ----------
    size : the picture's width and height, px
    boxes : (N, 4) float32: left, top, right, bottom, px, fractions allowed
    labels : N names of classes
    scores : (N,) float32, 0 to 1
    masks : N arrays (h, w) float32, 0 to 1, of any resolution, each stretched over its box

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> found = Instances((4, 3), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> found.mask(0).shape, len(found.pick([]))
    ((3, 4), 0)
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    masks: tuple[Pixels, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def mask(self, index: int) -> Pixels:
        """Return how much each pixel belongs to an instance: (H, W) float32, 0 to 1."""
        return paste_mask(self.masks[index], self.boxes[index], self.size)

    def select(self, indices: Sequence[int]) -> "Instances":
        """Return some of the instances, in the order of `indices`."""
        selected = list(indices)
        return Instances(
            self.size,
            self.boxes[selected],
            tuple(self.labels[index] for index in selected),
            self.scores[selected],
            tuple(self.masks[index] for index in selected),
        )


def mask_crop(instances: Instances, index: int, margin: int = 0) -> tuple[Pixels, int, int]:
    """Return an object's mask where its box is, and `margin` pixels around, within the picture.

    Returns
    -------
    mask : (h, w) float32, 0 to 1; empty where the box lies outside the picture
    left, top : where it belongs in the picture, px

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> one = Instances((9, 9), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> mask_crop(one, 0)[0].shape, mask_crop(one, 0)[1:]
    ((4, 5), (0, 0))
    """
    # Two pixels more: a mask that is stretched reaches a little over its box.
    left, top = (max(0, math.floor(edge) - margin - 2) for edge in instances.boxes[index][:2])
    right, bottom = (
        min(end, math.ceil(edge) + margin + 2)
        for edge, end in zip(instances.boxes[index][2:], instances.size, strict=True)
    )
    size = max(0, right - left), max(0, bottom - top)
    box_in_crop = instances.boxes[index].astype(np.float64) - (left, top, left, top)
    return paste_mask(instances.masks[index], box_in_crop, size), left, top


class Detector(Protocol):
    """Finds objects; what regions are chosen from."""

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in a picture: (H, W, 3) float32, sRGB-encoded, in [0, 1]."""
