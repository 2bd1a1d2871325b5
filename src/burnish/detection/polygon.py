"""Polygons, as people mark objects with, to masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fill_polygon(rings: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill polygons: a pixel belongs to them where its middle lies inside one.

    Parameters
    ----------
    rings : each (N, 2), x and y of the corners, px, from the picture's left upper corner; a ring
        that crosses itself is filled where it winds an odd number of times
    size : the picture's width and height, px

    Returns
    -------
    ndarray of shape (H, W), bool

    Raises
    ------
    ValueError : a corner that is not finite

    Examples
    --------
    >>> square = np.array([[1, 1], [3, 1], [3, 3], [1, 3]], float)
    >>> fill_polygon([square], (4, 4)).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    whole = np.zeros(size[::-1], bool)
    for ring in rings:
        if not np.isfinite(ring).all():
            raise ValueError("a corner that is not finite")
        if len(ring) > 2:
            whole |= _filled(ring, size)
    return whole


def _filled(ring: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    width, height = size
    # Where an edge crosses a row's middle, inside and outside change from there on.
    changes = np.zeros((height, width + 1), np.int32)
    for (x, y), (next_x, next_y) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        first, last = np.ceil(np.clip([min(y, next_y), max(y, next_y)], 0, height) - 0.5)
        rows = np.arange(int(first), int(last))
        if rows.size:
            crossing = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            columns = np.ceil(np.clip(crossing, 0, width) - 0.5).astype(int)
            np.add.at(changes, (rows, columns), 1)
    odd: NDArray[np.bool_] = np.cumsum(changes[:, :width], axis=1) % 2 == 1
    return odd
