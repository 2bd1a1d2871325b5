"""A bitmap font for labels on images, since a machine may have no fonts installed."""

import numpy as np
from numpy.typing import NDArray

# Seven rows of five pixels per glyph. The highest bit of a row is its leftmost pixel.
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
