"""Local Laplacian filters (Paris, Hasinoff, Kautz 2011), in the fast form of Aubry et al. 2014.

Each coefficient of the output's Laplacian pyramid is computed from a remapped copy of the photo.
The remapping is centred on the value g of the photo's Gaussian pyramid at that pixel and level:
small differences from g are detail and can be strengthened, large ones are edges and are kept. The
result has no halos.

The pyramids are those of Burt and Adelson 1983 (https://doi.org/10.1109/TCOM.1983.1095851), with
their generating kernel along each axis. At the border, weights outside of the plane are dropped and
the others are scaled to sum 1; the paper extrapolates instead. The even pixels are kept, so that
flips commute with the pyramid only if all sides are of the form 2**k + 1.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import numba
import numpy as np
from numpy.typing import NDArray

from burnish.operators import luminance, thread_count

Plane = NDArray[np.floating]
# For one axis, the input indices and the weights of each output.
Taps = tuple[NDArray[np.int64], NDArray[np.floating]]
# Maps a plane I and a centre g to r(I; g).
Remap = Callable[[Plane, float], Plane]

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)
# One step of 8 bits. Closer to black, the ratios of colours are noise.
DARK = 1 / 255


def local_laplacian(
    rgb: NDArray[np.float32],
    detail: float = 3.0,
    sigma: float = 0.1,
    beta: float = 1.0,
    references: int = 64,
) -> NDArray[np.floating]:
    """Strengthen or smooth detail of every size, and keep, compress or stretch the edges.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    detail : factor on detail, 0.2 to 6; a larger value strengthens it, and values below 1 smooth
    sigma : the largest difference in luminance that counts as detail, 0.02 to 0.5
    beta : factor on the part of an edge above sigma, 0.2 to 2; a larger value stretches contrast,
        and values below 1 compress it
    references : number N of intensities that the photo is remapped about, at least 2; a larger
        value is slower and more accurate

    Returns
    -------
    ndarray of shape (H, W, 3); leaves [0, 1] by some tenths at strong detail

    Notes
    -----
    With d = i - g, luminance i is remapped about g to g + sign(d) f(|d|), where

        f(d) = sigma * (d / sigma)**(1 / detail)    for d <= sigma, detail < 1
        f(d) = detail * d                           for d <= sigma, detail >= 1
        f(d) = f(sigma) + beta * (d - sigma)        for d > sigma

    The first and third lines are those of Paris et al. with alpha = 1 / detail. To strengthen
    detail, they use alpha < 1, whose slope at 0 is infinite, and reduce noise by a threshold. Here,
    f is a straight line instead, as in an example of Aubry et al. It raises edges by
    (detail - 1) * sigma. detail = beta = 1 is the identity.

    A coefficient is interpolated between those of the two nearest of N references spread evenly on
    [0, 1]. For large N this is the exact filter of Paris et al.; the output for N = 64 has a PSNR
    of 65 to 78 dB against it.

    The ratios of the colours to luminance (Rec. 601, encoded) are kept after adding 1/255 to all
    channels, so that noise in black does not become colour.

    References
    ----------
    S. Paris, S. W. Hasinoff, J. Kautz: Local Laplacian Filters: Edge-aware Image Processing with a
    Laplacian Pyramid. ACM Transactions on Graphics 30(4), 2011.
    https://doi.org/10.1145/2010324.1964963

    M. Aubry, S. Paris, S. W. Hasinoff, J. Kautz, F. Durand: Fast Local Laplacian Filters: Theory
    and Applications. ACM Transactions on Graphics 33(5), 2014. https://doi.org/10.1145/2629645

    Examples
    --------
    A ripple is flattened, and the step under it keeps its height:

    >>> step = np.tile([0.2, 0.22, 0.2, 0.22, 0.2, 0.7, 0.72, 0.7, 0.72, 0.7], (9, 1))
    >>> smooth = local_laplacian(np.stack([step] * 3, axis=2), detail=0.2)
    >>> np.round(smooth[4, :, 0], 2)
    array([0.21, 0.21, 0.21, 0.21, 0.2 , 0.7 , 0.7 , 0.7 , 0.7 , 0.7 ])
    """
    Y = luminance(rgb)
    Y_new = local_laplacian_filter(
        Y, remap_curve(_detail_curve(detail, sigma), sigma, beta), references
    )
    dark = Y.dtype.type(DARK)
    result: NDArray[np.floating] = (rgb + dark) * ((Y_new + dark) / (Y + dark))[..., None] - dark
    return result


def _detail_curve(detail: float, sigma: float) -> NDArray[np.float64]:
    """Return f at evenly spaced points of [0, sigma]."""
    if detail >= 1:
        return np.array([0, detail * sigma])
    curve: NDArray[np.float64] = sigma * np.linspace(0, 1, 1025) ** (1 / detail)
    return curve


def remap_curve(curve: NDArray[np.floating], sigma: float, beta: float = 1.0) -> Remap:
    """Return the remapping r(i; g) = g + sign(d) f(|d|), d = i - g.

    `curve` is f at two or more evenly spaced points from 0 to sigma, with f(0) = 0. Beyond sigma
    the slope of f is beta.
    """

    def remap(I: Plane, g: float) -> Plane:  # noqa: E741 the paper's own name
        table = curve.astype(I.dtype)
        numbers = (I.dtype.type(number) for number in (g, sigma, beta))
        result: Plane = _remap(I, table, np.diff(table), *numbers)
        return result

    return remap


def local_laplacian_filter(I: Plane, remap: Remap, references: int) -> Plane:  # noqa: E741
    """Filter a plane, (H, W) in [0, 1], with the remapping r and N >= 2 references."""
    gaussian = gaussian_pyramid(I)
    # Each value lies between an even and an odd reference. The bands are separate for both, so that
    # no two references write to the same element, and the order of threads does not matter.
    bands = [np.zeros((2, *level.shape), I.dtype) for level in gaussian[:-1]]
    last = references - 1

    def add_reference(reference: int) -> None:
        remapped = gaussian_pyramid(remap(I, reference / last))
        for band, value, (fine, coarse) in zip(bands, gaussian, pairwise(remapped), strict=False):
            taps = (expand_taps(side, I.dtype) for side in fine.shape)
            _accumulate(band[reference % 2], value, reference, last, fine, coarse, *taps)

    # A reference affects only values less than a step away, so not all are needed.
    lowest, highest = int(float(I.min()) * last), int(float(I.max()) * last) + 1
    with ThreadPoolExecutor(thread_count()) as pool:
        list(pool.map(add_reference, range(lowest, min(highest, last) + 1)))
    return collapse([*(band.sum(axis=0) for band in bands), gaussian[-1]])


def gaussian_pyramid(plane: Plane) -> list[Plane]:
    """Reduce a plane repeatedly, until no side is above 2 pixels.

    Returns
    -------
    list of planes, the plane itself first; a side of n pixels becomes (n + 1) // 2

    Examples
    --------
    >>> [level.shape for level in gaussian_pyramid(np.zeros((9, 4)))]
    [(9, 4), (5, 2), (3, 2), (2, 2)]
    """
    levels = [plane]
    while max(levels[-1].shape) > 2:
        levels.append(reduce(levels[-1]))
    return levels


def collapse(bands: list[Plane]) -> Plane:
    """Return the plane with these Laplacian bands, the finest first; the last is the rest."""
    plane = bands[-1]
    for band in reversed(bands[:-1]):
        plane = band + expand(plane, band.shape)
    return plane


def reduce(plane: Plane) -> Plane:
    """Blur a plane and keep every other pixel of each side above 2."""
    result: Plane = _resample(plane, *(reduce_taps(side, plane.dtype) for side in plane.shape))
    return result


def expand(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """Expand a plane to `shape`, the shape that it was reduced from."""
    result: Plane = _resample(plane, *(expand_taps(side, plane.dtype) for side in shape))
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
    position = np.arange(side)[:, None]
    index = position // 2 + np.arange(-1, 2)
    tap = 2 * index - position + 2
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
def _remap(I, table, slopes, g, sigma, beta):  # type: ignore[no-untyped-def]  # noqa: E741
    result = np.empty_like(I)
    steps = I.dtype.type(len(slopes)) / sigma
    last = I.dtype.type(len(slopes) - 1)
    for y in range(I.shape[0]):
        for x in range(I.shape[1]):
            d = I[y, x] - g
            clamped = min(abs(d), sigma)
            position = clamped * steps
            knot = np.int32(min(position, last))  # with int64, the loop would not be vectorised
            f = table[knot] + (position - I.dtype.type(knot)) * slopes[knot]
            result[y, x] = g + math.copysign(f + (abs(d) - clamped) * beta, d)
    return result


@numba.njit(cache=True, nogil=True)
def _accumulate(band, gaussian, reference, last, fine, coarse, rows, columns):  # type: ignore[no-untyped-def]
    """Add the Laplacian coefficients of a reference to a band, weighted by its closeness."""
    (row_index, row_weight), (column_index, column_weight) = rows, columns
    zero = band.dtype.type(0)
    for y in range(band.shape[0]):
        for x in range(band.shape[1]):
            weight = 1 - abs(gaussian[y, x] * last - reference)
            if weight > 0:
                expanded = zero
                for row in range(row_index.shape[1]):
                    row_sum = zero
                    for column in range(column_index.shape[1]):
                        value = coarse[row_index[y, row], column_index[x, column]]
                        row_sum += column_weight[x, column] * value
                    expanded += row_weight[y, row] * row_sum
                band[y, x] += weight * (fine[y, x] - expanded)


@numba.njit(cache=True, nogil=True)
def _resample(plane, rows, columns):  # type: ignore[no-untyped-def]
    """Sum weighted pixels along the columns, then along the rows."""
    (row_index, row_weight), (column_index, column_weight) = rows, columns
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
