"""Paste a detector's small mask into an image."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Mask


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
    As in published implementations of Mask R-CNN, the mask is padded by one value of zeros, the
    box grows in proportion, and is rounded outwards to whole pixels.
    He, Gkioxari, Dollár, Girshick: Mask R-CNN, ICCV 2017, doi:10.1109/ICCV.2017.322.

    Examples
    --------
    >>> mask, box = np.ones((28, 28), np.float32), np.array([2, 0, 5, 4], np.float32)
    >>> paste_mask(mask, box, (8, 4))[2].round()
    array([0., 1., 1., 1., 1., 1., 0., 0.], dtype=float32)
    """
    width, height = size
    is_full_resolution = _has_value_per_pixel(mask, box)
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
    # The part of the pasted mask that lies in the image.
    row_part = slice(rows.start - top, rows.stop - top)
    column_part = slice(columns.start - left, columns.stop - left)
    if is_full_resolution:
        output[rows, columns] = mask[row_part, column_part]
    else:
        row_weights = _interpolation_matrix(padded.shape[0], bottom - top)[row_part]
        column_weights = _interpolation_matrix(padded.shape[1], right - left)[column_part]
        output[rows, columns] = row_weights @ padded @ column_weights.T
    return output


def _has_value_per_pixel(mask: Mask, box: NDArray[np.floating]) -> bool:
    """Return whether a box is integer and a mask has one value for each of its pixels."""
    box_size = (box[3] - box[1], box[2] - box[0])
    return bool((box == np.trunc(box)).all()) and mask.shape == box_size


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
