"""Draw the outlines and numbers of objects over an image, in a bitmap font of its own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_crop
from burnish.regions.masks import erode
from burnish.types import BoolMask, Pixels

# Distinguishable colours; objects take them in turn.
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
# Opacity of the colour over an object.
_TINT = np.float32(0.35)
# A bitmap font, since a machine may have no fonts installed. Seven rows of five pixels per glyph;
# the highest bit of a row is its leftmost pixel.
_GLYPHS = {
    "a": (0, 0, 14, 1, 15, 17, 15),
    "b": (16, 16, 30, 17, 17, 17, 30),
    "c": (0, 0, 14, 16, 16, 17, 14),
    "d": (1, 1, 15, 17, 17, 17, 15),
    "e": (0, 0, 14, 17, 31, 16, 14),
    "f": (6, 9, 8, 28, 8, 8, 8),
    "g": (0, 15, 17, 17, 15, 1, 14),
    "h": (16, 16, 22, 25, 17, 17, 17),
    "i": (4, 0, 12, 4, 4, 4, 14),
    "j": (2, 0, 6, 2, 2, 18, 12),
    "k": (16, 16, 18, 20, 24, 20, 18),
    "l": (12, 4, 4, 4, 4, 4, 14),
    "m": (0, 0, 26, 21, 21, 17, 17),
    "n": (0, 0, 22, 25, 17, 17, 17),
    "o": (0, 0, 14, 17, 17, 17, 14),
    "p": (0, 0, 30, 17, 30, 16, 16),
    "q": (0, 0, 13, 19, 15, 1, 1),
    "r": (0, 0, 22, 25, 16, 16, 16),
    "s": (0, 0, 14, 16, 14, 1, 30),
    "t": (8, 8, 28, 8, 8, 9, 6),
    "u": (0, 0, 17, 17, 17, 19, 13),
    "v": (0, 0, 17, 17, 17, 10, 4),
    "w": (0, 0, 17, 17, 21, 21, 10),
    "x": (0, 0, 17, 10, 4, 10, 17),
    "y": (0, 0, 17, 17, 15, 1, 14),
    "z": (0, 0, 31, 2, 4, 8, 31),
    "B": (30, 17, 17, 30, 17, 17, 30),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    " ": (0, 0, 0, 0, 0, 0, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    ",": (0, 0, 0, 0, 12, 4, 8),
    ":": (0, 12, 12, 0, 12, 12, 0),
    "-": (0, 0, 0, 31, 0, 0, 0),
}
_GLYPH_WIDTH = 5
GLYPH_HEIGHT = 7


def annotate(pixels: Pixels, instances: Instances, numbers: Sequence[int]) -> Pixels:
    """Tint and outline objects, and write their numbers in their centres.

    Shape: (H, W, 3) -> (H, W, 3)

    Parameters
    ----------
    numbers : the number of each object

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
        mask, left, top = mask_crop(instances, index)
        inside = mask >= MASK_THRESHOLD
        window = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
        colour = _COLOURS[(numbers[index] - 1) % len(_COLOURS)]
        window[inside] += _TINT * (colour - window[inside])
        window[inside & ~erode(inside, scale)] = colour
    # Numbers come last, so that no object covers them.
    occupied = np.zeros(pixels.shape[:2], bool)
    for index in range(len(instances)):
        left, top, right, bottom = instances.boxes[index]
        centre = (left + right) / 2, (top + bottom) / 2
        _draw_label(canvas, occupied, str(numbers[index]), centre, scale)
    return canvas


def _draw_label(
    canvas: Pixels, occupied: BoolMask, text: str, centre: tuple[float, float], scale: int
) -> None:
    """Write black on white, as close to a point as the border and other labels permit."""
    ink = np.pad(render_text(text)[:, :-1], 2).repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = ink.shape
    for line in (0, 1, -1, 2, -2, 3, -3):
        top = centre[1] - height / 2 + line * height
        top = int(np.clip(top, 0, max(0, canvas.shape[0] - height)))
        left = int(np.clip(centre[0] - width / 2, 0, max(0, canvas.shape[1] - width)))
        window = slice(top, top + height), slice(left, left + width)
        if not occupied[window].any():
            break
    occupied[window] = True
    rows, columns = canvas[window].shape[:2]
    canvas[window] = 1 - ink[:rows, :columns, None]


def render_text(text: str) -> NDArray[np.float32]:
    """Draw text as ones on zeros, with an empty column after each glyph.

    Returns
    -------
    ndarray of shape (7, 6 * len(text)), float32

    Raises
    ------
    KeyError : the font does not have a character

    Examples
    --------
    >>> for row in render_text("db")[:, :11]:
    ...     print("".join("-#"[int(ink)] for ink in row))
    ----#-#----
    ----#-#----
    -####-####-
    #---#-#---#
    #---#-#---#
    #---#-#---#
    -####-####-
    """
    ink = np.zeros((GLYPH_HEIGHT, len(text) * (_GLYPH_WIDTH + 1)), np.float32)
    for index, character in enumerate(text):
        for y, row in enumerate(_GLYPHS[character]):
            for x in range(_GLYPH_WIDTH):
                ink[y, index * (_GLYPH_WIDTH + 1) + x] = row >> (_GLYPH_WIDTH - 1 - x) & 1
    return ink
