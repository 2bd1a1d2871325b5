"""Edits of regions that need NumPy alone; see `RegionEdit.function` in the registry."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Mask, Pixels

# Luminance of sRGB's primaries in linear light: IEC 61966-2-1.
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def to_linear(pixels: Pixels) -> Pixels:
    """Return sRGB-encoded values as linear light; both in [0, 1].

    Examples
    --------
    >>> to_linear(np.array([0, 0.5, 1], np.float32)).round(3)
    array([0.   , 0.214, 1.   ], dtype=float32)
    """
    power = ((pixels + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(pixels <= np.float32(0.04045), pixels / np.float32(12.92), power)


def from_linear(light: Pixels) -> Pixels:
    """Return linear light, 0 or more, as sRGB-encoded values; those above 1 stay above 1.

    Examples
    --------
    >>> from_linear(np.array([0, 0.214, 1], np.float32)).round(3)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    root = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), root)


def greyscale(pixels: Pixels, mask: Mask) -> Pixels:
    """Return the image in grey of the same luminance.

    Shape: (H, W, 3) -> (H, W, 3), sRGB-encoded, in [0, 1]

    Examples
    --------
    Luminance is computed in linear light; a weighted sum of encoded values would give 0.07.

    >>> blue = np.array([[[0, 0, 1]]], np.float32)
    >>> greyscale(blue, np.zeros((1, 1), np.float32)).round(2)
    array([[[0.3, 0.3, 0.3]]], dtype=float32)
    """
    grey = from_linear(to_linear(pixels) @ _LUMINANCE)
    return np.repeat(grey[..., None], 3, axis=2)


def adjust(pixels: Pixels, mask: Mask, exposure: float = 0.0, saturation: float = 1.0) -> Pixels:
    """Return the image with another exposure and saturation, both in linear light.

    Shape: (H, W, 3) -> (H, W, 3), sRGB-encoded, in [0, 1]

    Parameters
    ----------
    exposure : stops; 1 doubles the light
    saturation : 0 gives grey, 1 changes nothing; luminance is kept

    Examples
    --------
    >>> grey = np.full((1, 1, 3), 0.5, np.float32)
    >>> adjust(grey, np.ones((1, 1), np.float32), exposure=1).round(3)[0, 0, 0]
    np.float32(0.686)
    """
    if exposure == 0 and saturation == 1:
        return pixels
    light = to_linear(pixels) * np.float32(2**exposure)
    if saturation != 1:
        grey = (light @ _LUMINANCE)[..., None]
        light = (grey + np.float32(saturation) * (light - grey)).clip(0)
    return from_linear(light).clip(0, 1)


def fill(pixels: Pixels, mask: Mask, colour: NDArray[np.float32] | None = None) -> Pixels:
    """Return an image of one colour.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    colour : (3,), sRGB-encoded, in [0, 1] [default: black]

    Examples
    --------
    >>> fill(np.ones((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    array([[[0., 0., 0.]]], dtype=float32)
    """
    return np.broadcast_to(np.float32(0) if colour is None else colour, pixels.shape)


def pixelate(pixels: Pixels, mask: Mask, size: float = 2.0) -> Pixels:
    """Return the image as square blocks, each of its mean colour.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    size : side of a block, % of the image's longer side; rounded to whole pixels, at least 2

    Examples
    --------
    >>> ramp = np.arange(4, dtype=np.float32).repeat(3).reshape(1, 4, 3)
    >>> pixelate(ramp, np.ones((1, 4), np.float32), size=50)[0, :, 0].tolist()
    [0.5, 0.5, 2.5, 2.5]
    """
    height, width = pixels.shape[:2]
    side = max(2, round(size / 100 * max(height, width)))
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0), columns, axis=1)
    heights, widths = np.diff([*rows, height]), np.diff([*columns, width])
    means = sums / np.outer(heights, widths)[..., None]
    blocks: Pixels = means.astype(np.float32).repeat(heights, axis=0).repeat(widths, axis=1)
    return blocks


def anonymise(
    pixels: Pixels,
    mask: Mask,
    method: str = "fill",
    colour: NDArray[np.float32] | None = None,
    size: float = 3.0,
) -> Pixels:
    """Return an image that covers the region.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    method : "fill" leaves nothing of the photo; faces and digits can be recognised behind "blur"
        and "pixelate" (McPherson, Shokri, Shmatikov 2016, arXiv:1609.00408)
    colour : colour of the filling [default: black]
    size : of the blur or the blocks, % of the image's longer side

    Examples
    --------
    >>> anonymise(np.ones((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    array([[[0., 0., 0.]]], dtype=float32)
    """
    if method == "blur":
        from burnish.regions.retouch import blur

        return blur(pixels, mask, size)
    if method == "pixelate":
        return pixelate(pixels, mask, size)
    return fill(pixels, mask, colour)
