"""Anonymise: what makes a person known, covered."""

import numpy as np
from numpy.typing import NDArray

from burnish.regions.edits.fill import filled
from burnish.regions.edits.pixelate import pixelated
from burnish.types import Pixels

METHODS = ("fill", "blur", "pixelate")


def hidden(
    pixels: Pixels,
    mask: NDArray[np.float32],
    method: str = "fill",
    colour: NDArray[np.float32] | None = None,
    size: float = 3.0,
) -> Pixels:
    """Return what covers the region.

    Shape: (H, W, 3) and (H, W) -> (H, W, 3)

    Parameters
    ----------
    method : "fill" leaves nothing of what was there; of "blur" and "pixelate" something stays, from
        which programs have recognised faces and read numbers
    colour : of the filling; None is black
    size : of blur or blocks, per cent of the picture's longer side

    Notes
    -----
    McPherson, Shokri, Shmatikov: Defeating Image Obfuscation with Deep Learning, 2016,
    arXiv:1609.00408, recognise faces and digits behind both blur and mosaic.

    Examples
    --------
    >>> hidden(np.ones((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    array([[[0., 0., 0.]]], dtype=float32)
    """
    if method == "blur":
        from burnish.regions.edits.blur import blurred

        return blurred(pixels, mask, size)
    if method == "pixelate":
        return pixelated(pixels, mask, size)
    return filled(pixels, mask, colour)
