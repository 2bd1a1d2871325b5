"""Numbered: a photo with its objects outlined and numbered, so that one can be asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import Instances, crop
from burnish.editing.bitmap_font import label
from burnish.regions.distance import shrunk
from burnish.regions.select import HALF
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


def numbered(pixels: Pixels, found: Instances, numbers: Sequence[int]) -> Pixels:
    """Draw objects over a photo: tinted, outlined, each with its number in its middle.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    numbers : what each object is called

    Examples
    --------
    >>> boxes = np.array([[0, 0, 40, 40]], np.float32)
    >>> cat = Instances((40, 40), boxes, ("cat",), np.ones(1), (np.ones((40, 40)),))
    >>> numbered(np.zeros((40, 40, 3), np.float32), cat, [1]).shape
    (40, 40, 3)
    """
    drawn = pixels.copy()
    scale = max(1, round(max(pixels.shape[:2]) / 400))
    for index in range(len(found)):
        part, left, top = crop(found, index)
        inside = part >= HALF
        place = drawn[top : top + part.shape[0], left : left + part.shape[1]]
        colour = _COLOURS[(numbers[index] - 1) % len(_COLOURS)]
        place[inside] += _TINT * (colour - place[inside])
        place[inside & ~shrunk(inside, scale)] = colour
    # Numbers last, so that none is under another object.
    taken = np.zeros(pixels.shape[:2], bool)
    for index in range(len(found)):
        left, top, right, bottom = found.boxes[index]
        middle = (left + right) / 2, (top + bottom) / 2
        _write(drawn, taken, str(numbers[index]), middle, scale)
    return drawn


def _write(
    drawn: Pixels, taken: NDArray[np.bool_], text: str, middle: tuple[float, float], scale: int
) -> None:
    """Write in black on white, as near to a place as the picture and other numbers leave room."""
    ink = np.pad(label(text)[:, :-1], 2).repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = ink.shape
    for away in (0, 1, -1, 2, -2, 3, -3):
        top = middle[1] - height / 2 + away * height
        top = int(np.clip(top, 0, max(0, drawn.shape[0] - height)))
        left = int(np.clip(middle[0] - width / 2, 0, max(0, drawn.shape[1] - width)))
        place = slice(top, top + height), slice(left, left + width)
        if not taken[place].any():
            break
    taken[place] = True
    rows, columns = drawn[place].shape[:2]
    drawn[place] = 1 - ink[:rows, :columns, None]
