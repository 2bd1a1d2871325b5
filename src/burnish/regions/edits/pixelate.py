"""Pixelate: blocks of one colour."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels


def pixelated(pixels: Pixels, mask: NDArray[np.float32], size: float = 2.0) -> Pixels:
    """Return the picture in square blocks, each of its mean colour.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    size : the blocks' side, per cent of the picture's longer side; whole pixels, 2 at least

    Examples
    --------
    >>> ramp = np.arange(4, dtype=np.float32).repeat(3).reshape(1, 4, 3)
    >>> pixelated(ramp, np.ones((1, 4), np.float32), size=50)[0, :, 0].tolist()
    [0.5, 0.5, 2.5, 2.5]
    """
    height, width = pixels.shape[:2]
    side = max(2, round(size / 100 * max(height, width)))
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0), columns, axis=1)
    tall, wide = np.diff([*rows, height]), np.diff([*columns, width])
    means = sums / np.outer(tall, wide)[..., None]
    blocks: Pixels = means.astype(np.float32).repeat(tall, axis=0).repeat(wide, axis=1)
    return blocks
