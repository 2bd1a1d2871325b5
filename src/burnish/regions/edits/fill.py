"""Fill: one colour."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels


def filled(
    pixels: Pixels, mask: NDArray[np.float32], colour: NDArray[np.float32] | None = None
) -> Pixels:
    """Return a picture of one colour.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    colour : (3,), sRGB-encoded, in [0, 1]; None is black

    Examples
    --------
    >>> filled(np.ones((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    array([[[0., 0., 0.]]], dtype=float32)
    """
    return np.broadcast_to(np.float32(0) if colour is None else colour, pixels.shape)
