"""Edits of regions that need OpenCV, from the extra `retouch`; see `RegionEdit.function`."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import mask_box
from burnish.errors import UsageError, warn
from burnish.regions.patch_match import can_fill, fill_hole
from burnish.types import BoolMask, Mask, Pixels

# Standard deviation, px, above which a Gaussian is computed on a smaller image.
_MAX_SIGMA = 8.0
# Weight of a pixel outside the region. It is not zero, so that no sum of weights is zero.
_OUTSIDE_WEIGHT = 1e-4
# Largest side, px, of the image that is painted smoothly. At the size of a photo, it would take
# minutes.
_MAX_SIDE = 800
# Radius of Telea's method, px of the image that is painted.
_TELEA_RADIUS = 10


def blur(pixels: Pixels, mask: Mask, size: float = 1.0) -> Pixels:
    """Return the image blurred within the region, without colours from outside.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : pixels above 0 contribute colours
    size : standard deviation of the Gaussian, % of the image's longer side

    Examples
    --------
    >>> halves = np.repeat(np.float32([0, 0, 0, 1, 1, 1]), 3).reshape(1, 6, 3)
    >>> mask = np.float32([[0, 0, 0, 1, 1, 1]])
    >>> blur(halves, mask, size=20)[0, 3:, 0].round(2)
    array([1., 1., 1.], dtype=float32)
    """
    sigma = size / 100 * max(pixels.shape[:2])
    weight = np.where(mask > 0, np.float32(1), np.float32(_OUTSIDE_WEIGHT))[..., None]
    sums = gaussian_blur(np.concatenate([pixels * weight, weight], axis=2), sigma)
    return (sums[..., :3] / sums[..., 3:]).clip(0, 1)


def gaussian_blur(pixels: Pixels, sigma: float) -> Pixels:
    """Blur with a Gaussian; values at the border are repeated beyond it.

    A wide Gaussian is computed on a smaller image, where it is a few pixels wide.

    Shape: (H, W, C) -> same, C at most 4

    Parameters
    ----------
    sigma : standard deviation, px
    """
    height, width = pixels.shape[:2]
    factor = max(1, min(math.floor(sigma / _MAX_SIGMA * 2), height, width))
    if factor == 1:
        return _opencv_gaussian(pixels, sigma)
    # Pad to whole blocks, with a further block of border values on each side.
    margins = [(factor, factor - length % factor + factor) for length in (height, width)]
    padded = np.pad(pixels, (*margins, (0, 0)), mode="edge")
    small = padded.shape[1] // factor, padded.shape[0] // factor
    shrunk: Any = cv2.resize(padded, small, interpolation=cv2.INTER_AREA)
    # Variances add up: subtract those of the block mean and of the linear interpolation.
    variance = max(sigma**2 - (factor**2 - 1) / 12 - factor**2 / 6, 0.25)
    shrunk = _opencv_gaussian(shrunk, math.sqrt(variance) / factor)
    large: Any = cv2.resize(shrunk, padded.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(
        large[factor : factor + height, factor : factor + width], np.float32
    )


def _opencv_gaussian(pixels: Pixels, sigma: float) -> Pixels:
    blurred: Any = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def background(
    pixels: Pixels,
    mask: Mask,
    size: float = 1.5,
    colour: NDArray[np.float32] | None = None,
    image: Pixels | None = None,
) -> Pixels:
    """Return a background for the region: the image blurred, a colour, or another image.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : pixels above 0 are left out of the blur, which would otherwise put a halo around objects
    size : of the blur, see `blur`
    colour : (3,), sRGB-encoded, instead of the blur
    image : (h, w, 3), instead of the blur; see `cover_resize`

    Raises
    ------
    UsageError : a colour and an image are given

    Examples
    --------
    >>> halves = np.repeat(np.float32([0, 0, 0, 1, 1, 1]), 3).reshape(1, 6, 3)
    >>> mask = np.float32([[0, 0, 0, 1, 1, 1]])
    >>> background(halves, mask, size=20)[0, :3, 0].round(2)
    array([0., 0., 0.], dtype=float32)
    """
    if colour is not None and image is not None:
        raise UsageError("background", "colour and image exclude each other", "leave one out")
    if colour is not None:
        return np.broadcast_to(colour, pixels.shape)
    if image is not None:
        return cover_resize(image, (pixels.shape[1], pixels.shape[0]))
    return blur(pixels, (mask == 0).astype(np.float32), size)


def cover_resize(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale an image to cover `size` (width, height, px), and crop its centre.

    Examples
    --------
    >>> cover_resize(np.ones((4, 8, 3), np.float32), (3, 2)).shape
    (2, 3, 3)
    """
    width, height = size
    factor = max(width / image.shape[1], height / image.shape[0])
    large = max(width, round(image.shape[1] * factor)), max(height, round(image.shape[0] * factor))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(np.ascontiguousarray(image), large, interpolation=interpolation)
    left, top = (large[0] - width) // 2, (large[1] - height) // 2
    cropped = scaled[top : top + height, left : left + width]
    return np.asarray(cropped, np.float32).clip(0, 1)


