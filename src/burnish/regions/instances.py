"""Instances: the objects that a detector found in one picture. Any detector can stand in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.regions.paste import paste

Pixels = NDArray[np.float32]


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
        return paste(self.masks[index], self.boxes[index], self.size)

    def pick(self, indices: Sequence[int]) -> "Instances":
        """Return some of the instances, in the order of `indices`."""
        chosen = list(indices)
        return Instances(
            self.size,
            self.boxes[chosen],
            tuple(self.labels[index] for index in chosen),
            self.scores[chosen],
            tuple(self.masks[index] for index in chosen),
        )


class Detector(Protocol):
    """Finds objects; what regions are chosen from."""

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in a picture: (H, W, 3) float32, sRGB-encoded, in [0, 1]."""
