"""Colour splash: what is outside the region loses its colours."""

import numpy as np
from numpy.typing import NDArray

from burnish.regions.edits.srgb import LUMINANCE, from_linear, to_linear
from burnish.types import Pixels


def greyed(pixels: Pixels, mask: NDArray[np.float32]) -> Pixels:
    """Return the picture in grey of the same luminance.

    Shape: (H, W, 3) -> (H, W, 3), sRGB-encoded, in [0, 1]

    Notes
    -----
    Luminance is weighed in linear light: pure blue becomes 0.30, and not the 0.07 that weighing
    encoded values would make of it.

    Examples
    --------
    >>> blue = np.array([[[0, 0, 1]]], np.float32)
    >>> greyed(blue, np.zeros((1, 1), np.float32)).round(2)
    array([[[0.3, 0.3, 0.3]]], dtype=float32)
    """
    grey = from_linear(to_linear(pixels) @ LUMINANCE)
    return np.repeat(grey[..., None], 3, axis=2)
