"""Adjust: exposure and saturation of what is in the region."""

import numpy as np
from numpy.typing import NDArray

from burnish.regions.edits.srgb import LUMINANCE, from_linear, to_linear
from burnish.types import Pixels


def adjusted(
    pixels: Pixels, mask: NDArray[np.float32], exposure: float = 0.0, saturation: float = 1.0
) -> Pixels:
    """Return the picture with another exposure and saturation, both as of light.

    Shape: (H, W, 3) -> (H, W, 3), sRGB-encoded, in [0, 1]

    Parameters
    ----------
    exposure : stops; 1 is twice the light
    saturation : 0 is grey, 1 as it was; luminance stays

    Examples
    --------
    >>> grey = np.full((1, 1, 3), 0.5, np.float32)
    >>> adjusted(grey, np.ones((1, 1), np.float32), exposure=1).round(3)[0, 0, 0]
    np.float32(0.686)
    """
    if exposure == 0 and saturation == 1:
        return pixels
    light = to_linear(pixels) * np.float32(2**exposure)
    if saturation != 1:
        grey = (light @ LUMINANCE)[..., None]
        light = (grey + np.float32(saturation) * (light - grey)).clip(0)
    return from_linear(light).clip(0, 1)
