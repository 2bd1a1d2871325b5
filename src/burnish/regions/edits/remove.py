"""Remove: what is in the region makes room for what may be behind it."""

import math
from typing import Any

import cv2
import cv2.xphoto
import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels

# The piece of the photo around the region that is worked on has at most this side, px: the methods
# take seconds at it, and minutes or hours at that of a whole photo.
_SIDES = {"smooth": 800, "texture": 256}
# How far around a pixel `smooth` looks for colours, px of the piece.
_RADIUS = 10


def removed(pixels: Pixels, mask: NDArray[np.float32], method: str = "smooth") -> Pixels:
    """Return the picture with the region painted over from its surroundings.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    mask : what is above 0 is taken for unknown
    method : "smooth" carries the colours around inwards, which suits small things and plain
        grounds; "texture" copies pieces from around, so that grass becomes grass, takes some
        fifteen times as long, and at times puts something where it does not belong

    Notes
    -----
    smooth: Telea: An Image Inpainting Technique Based on the Fast Marching Method, J. Graphics
    Tools 2004, doi:10.1080/10867651.2004.10487596. texture: He, Sun: Statistics of Patch Offsets
    for Image Completion, ECCV 2012, doi:10.1007/978-3-642-33709-3_2. Both are OpenCV's, in 8 bits;
    a region with its surroundings of more than 800 pixels a side (texture: 256) is painted in
    smaller and scaled up, and so is less sharp than the photo. Neither knows what things are: a
    large object before a rich scene leaves a blot.

    Examples
    --------
    >>> grey, mask = np.full((20, 20, 3), 0.2, np.float32), np.zeros((20, 20), np.float32)
    >>> grey[8:12, 8:12], mask[8:12, 8:12] = 1, 1
    >>> bool(np.abs(removed(grey, mask, "smooth") - 0.2).max() < 0.02)
    True
    """
    unknown = mask > 0
    if not unknown.any():
        return pixels
    if unknown.all():
        return np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)
    place = _surroundings(unknown)
    piece, hole = pixels[place], unknown[place]
    factor = max(1, math.ceil(max(hole.shape) / _SIDES[method]))
    small = -(-hole.shape[1] // factor), -(-hole.shape[0] // factor)
    codes = _resized(np.where(hole[..., None], 0, piece), small)
    share = _resized(hole.astype(np.float32), small)
    # A shrunk pixel that is partly unknown has lost colour to the hole: what is left is scaled up.
    known = codes / np.maximum(1 - share, 1 / factor**2 / 2)[..., None]
    codes8 = np.rint(known.clip(0, 1) * 255).astype(np.uint8)
    whole8 = (share > 1 - 1 / factor**2 / 2).astype(np.uint8)
    if whole8.any() and not whole8.all():
        codes8 = _texture(codes8, whole8) if method == "texture" else _smooth(codes8, whole8)
    painted: Any = cv2.resize(codes8, hole.shape[::-1], interpolation=cv2.INTER_CUBIC)
    result = pixels.copy()
    result[place] = np.where(hole[..., None], painted.astype(np.float32) / 255, piece)
    return result


def _surroundings(unknown: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the place of the region and as much around it as it is wide."""
    spans = []
    lines = [np.flatnonzero(unknown.any(axis=axis)) for axis in (1, 0)]
    margin = max(16, *(int(line[-1] - line[0]) // 2 for line in lines))
    for line, length in zip(lines, unknown.shape, strict=True):
        spans.append(slice(max(0, line[0] - margin), min(length, line[-1] + 1 + margin)))
    return spans[0], spans[1]


def _resized(values: Pixels, size: tuple[int, int]) -> Pixels:
    result: Any = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(result, np.float32)


def _smooth(codes: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    result: Any = cv2.inpaint(codes, hole, _RADIUS, cv2.INPAINT_TELEA)
    return np.asarray(result, np.uint8)


def _texture(codes: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # The method measures in CIELAB.
    lab: Any = cv2.cvtColor(codes, cv2.COLOR_RGB2Lab)
    result: Any = np.zeros_like(lab)
    cv2.xphoto.inpaint(lab, (1 - hole) * np.uint8(255), result, cv2.xphoto.INPAINT_SHIFTMAP)
    return np.asarray(cv2.cvtColor(result, cv2.COLOR_Lab2RGB), np.uint8)
