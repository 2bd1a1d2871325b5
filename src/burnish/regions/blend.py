"""Blend: the photo and the edited photo, each where the mask says."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels

# Rows at a time, to spare further whole pictures.
_ROWS = 64


def blend(before: Pixels, after: Pixels, mask: NDArray[np.float32]) -> Pixels:
    """Return before + mask * (after - before), in the pictures' own encoding.

    Exactly `before` where the mask is 0 and exactly `after` where it is 1, whatever is rounded
    between.

    Shape: (H, W, 3), (H, W, 3) and (H, W) -> (H, W, 3)

    Examples
    --------
    >>> before, after = np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), np.float32)
    >>> blend(before, after, np.array([[0, 0.25, 1]], np.float32))[..., 0]
    array([[0.  , 0.25, 1.  ]], dtype=float32)
    """
    blended = np.empty_like(before)
    for start in range(0, len(before), _ROWS):
        rows = slice(start, start + _ROWS)
        weight = mask[rows, :, None]
        mixed = before[rows] + weight * (after[rows] - before[rows])
        blended[rows] = np.where(weight == 1, after[rows], mixed)
    return blended
