"""The Laplacian pyramid as a compact image code (Burt, Adelson 1983).

A Gaussian pyramid contains a plane at full size, half size, and so on. A Laplacian pyramid contains
the difference of each level and the next one, expanded, and sums up to the plane. Reducing and
expanding use the paper's generating kernel .05 .25 .4 .25 .05 along each axis.
"""

from functools import lru_cache
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray

# A plane of floats, and for one axis the input indices and the weights of each output.
Plane = NDArray[np.floating]
Taps = tuple[NDArray[np.int64], NDArray[np.floating]]

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)


def gaussian_pyramid(plane: Plane) -> list[Plane]:
    """Reduce a plane repeatedly, until no side is above 2 pixels.

    Parameters
    ----------
    plane : ndarray of shape (H, W), float32 or float64

    Returns
    -------
    list of ndarray, the plane itself first; a side of n pixels becomes (n + 1) // 2, and a side of
    1 or 2 stays

    Notes
    -----
    At the border, weights outside of the plane are dropped and the others are scaled to sum 1, so
    that a constant stays constant; the paper extrapolates instead. The even pixels are kept, so
    that flips commute with the pyramid only if all sides are of the form 2**k + 1.

    References
    ----------
    P. J. Burt, E. H. Adelson: The Laplacian Pyramid as a Compact Image Code. IEEE Transactions on
    Communications 31(4), 1983. https://doi.org/10.1109/TCOM.1983.1095851

    Examples
    --------
    >>> [level.shape for level in gaussian_pyramid(np.zeros((9, 4)))]
    [(9, 4), (5, 2), (3, 2), (2, 2)]
    """
    levels = [plane]
    while max(levels[-1].shape) > 2:
        levels.append(reduce(levels[-1]))
    return levels


def laplacian_pyramid(plane: Plane) -> list[Plane]:
    """Split a plane into bands of detail, the finest first, and the coarsest Gaussian level.

    Parameters
    ----------
    plane : ndarray of shape (H, W), float32 or float64

    Returns
    -------
    list of ndarray, of the sizes of the Gaussian pyramid

    Examples
    --------
    >>> plane = np.arange(15.0).reshape(3, 5)
    >>> bool(np.allclose(collapse(laplacian_pyramid(plane)), plane))
    True
    """
    levels = gaussian_pyramid(plane)
    bands = [fine - expand(coarse, fine.shape) for fine, coarse in pairwise(levels)]
    return [*bands, levels[-1]]


def collapse(bands: list[Plane]) -> Plane:
    """Return the plane that a Laplacian pyramid was made from."""
    plane = bands[-1]
    for band in reversed(bands[:-1]):
        plane = band + expand(plane, band.shape)
    return plane


def reduce(plane: Plane) -> Plane:
    """Blur a plane and keep every other pixel of each side above 2."""
    rows, columns = (reduce_taps(side, plane.dtype) for side in plane.shape)
    result: Plane = _resample(plane, *rows, *columns)
    return result


def expand(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Expand a plane to `shape`, the shape that it was reduced from."""
    rows, columns = (expand_taps(side, plane.dtype) for side in shape)
    result: Plane = _resample(plane, *rows, *columns)
    return result


@lru_cache(maxsize=128)
def reduce_taps(side: int, dtype: np.dtype[np.floating]) -> Taps:
    """Return the taps that reduce a side: indices and weights, both of shape (outputs, 5)."""
    if side <= 2:
        return _identity_taps(side, dtype)
    index = 2 * np.arange((side + 1) // 2)[:, None] + np.arange(-2, 3)
    return _normalise_taps(index, np.broadcast_to(KERNEL, index.shape), side, dtype)


@lru_cache(maxsize=128)
def expand_taps(side: int, dtype: np.dtype[np.floating]) -> Taps:
    """Return the taps that expand to a side: indices and weights, both of shape (side, 3)."""
    if side <= 2:
        return _identity_taps(side, dtype)
    # Zeros lie between the coarse pixels, so that a fine pixel uses every other tap.
    here = np.arange(side)[:, None]
    index = here // 2 + np.arange(-1, 2)
    tap = 2 * index - here + 2
    weight = np.where((tap >= 0) & (tap < 5), np.take(KERNEL, tap, mode="clip"), 0)
    return _normalise_taps(index, weight, (side + 1) // 2, dtype)


def _identity_taps(side: int, dtype: np.dtype[np.floating]) -> Taps:
    return np.arange(side)[:, None], np.ones((side, 1), dtype)


def _normalise_taps(
    index: NDArray[np.int64],
    weight: NDArray[np.float64],
    size: int,
    dtype: np.dtype[np.floating],
) -> Taps:
    """Drop indices outside of the plane and scale the other weights to sum 1."""
    inside = np.where((index >= 0) & (index < size), weight, 0)
    return index.clip(0, size - 1), (inside / inside.sum(axis=1, keepdims=True)).astype(dtype)


@numba.njit(cache=True, nogil=True)
def _resample(plane, row_index, row_weight, column_index, column_weight):  # type: ignore[no-untyped-def]
    """Sum weighted pixels along the columns, then along the rows."""
    height, width = len(row_index), len(column_index)
    result = np.empty((height, width), plane.dtype)
    for y in range(height):
        line = row_weight[y, 0] * plane[row_index[y, 0]]
        for tap in range(1, row_index.shape[1]):
            line += row_weight[y, tap] * plane[row_index[y, tap]]
        for x in range(width):
            total = column_weight[x, 0] * line[column_index[x, 0]]
            for tap in range(1, column_index.shape[1]):
                total += column_weight[x, tap] * line[column_index[x, tap]]
            result[y, x] = total
    return result