def inpaint(pixels: Pixels, mask: Mask, method: str = "texture") -> Pixels:
    """Return the image with the region painted over from its surroundings.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : pixels above 0 are painted over
    method : "texture" copies patches, see `burnish.regions.patch_match`; "smooth" extends the
        surrounding colours inwards, which is faster, and flickers less in videos

    Warns
    -----
    UserWarning : too little is left around the region to copy from, so it is painted smoothly

    Notes
    -----
    "smooth" is the method of Telea 2004, doi:10.1080/10867651.2004.10487596, by OpenCV, in 8 bits.
    A region larger than 800 pixels with its surroundings is painted at a lower resolution and
    scaled up.

    Examples
    --------
    >>> grey, mask = np.full((60, 60, 3), 0.2, np.float32), np.zeros((60, 60), np.float32)
    >>> grey[20:30, 20:30], mask[20:30, 20:30] = 1, 1
    >>> bool(np.abs(inpaint(grey, mask) - 0.2).max() < 1e-6)
    True
    """
    unknown = mask > 0
    if not unknown.any():
        return pixels
    if unknown.all():
        return np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)
    output = pixels.copy()
    window = _surroundings(unknown, 1, 48)
    if method == "texture" and can_fill(unknown[window]):
        output[window] = fill_hole(pixels[window], unknown[window])
        return output
    if method == "texture":
        warn("too little of the photo is left to copy from, so the region is painted smoothly")
    window = _surroundings(unknown, 0.5, 16)
    output[window] = _paint_smoothly(pixels[window], unknown[window])
    return output


def _surroundings(unknown: BoolMask, share: float, least: int) -> tuple[slice, slice]:
    """Return the window of the region; its margin is a share of its size, at least `least` px."""
    left, top, right, bottom = mask_box(unknown)
    margin = max(least, int(share * max(bottom - top, right - left)))
    return (
        slice(max(0, top - margin), bottom + margin),
        slice(max(0, left - margin), right + margin),
    )


def _paint_smoothly(pixels: Pixels, hole: BoolMask) -> Pixels:
    """Return the image with its hole painted by Telea's method."""
    factor = max(1, math.ceil(max(hole.shape) / _MAX_SIDE))
    small = -(-hole.shape[1] // factor), -(-hole.shape[0] // factor)
    codes = _area_resize(np.where(hole[..., None], 0, pixels), small)
    hole_fraction = _area_resize(hole.astype(np.float32), small)
    # A small pixel that lies partly in the hole takes its colour from the rest, by division.
    half_pixel = 1 / factor**2 / 2
    colours = codes / np.maximum(1 - hole_fraction, half_pixel)[..., None]
    codes8 = np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
    hole8 = (hole_fraction > 1 - half_pixel).astype(np.uint8)
    painted: Any = codes8
    if hole8.any() and not hole8.all():
        painted = cv2.inpaint(codes8, hole8, _TELEA_RADIUS, cv2.INPAINT_TELEA)
    painted = cv2.resize(painted, hole.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.where(hole[..., None], painted.astype(np.float32) / 255, pixels)


def _area_resize(values: Pixels, size: tuple[int, int]) -> Pixels:
    resized: Any = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)
