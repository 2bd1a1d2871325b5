"""The thumbnail of an image, and the coordinates at which a network samples its features."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels, Rectangle

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
    """
    # Rows come first, since they are contiguous in memory; little is left for the columns.
    resized_rows = np.zeros((side, width, 3), np.float32)
    overlaps = _overlaps(height, side)
    for top in range(0, height, _ROWS):
        group = overlaps[:, top : top + _ROWS]
        output_rows = np.flatnonzero(group.any(axis=1))
        outputs = slice(output_rows[0], output_rows[-1] + 1)
        strip = read_rows(top, top + group.shape[1]).reshape(group.shape[1], -1)
        resized_rows[outputs] += (group[outputs] @ strip).reshape(-1, width, 3)
    return _overlaps(width, side) @ resized_rows


def normalised_coords(
    rectangle: Rectangle, size: tuple[int, int], block: int
) -> NDArray[np.float32]:
    """Return the centres of a rectangle's blocks as x and y, from -1 to 1 over the whole image.

    The coordinates of a block do not depend on the rectangle that it is part of.

    Parameters
    ----------
    rectangle : of the image, padded at the bottom and the right; its sides are multiples of `block`
    size : height and width of the image without padding, px
    block : side of a block, px

    Returns
    -------
    ndarray of shape (rows, columns, 2), float32

    Examples
    --------
    >>> normalised_coords(Rectangle(0, 32, 32, 48), (32, 64), 16)[:, 0]
    array([[ 0.25, -0.5 ],
           [ 0.25,  0.5 ]], dtype=float32)
    """
    y = np.arange(rectangle.top + block / 2, rectangle.bottom, block) / size[0]
    x = np.arange(rectangle.left + block / 2, rectangle.right, block) / size[1]
    return np.stack(np.meshgrid(2 * x - 1, 2 * y - 1), axis=2).astype(np.float32)


def _overlaps(length: int, side: int) -> Pixels:
    """Return the weight of each input pixel in each output pixel, (side, length); rows sum to 1."""
    edges = np.arange(side + 1) * (length / side)
    starts, ends = edges[:-1, None], edges[1:, None]
    index = np.arange(length)
    overlaps = np.minimum(ends, index + 1) - np.maximum(starts, index)
    weights: Pixels = (overlaps.clip(0) * (side / length)).astype(np.float32)
    return weights
