"""Distance: how deep inside a mask a pixel lies, and masks grown and shrunk by it."""

import math

import numpy as np
from numpy.typing import NDArray

from burnish.types import BoolMask

# What is worked on at a time fits the processor's cache.
_TILE = 256


def distance_transform(mask: BoolMask, limit: float) -> NDArray[np.float32]:
    """Return how far each pixel of a mask is from the nearest that is not in it, 0 outside.

    Euclidean, between the pixels' middles, and exact up to `limit`, beyond which it is no more
    than said to be beyond: some number larger. Beyond the picture's border there is nothing, so an
    object that runs out of the picture has no edge there.

    Shape: (H, W) -> (H, W), px

    Examples
    --------
    >>> distance_transform(np.array([[0, 1, 1, 1]], bool), 2).tolist()
    [[0.0, 1.0, 2.0, 3.0]]
    """
    reach = math.ceil(limit)
    side = max(_TILE, 2 * reach)
    deep = np.empty(mask.shape, np.float32)
    for top in range(0, mask.shape[0], side):
        for left in range(0, mask.shape[1], side):
            start = max(0, top - reach), max(0, left - reach)
            around = mask[start[0] : top + side + reach, start[1] : left + side + reach]
            inner = (slice(top - start[0], None), slice(left - start[1], None))
            tile = deep[top : top + side, left : left + side]
            # Most of a picture is far from any edge.
            if around.all():
                tile[:] = reach + 1
            elif around[inner][: tile.shape[0], : tile.shape[1]].any():
                tile[:] = _depth(around, reach)[inner][: tile.shape[0], : tile.shape[1]]
            else:
                tile[:] = 0
    return deep


def _depth(mask: BoolMask, reach: int) -> NDArray[np.float32]:
    along = _along_rows(mask, reach + 1)
    squares = along * along
    nearest = squares.copy()
    for step in range(1, min(reach, len(mask) - 1) + 1):
        np.minimum(nearest[step:], squares[:-step] + step * step, out=nearest[step:])
        np.minimum(nearest[:-step], squares[step:] + step * step, out=nearest[:-step])
    deep: NDArray[np.float32] = np.sqrt(nearest, dtype=np.float32)
    return deep


def _along_rows(mask: BoolMask, most: int) -> NDArray[np.int32]:
    """Return the distance to the nearest pixel of the same row that is outside, at most `most`."""
    width = mask.shape[1]
    place = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(mask, np.int32(-most), place), axis=1)
    after = np.where(mask, np.int32(width - 1 + most), place)
    after = np.minimum.accumulate(after[:, ::-1], axis=1)[:, ::-1]
    nearest: NDArray[np.int32] = np.minimum(place - before, after - place)
    return np.minimum(nearest, most)


def dilate(mask: BoolMask, radius: float) -> BoolMask:
    """Add all pixels no farther than `radius`, px, from the mask.

    Examples
    --------
    >>> dilate(np.array([[0, 0, 1, 0, 0]], bool), 1).astype(int).tolist()
    [[0, 1, 1, 1, 0]]
    """
    return mask if radius <= 0 else distance_transform(~mask, radius) <= radius


def erode(mask: BoolMask, radius: float) -> BoolMask:
    """Take away all pixels no farther than `radius`, px, from one outside the mask.

    Examples
    --------
    >>> erode(np.array([[0, 1, 1, 1, 0]], bool), 1).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    return mask if radius <= 0 else distance_transform(mask, radius) > radius


def feather(mask: BoolMask, width: float) -> NDArray[np.float32]:
    """Let a mask come in over `width` pixels, all of them inside it.

    Returns
    -------
    ndarray of shape (H, W), float32: 0 outside, rising with the distance from there, and 1 from
    `width` + 1 pixels away on

    Examples
    --------
    >>> feather(np.array([[0, 1, 1, 1, 1]], bool), 3).tolist()
    [[0.0, 0.25, 0.5, 0.75, 1.0]]
    """
    if width <= 0:
        return mask.astype(np.float32)
    ramp: NDArray[np.float32] = np.minimum(
        distance_transform(mask, width + 1) / np.float32(width + 1), 1
    )
    return ramp
