"""Numbered: a photo with its objects outlined and numbered, so that one can be asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances, mask_crop
from burnish.editing.bitmap_font import render_text
from burnish.regions.distance import erode
from burnish.regions.select import MASK_THRESHOLD
from burnish.types import Pixels

# Colours that are told apart, also on photos; the next object gets the next one.
_COLOURS = np.array(
    [
        (1.0, 0.35, 0.2),
        (0.2, 0.75, 1.0),
        (0.55, 0.9, 0.25),
        (1.0, 0.8, 0.1),
        (0.85, 0.45, 1.0),
        (0.15, 0.9, 0.75),
    ],
    np.float32,
)
# How much of its colour lies over an object.
_TINT = np.float32(0.35)


def annotate(pixels: Pixels, instances: Instances, numbers: Sequence[int]) -> Pixels:
    """Draw objects over a photo: tinted, outlined, each with its number in its middle.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    numbers : what each object is called

    Examples
    --------
    >>> boxes = np.array([[0, 0, 40, 40]], np.float32)
    >>> cat = Instances((40, 40), boxes, ("cat",), np.ones(1), (np.ones((40, 40)),))
    >>> annotate(np.zeros((40, 40, 3), np.float32), cat, [1]).shape
    (40, 40, 3)
    """
    canvas = pixels.copy()
    scale = max(1, round(max(pixels.shape[:2]) / 400))
    for index in range(len(instances)):
        part, left, top = mask_crop(instances, index)
        inside = part >= MASK_THRESHOLD
        place = canvas[top : top + part.shape[0], left : left + part.shape[1]]
        colour = _COLOURS[(numbers[index] - 1) % len(_COLOURS)]
        place[inside] += _TINT * (colour - place[inside])
        place[inside & ~erode(inside, scale)] = colour
    # Numbers last, so that none is under another object.
    occupied = np.zeros(pixels.shape[:2], bool)
    for index in range(len(instances)):
        left, top, right, bottom = instances.boxes[index]
        middle = (left + right) / 2, (top + bottom) / 2
        _draw_label(canvas, occupied, str(numbers[index]), middle, scale)
    return canvas


def _draw_label(
    canvas: Pixels, occupied: NDArray[np.bool_], text: str, middle: tuple[float, float], scale: int
) -> None:
    """Write in black on white, as near to a place as the picture and other numbers leave room."""
    ink = np.pad(render_text(text)[:, :-1], 2).repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = ink.shape
    for away in (0, 1, -1, 2, -2, 3, -3):
        top = middle[1] - height / 2 + away * height
        top = int(np.clip(top, 0, max(0, canvas.shape[0] - height)))
        left = int(np.clip(middle[0] - width / 2, 0, max(0, canvas.shape[1] - width)))
        place = slice(top, top + height), slice(left, left + width)
        if not occupied[place].any():
            break
    occupied[place] = True
    rows, columns = canvas[place].shape[:2]
    canvas[place] = 1 - ink[:rows, :columns, None]
