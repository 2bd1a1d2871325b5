"""The objects that a detector finds in an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.detection.paste_mask import paste_mask
from burnish.types import BoolMask, Mask, Pixels

# A pixel belongs to an object if its mask is at least this.
MASK_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Instances:
    """The objects in an image, sorted by descending score.

    Parameters
    ----------
    size : the image's width and height, px
    boxes : (N, 4) float32: left, top, right, bottom, px, fractions allowed
    labels : N class names
    scores : (N,) float32, 0 to 1
    masks : N arrays (h, w) float32, 0 to 1, of any resolution, each stretched over its box

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> cats = Instances((4, 3), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> cats.mask(0).shape, len(cats.select([]))
    ((3, 4), 0)
    """

    size: tuple[int, int]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
    scores: NDArray[np.float32]
    masks: tuple[Mask, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def mask(self, index: int) -> Mask:
        """Return an object's mask at full resolution: (H, W) float32, 0 to 1."""
        return paste_mask(self.masks[index], self.boxes[index], self.size)

    def select(self, indices: Sequence[int]) -> "Instances":
        """Return some of the objects, in the order of `indices`."""
        selected = list(indices)
        return Instances(
            self.size,
            self.boxes[selected],
            tuple(self.labels[index] for index in selected),
            self.scores[selected],
            tuple(self.masks[index] for index in selected),
        )


def mask_crop(instances: Instances, index: int, margin: int = 0) -> tuple[Mask, int, int]:
    """Return the part of an object's mask in and around its box.

    Parameters
    ----------
    margin : width of the surroundings, px; they end at the image's border

    Returns
    -------
    mask : (h, w) float32, 0 to 1; empty if the box lies outside the image
    left, top : position of the part in the image, px

    Examples
    --------
    >>> boxes = np.array([[1, 0, 3, 2]], np.float32)
    >>> cats = Instances((9, 9), boxes, ("cat",), np.ones(1, np.float32), (np.ones((2, 2)),))
    >>> mask_crop(cats, 0)[0].shape, mask_crop(cats, 0)[1:]
    ((4, 5), (0, 0))
    """
    # A stretched mask reaches up to two pixels over its box.
    left, top = (max(0, math.floor(edge) - margin - 2) for edge in instances.boxes[index][:2])
    right, bottom = (
        min(end, math.ceil(edge) + margin + 2)
        for edge, end in zip(instances.boxes[index][2:], instances.size, strict=True)
    )
    size = max(0, right - left), max(0, bottom - top)
    box_in_crop = instances.boxes[index].astype(np.float64) - (left, top, left, top)
    return paste_mask(instances.masks[index], box_in_crop, size), left, top


def mask_box(mask: BoolMask) -> tuple[int, int, int, int]:
    """Return the tight box of a binary mask: left, top, right, bottom, px; zeros if it is empty.

    Examples
    --------
    >>> mask_box(np.array([[0, 0, 0], [0, 1, 1]], bool))
    (1, 1, 3, 2)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class Detector(Protocol):
    """The interface of a detector."""

    def predict(self, pixels: Pixels) -> Instances:
        """Find objects in an image: (H, W, 3) float32, sRGB-encoded, in [0, 1]."""
