"""Places: where in the whole picture each block of a part lies, for networks that look there."""

import numpy as np
from numpy.typing import NDArray

from burnish.photo.rectangle import Rectangle


def normalised_coords(
    rectangle: Rectangle, size: tuple[int, int], block: int
) -> NDArray[np.float32]:
    """Return where the centres of a part's blocks lie: across and down, -1 to 1 over the picture.

    A block has the same place whatever part it is asked for in.

    Parameters
    ----------
    rectangle : of the picture, or of it continued beyond its last row and column; as many px high and
        wide as so many blocks
    size : the picture's height and width, px
    block : the side of a block, px

    Returns
    -------
    ndarray of shape (rows, columns, 2), float32

    Examples
    --------
    >>> normalised_coords(Rectangle(0, 32, 32, 48), (32, 64), 16)[:, 0]
    array([[ 0.25, -0.5 ],
           [ 0.25,  0.5 ]], dtype=float32)
    """
    down = _centres(rectangle.top, rectangle.bottom, block) / size[0]
    across = _centres(rectangle.left, rectangle.right, block) / size[1]
    grid = np.meshgrid(2 * across - 1, 2 * down - 1)
    coords: NDArray[np.float32] = np.stack(grid, axis=2).astype(np.float32)
    return coords


def _centres(first: int, end: int, block: int) -> NDArray[np.floating]:
    centres: NDArray[np.floating] = first + block * (np.arange((end - first) // block) + 0.5)
    return centres
