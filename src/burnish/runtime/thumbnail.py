"""The thumbnail of an image, and the coordinates at which a network samples its features."""

import numpy as np
from numpy.typing import NDArray

from burnish.types import Rectangle

# Default side of a network's thumbnail, px.
THUMBNAIL_SIZE = 64


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
