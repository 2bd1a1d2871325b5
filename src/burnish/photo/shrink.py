"""Shrink: a small square version of a whole picture, for networks that take a thumbnail."""

import numpy as np
from numpy.typing import NDArray

# The side of a network's thumbnail, px.
THUMBNAIL = 64


def shrink(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Average a picture down (or repeat it up) to a square of `side` pixels, whatever its shape.

    Each pixel is the mean over the area that it covers, shares of pixels included.

    Shape: (H, W, 3) -> (side, side, 3)

    Examples
    --------
    >>> shrink(np.arange(6, dtype=np.float32).repeat(3).reshape(2, 3, 3), 1)[0, 0]
    array([2.5, 2.5, 2.5], dtype=float32)
    """
    height, width = pixels.shape[:2]
    # Rows first, which lie together in memory: all but a few numbers are gone after it.
    few_rows = (_shares(height, side) @ pixels.reshape(height, -1)).reshape(side, width, 3)
    result: NDArray[np.float32] = np.einsum("jw,iwc->ijc", _shares(width, side), few_rows)
    return result


def _shares(length: int, parts: int) -> NDArray[np.float32]:
    """Return how much each of `length` pixels counts in each part: each row sums to 1."""
    edges = np.arange(parts + 1) * (length / parts)
    starts, ends = edges[:-1, None], edges[1:, None]
    place = np.arange(length)
    overlap = np.minimum(ends, place + 1) - np.maximum(starts, place)
    shares: NDArray[np.float32] = (overlap.clip(0) * (parts / length)).astype(np.float32)
    return shares
