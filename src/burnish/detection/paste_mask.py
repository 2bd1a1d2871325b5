"""Paste: a small mask, stretched over its box, in a picture of full size."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Mask


def paste_mask(mask: Mask, box: NDArray[np.floating], size: tuple[int, int]) -> Mask:
    """Stretch a mask over its box, bilinearly, and put it into a picture of zeros.

    A mask as large as its box, where that lies on whole pixels, is put there as it is.

    Shape: (h, w) -> (H, W), both in [0, 1].

    Parameters
    ----------
    box : left, top, right, bottom, px; it may reach over the picture's border
    size : the picture's width and height, px

    Notes
    -----
    As Mask R-CNN's published implementations do it: the mask gets a rim of zeros, one of its own
    pixels wide, the box grows by as much, and is widened to whole pixels.
    He, Gkioxari, Dollár, Girshick: Mask R-CNN, ICCV 2017, doi:10.1109/ICCV.2017.322.

    Examples
    --------
    >>> paste_mask(np.ones((28, 28), np.float32), np.array([2, 0, 5, 4], np.float32), (8, 4))[2].round()
    array([0., 1., 1., 1., 1., 1., 0., 0.], dtype=float32)
    """
    width, height = size
    if _is_full_resolution(mask, box):
        return _copy_mask(mask, box, size)
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
    row_weights = _interpolation_matrix(padded.shape[0], bottom - top)[
        rows.start - top : rows.stop - top
    ]
    column_weights = _interpolation_matrix(padded.shape[1], right - left)[
        columns.start - left : columns.stop - left
    ]
    output[rows, columns] = row_weights @ padded @ column_weights.T
    return output


def _is_full_resolution(mask: Mask, box: NDArray[np.floating]) -> bool:
    """Tell whether a mask has a pixel for every one of its box's."""
    extent = (box[3] - box[1], box[2] - box[0])
    return bool((box == np.trunc(box)).all()) and mask.shape == extent


def _copy_mask(mask: Mask, box: NDArray[np.floating], size: tuple[int, int]) -> Mask:
    left, top, right, bottom = (int(edge) for edge in box)
    output = np.zeros(size[::-1], np.float32)
    rows = slice(max(top, 0), min(bottom, size[1]))
    columns = slice(max(left, 0), min(right, size[0]))
    if rows.start < rows.stop and columns.start < columns.stop:
        output[rows, columns] = mask[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return output


def _interpolation_matrix(source: int, target: int) -> Mask:
    """Return the (target, source) matrix of linear interpolation between pixels' middles."""
    coords = ((np.arange(target) + 0.5) * source / target - 0.5).clip(0, source - 1)
    below = np.minimum(coords.astype(int), source - 1)
    above = np.minimum(below + 1, source - 1)
    fraction = (coords - below).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    np.add.at(matrix, (np.arange(target), below), 1 - fraction)
    np.add.at(matrix, (np.arange(target), above), fraction)
    return matrix
