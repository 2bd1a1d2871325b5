"""Shrink: a small square version of a whole picture, for networks that take a thumbnail."""

from collections.abc import Callable

import numpy as np

from burnish.types import Pixels

# The side of a network's thumbnail, px.
THUMBNAIL_SIZE = 64
# Rows added up at a time: the same ones wherever a picture lies, so that sums round the same way.
_ROWS = 64


def area_resize(pixels: Pixels, side: int) -> Pixels:
    """Average a picture down (or repeat it up) to a square of `side` pixels, whatever its shape.

    Each pixel is the mean over the area that it covers, shares of pixels included.

    Shape: (H, W, 3) -> (side, side, 3)

    Examples
    --------
    >>> area_resize(np.arange(6, dtype=np.float32).repeat(3).reshape(2, 3, 3), 1)[0, 0]
    array([2.5, 2.5, 2.5], dtype=float32)
    """
    height, width = pixels.shape[:2]
    return area_resize_rows(lambda top, bottom: pixels[top:bottom], height, width, side)


def area_resize_rows(
    read_rows: Callable[[int, int], Pixels], height: int, width: int, side: int
) -> Pixels:
    """Shrink a picture that is read some rows at a time; the result is `area_resize`'s, bit for bit.

    Parameters
    ----------
    read_rows : returns the rows from one to another, the end left out, (rows, W, 3)
    """
    # Rows first, which lie together in memory: all but a few numbers are gone after it.
    resized_rows = np.zeros((side, width, 3), np.float32)
    overlaps = _overlaps(height, side)
    for top in range(0, height, _ROWS):
        rows = overlaps[:, top : top + _ROWS]
        touched = np.flatnonzero(rows.any(axis=1))
        into = slice(touched[0], touched[-1] + 1)
        strip = read_rows(top, top + rows.shape[1]).reshape(rows.shape[1], -1)
        resized_rows[into] += (rows[into] @ strip).reshape(-1, width, 3)
    return _overlaps(width, side) @ resized_rows


def _overlaps(length: int, parts: int) -> Pixels:
    """Return how much each of `length` pixels counts in each part: each row sums to 1."""
    edges = np.arange(parts + 1) * (length / parts)
    starts, ends = edges[:-1, None], edges[1:, None]
    index = np.arange(length)
    overlap = np.minimum(ends, index + 1) - np.maximum(starts, index)
    overlaps: Pixels = (overlap.clip(0) * (parts / length)).astype(np.float32)
    return overlaps
