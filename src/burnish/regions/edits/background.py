"""Background: what is outside the region is blurred, or becomes a colour or another picture."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.regions.edits.blur import blurred
from burnish.types import Pixels


def background(
    pixels: Pixels,
    mask: NDArray[np.float32],
    size: float = 1.5,
    colour: NDArray[np.float32] | None = None,
    image: Pixels | None = None,
) -> Pixels:
    """Return a background for what is in the region.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : 1 in the core of the region; colours from there do not enter the blur, which would
        surround objects with a halo
    size : of the blur, see `blurred`
    colour : (3,), sRGB-encoded, in place of the blur
    image : (h, w, 3), in place of the blur; scaled to cover the picture, its middle in the middle

    Raises
    ------
    UsageError : both a colour and an image

    Examples
    --------
    >>> halves = np.repeat(np.float32([0, 0, 0, 1, 1, 1]), 3).reshape(1, 6, 3)
    >>> mask = np.float32([[0, 0, 0, 1, 1, 1]])
    >>> background(halves, mask, size=20)[0, :3, 0].round(2)
    array([0., 0., 0.], dtype=float32)
    """
    if colour is not None and image is not None:
        raise UsageError(
            "background", expected="a colour or an image", got="both", remedy="leave one out"
        )
    if colour is not None:
        return np.broadcast_to(colour, pixels.shape)
    if image is not None:
        return cover_resize(image, (pixels.shape[1], pixels.shape[0]))
    return blurred(pixels, (mask == 0).astype(np.float32), size)


def cover_resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale a picture until it covers `size` (width, height, px), and take its middle.

    Examples
    --------
    >>> cover_resize(np.ones((4, 8, 3), np.float32), (3, 2)).shape
    (2, 3, 3)
    """
    width, height = size
    factor = max(width / image.shape[1], height / image.shape[0])
    large = max(width, round(image.shape[1] * factor)), max(height, round(image.shape[0] * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(np.ascontiguousarray(image), large, interpolation=way)
    left, top = (large[0] - width) // 2, (large[1] - height) // 2
    cut = scaled[top : top + height, left : left + width]
    return np.asarray(cut, np.float32).clip(0, 1)
