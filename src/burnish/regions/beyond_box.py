"""Extend masks beyond the boxes of a detector, which cut off heads and feet in a straight line."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.regions.masks import REACH
from burnish.types import BoolMask, Mask, Pixels

# A side cuts the object if at least this number of the values along it belongs to the object.
_MIN_CUT = 5
# Part of the box, from the side inwards, from which the colours are taken.
_SAMPLE = 0.5
# Largest side, px, of the image that is segmented. The edges are fitted to the photo later.
_MAX_SIDE = 256
# A region of fewer pixels gives no colours to compare with.
_MIN_PIXELS = 50
_ITERATIONS = 2
# Smallest side of a box and smallest width of a strip beyond it, px of the segmented image.
_MIN_BOX_SIDE, _MIN_STRIP = 16, 3


def cut_sides(mask: Mask) -> tuple[bool, bool, bool, bool]:
    """Return whether a detector's mask is cut off at the top, the left, the bottom and the right.

    Examples
    --------
    >>> mask = np.zeros((28, 28), np.float32)
    >>> mask[:20, 8:20] = 1
    >>> cut_sides(mask)
    (True, False, False, False)
    """
    top, left, bottom, right = (
        int(np.count_nonzero(side >= 0.5)) >= _MIN_CUT
        for side in (mask[0], mask[:, 0], mask[-1], mask[:, -1])
    )
    return top, left, bottom, right


def extend_mask(
    mask: Mask, pixels: Pixels, box: NDArray[np.floating], sides: tuple[bool, bool, bool, bool]
) -> Mask:
    """Return a mask that also covers what continues the object beyond the cut sides of its box.

    In a strip beyond a side, GrabCut (Rother, Kolmogorov, Blake 2004, doi:10.1145/1015706.1015720)
    decides by colours: those of the object and of its surroundings in the nearer half of the box.
    Only pixels that are connected with the object are added.

    Shape: mask (H, W) in [0, 1] with pixels (H, W, 3) -> (H, W) in [0, 1]

    Parameters
    ----------
    box : left, top, right, bottom in the mask, px
    sides : see `cut_sides`
    """
    scale = min(1.0, _MAX_SIDE / max(mask.shape))
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    small: Any = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    codes = np.rint(small * 255).astype(np.uint8)
    inside: BoolMask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA)) >= 0.5
    left, top, right, bottom = np.rint(box * scale).astype(int).clip(0, [*size, *size])
    in_box = np.zeros_like(inside)
    in_box[top:bottom, left:right] = True
    extension = np.zeros_like(inside)
    for turns, is_cut in enumerate(sides):
        if is_cut:
            # Turned so that the cut side is the upper one: np.rot90 turns to the left.
            turned: Any = [np.rot90(array, -turns) for array in (codes, inside, in_box)]
            extension |= np.rot90(_extend_upwards(*turned), turns)
    if not extension.any():
        return mask
    enlarged: Any = cv2.resize(
        extension.astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    extended: Mask = np.maximum(mask, enlarged)
    return extended


def _extend_upwards(codes: NDArray[np.uint8], inside: BoolMask, in_box: BoolMask) -> BoolMask:
    """Return the pixels above a box that continue the object in it."""
    extension = np.zeros_like(inside)
    rows, columns = np.flatnonzero(in_box.any(axis=1)), np.flatnonzero(in_box.any(axis=0))
    if min(rows.size, columns.size) < _MIN_BOX_SIDE:
        return extension
    height = min(int(rows[0]), int(REACH * rows.size))
    window = (
        slice(rows[0] - height, rows[0] + int(_SAMPLE * rows.size)),
        slice(max(0, columns[0] - height), columns[-1] + 1 + height),
    )
    known = np.ascontiguousarray(inside[window])
    cut = np.flatnonzero(known[height : height + _MIN_STRIP].any(axis=0))
    if height < _MIN_STRIP or not cut.size:
        return extension
    strip = np.zeros_like(known)
    strip[: height + _MIN_STRIP, max(0, cut[0] - height // 2) : cut[-1] + 1 + height // 2] = True
    marks = np.where(known, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
    marks[strip & ~known] = cv2.GC_PR_BGD
    near = np.zeros_like(known)
    near[height - max(_MIN_STRIP, height // 3) : height, cut[0] : cut[-1] + 1] = True
    marks[near & ~known] = cv2.GC_PR_FGD
    if min(np.count_nonzero(marks == mark) for mark in (cv2.GC_FGD, cv2.GC_BGD)) < _MIN_PIXELS:
        return extension
    cv2.setRNGSeed(0)  # grabCut clusters colours from random starts
    models = np.zeros((1, 65)), np.zeros((1, 65))
    crop, whole = np.ascontiguousarray(codes[window]), (0, 0, 0, 0)
    cv2.grabCut(crop, marks, whole, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8)
    labels: Any = cv2.connectedComponents(found, connectivity=4)[1]
    connected = np.isin(labels, np.setdiff1d(labels[known], [0]))
    extension[window] = connected & strip
    return extension
