"""The objects that a detector finds in an image, and their masks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.types import BoolMask, Mask

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


def paste_mask(mask: Mask, box: NDArray[np.floating], size: tuple[int, int]) -> Mask:
    """Stretch a mask over its box by bilinear interpolation, in an image of zeros.

    A mask that has one value for each pixel of an integer box is copied.

    Shape: (h, w) -> (H, W), both in [0, 1].

    Parameters
    ----------
    box : left, top, right, bottom, px; it may extend beyond the image
    size : the image's width and height, px

    Notes
    -----
    As in published implementations of Mask R-CNN (doi:10.1109/ICCV.2017.322), the mask is padded
    by one value of zeros, the box grows in proportion, and is rounded outwards to whole pixels.

    Examples
    --------
    >>> mask, box = np.ones((28, 28), np.float32), np.array([2, 0, 5, 4], np.float32)
    >>> paste_mask(mask, box, (8, 4))[2].round()
    array([0., 1., 1., 1., 1., 1., 0., 0.], dtype=float32)
    """
    width, height = size
    is_integer = bool((box == np.trunc(box)).all())
    is_full_resolution = is_integer and mask.shape == (box[3] - box[1], box[2] - box[0])
    if is_full_resolution:
        left, top, right, bottom = box.astype(int)
    else:
        padded = np.pad(mask, 1)
        centre = (box[:2] + box[2:]) / 2
        half_size = (box[2:] - box[:2]) / 2 * (np.array(padded.shape[::-1]) / mask.shape[::-1])
        left, top = np.trunc(centre - half_size).astype(int)
        right, bottom = np.trunc(centre + half_size).astype(int) + 1
    output = np.zeros((height, width), np.float32)
    rows = slice(max(top, 0), min(bottom, height))
    columns = slice(max(left, 0), min(right, width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return output
    # The rows and columns of the pasted mask that lie in the image.
    visible_rows = slice(rows.start - top, rows.stop - top)
    visible_columns = slice(columns.start - left, columns.stop - left)
    if is_full_resolution:
        output[rows, columns] = mask[visible_rows, visible_columns]
    else:
        row_weights = _interpolation_matrix(padded.shape[0], bottom - top)[visible_rows]
        column_weights = _interpolation_matrix(padded.shape[1], right - left)[visible_columns]
        output[rows, columns] = row_weights @ padded @ column_weights.T
    return output


def _interpolation_matrix(source: int, target: int) -> Mask:
    """Return the (target, source) matrix that interpolates linearly between pixel centres."""
    coords = ((np.arange(target) + 0.5) * source / target - 0.5).clip(0, source - 1)
    below = np.minimum(coords.astype(int), source - 1)
    above = np.minimum(below + 1, source - 1)
    fraction = (coords - below).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    np.add.at(matrix, (np.arange(target), below), 1 - fraction)
    np.add.at(matrix, (np.arange(target), above), fraction)
    return matrix
