"""Distances inside a binary mask, and masks dilated, eroded and feathered by them.

OpenCV's exact distance transform gives the same values, but OpenCV is optional, and every soft edge
needs this one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from burnish.types import BoolMask, Mask

# Side of the tiles, px. A tile fits into the processor's cache, and most of them hold no edge.
_TILE = 256


def distance_transform(mask: BoolMask, limit: float) -> Mask:
    """Return the distance of each pixel in a mask from the nearest pixel outside it; 0 outside.

    The distance is Euclidean, between centres of pixels, and exact up to `limit`. Farther pixels
    get any number above `limit`. The image's border is no edge, so an object that reaches it is not
    softened there.

    Shape: (H, W) -> (H, W), px

    Examples
    --------
    >>> distance_transform(np.array([[0, 1, 1, 1]], bool), 2).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    reach = math.ceil(limit)
    side = max(_TILE, 2 * reach)
    distances = np.empty(mask.shape, np.float32)
    for top in range(0, mask.shape[0], side):
        for left in range(0, mask.shape[1], side):
            y, x = max(0, top - reach), max(0, left - reach)
            padded = mask[y : top + side + reach, x : left + side + reach]
            tile = distances[top : top + side, left : left + side]
            core = (
                slice(top - y, top - y + tile.shape[0]),
                slice(left - x, left - x + tile.shape[1]),
            )
            if padded.all():
                tile[:] = reach + 1
            elif padded[core].any():
                tile[:] = _tile_distances(padded, reach)[core]
            else:
                tile[:] = 0
    return distances


def _tile_distances(mask: BoolMask, reach: int) -> Mask:
    """Minimise the distance along columns over the squared distances along rows."""
    squares = _row_distances(mask, reach + 1) ** 2
    nearest = squares.copy()
    for step in range(1, min(reach, len(mask) - 1) + 1):
        np.minimum(nearest[step:], squares[:-step] + step * step, out=nearest[step:])
        np.minimum(nearest[:-step], squares[step:] + step * step, out=nearest[:-step])
    distances: Mask = np.sqrt(nearest, dtype=np.float32)
    return distances


def _row_distances(mask: BoolMask, limit: int) -> NDArray[np.int32]:
    """Return the distance to the nearest pixel of the same row outside the mask, up to `limit`."""
    width = mask.shape[1]
    x = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(mask, np.int32(-limit), x), axis=1)
    after = np.where(mask, np.int32(width - 1 + limit), x)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    nearest: NDArray[np.int32] = np.minimum(x - before, after - x)
    return np.minimum(nearest, limit)


def dilate(mask: BoolMask, radius: float) -> BoolMask:
    """Add all pixels no farther than `radius`, px, from the mask.

    Examples
    --------
    >>> dilate(np.array([[0, 0, 1, 0, 0]], bool), 1).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    return mask if radius <= 0 else distance_transform(~mask, radius) <= radius


def erode(mask: BoolMask, radius: float) -> BoolMask:
    """Remove all pixels no farther than `radius`, px, from a pixel outside the mask.

    Examples
    --------
    >>> erode(np.array([[0, 1, 1, 1, 0]], bool), 1).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    return mask if radius <= 0 else distance_transform(mask, radius) > radius


def feather(mask: BoolMask, width: float) -> Mask:
    """Add a soft edge of `width` pixels inside a mask.

    Returns
    -------
    ndarray of shape (H, W), float32: 0 outside, rising with the distance from outside, and 1 from
    `width` + 1 pixels on

    Examples
    --------
    >>> feather(np.array([[0, 1, 1, 1, 1]], bool), 3).tolist()
    [[0.0, 0.25, 0.5, 0.75, 1.0]]
    """
    if width <= 0:
        return mask.astype(np.float32)
    ramp: Mask = np.minimum(distance_transform(mask, width + 1) / np.float32(width + 1), 1)
    return ramp
