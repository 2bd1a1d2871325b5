"""Area resize: a small square version of a whole image, the thumbnail that networks take."""

from collections.abc import Callable

import numpy as np

from burnish.types import Pixels

# Default side of a network's thumbnail, px.
THUMBNAIL_SIZE = 64
# Rows are summed in groups of this size, starting at row 0, so that sums always round the same way.
_ROWS = 64


def area_resize(pixels: Pixels, side: int) -> Pixels:
    """Resize an image to a square, whatever its aspect ratio.

    Each output pixel is the mean over the area that it covers, fractions of pixels included. A
    smaller image is enlarged by repeating its pixels.

    Shape: (H, W, 3) -> (side, side, 3)

    Examples
    --------
    >>> area_resize(np.arange(6, dtype=np.float32).repeat(3).reshape(2, 3, 3), 1)[0, 0]
    array([2.5, 2.5, 2.5], dtype=float32)
    """
    height, width = pixels.shape[:2]
    return area_resize_rows(lambda top, bottom: pixels[top:bottom], height, width, side)


def area_resize_rows(
    read_rows: Callable[[int, int], Pixels], height: int, width: int, side: int
) -> Pixels:
    """Resize an image that is read in groups of rows. Equals `area_resize` bit for bit.

    Parameters
    ----------
    read_rows : from the first row and the end row to pixels, (rows, W, 3)
    height, width : of the image, px
    side : of the square, px
    """
    # Rows come first, since they are contiguous in memory; little is left for the columns.
    resized_rows = np.zeros((side, width, 3), np.float32)
    overlaps = _overlaps(height, side)
    for top in range(0, height, _ROWS):
        group = overlaps[:, top : top + _ROWS]
        touched = np.flatnonzero(group.any(axis=1))
        outputs = slice(touched[0], touched[-1] + 1)
        strip = read_rows(top, top + group.shape[1]).reshape(group.shape[1], -1)
        resized_rows[outputs] += (group[outputs] @ strip).reshape(-1, width, 3)
    return _overlaps(width, side) @ resized_rows


def _overlaps(length: int, side: int) -> Pixels:
    """Return the weight of each input pixel in each output pixel; rows sum to 1.

    Shape: (side, length)
    """
    edges = np.arange(side + 1) * (length / side)
    starts, ends = edges[:-1, None], edges[1:, None]
    index = np.arange(length)
    overlaps = np.minimum(ends, index + 1) - np.maximum(starts, index)
    weights: Pixels = (overlaps.clip(0) * (side / length)).astype(np.float32)
    return weights
