"""Blur: a Gaussian that takes only colours of the region itself."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels

# Wider Gaussians than this are taken of a smaller picture, which nobody sees. px
_WIDEST = 8.0
# How much a pixel outside counts, so that there is a colour where all that is near is outside.
_OUTSIDE = 1e-4


def blurred(pixels: Pixels, mask: NDArray[np.float32], size: float = 1.0) -> Pixels:
    """Return the picture blurred within the region: colours around it do not enter.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : where it is above 0, colours enter
    size : standard deviation of the Gaussian, per cent of the picture's longer side

    Examples
    --------
    >>> halves = np.repeat(np.float32([0, 0, 0, 1, 1, 1]), 3).reshape(1, 6, 3)
    >>> mask = np.float32([[0, 0, 0, 1, 1, 1]])
    >>> blurred(halves, mask, size=20)[0, 3:, 0].round(2)
    array([1., 1., 1.], dtype=float32)
    """
    sigma = size / 100 * max(pixels.shape[:2])
    weight = np.where(mask > 0, np.float32(1), np.float32(_OUTSIDE))[..., None]
    together = gaussian(np.concatenate([pixels * weight, weight], axis=2), sigma)
    return (together[..., :3] / together[..., 3:]).clip(0, 1)


def gaussian(pixels: Pixels, sigma: float) -> Pixels:
    """Blur with a Gaussian; the picture goes on beyond its border as it ends.

    A wide one is taken of a picture shrunk to where it is a few pixels wide.

    Shape: (H, W, C) -> same, C at most 4

    Parameters
    ----------
    sigma : standard deviation, px
    """
    height, width = pixels.shape[:2]
    factor = max(1, min(math.floor(sigma / _WIDEST * 2), height, width))
    if factor == 1:
        return _gaussian(pixels, sigma)
    # A block of the border itself all around, and whole blocks within.
    around = [(factor, factor - length % factor + factor) for length in (height, width)]
    padded = np.pad(pixels, (*around, (0, 0)), mode="edge")
    small = padded.shape[1] // factor, padded.shape[0] // factor
    shrunk: Any = cv2.resize(padded, small, interpolation=cv2.INTER_AREA)
    # The mean over a block and the way back blur already, by these variances.
    left = max(sigma**2 - (factor**2 - 1) / 12 - factor**2 / 6, 0.25)
    shrunk = _gaussian(shrunk, math.sqrt(left) / factor)
    whole: Any = cv2.resize(shrunk, padded.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(
        whole[factor : factor + height, factor : factor + width], np.float32
    )


def _gaussian(pixels: Pixels, sigma: float) -> Pixels:
    result: Any = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(result, np.float32)
