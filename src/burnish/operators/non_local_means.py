"""Non-local means denoising (Buades, Coll, Morel 2005).

Each pixel becomes a weighted average of the pixels around it. The weight of a pixel is the
similarity of the patches N around the two:

    NL(i) = sum_j w(i, j) v(j) / sum_j w(i, j),    w(i, j) = exp(-|v(N_i) - v(N_j)|^2_a / h^2)

where |.|_a is weighted by a Gaussian of standard deviation a over the patch (paper, section 3).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.threads import thread_count

# Rows processed at once, few enough for their data to fit into a core's cache.
BAND_ROWS = 64


def non_local_means(
    rgb: NDArray[np.float32], h: float = 0.03, patch_radius: int = 3, search_radius: int = 10
) -> NDArray[np.float32]:
    """Remove noise and keep repeated structures: texture, edges, lines.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in single precision
    h : scale of the distance between patches, 0.005 to 0.3; a larger value removes stronger noise,
        and fine texture with it. A good start is the standard deviation of the noise of a channel
    patch_radius : radius of the patches, 1 to 5 px; a larger value makes their comparison more
        reliable and keeps less small detail. The paper's 7 x 7 px is 3
    search_radius : radius of the search window, 1 to 21 px; a larger value finds more similar
        patches and takes longer. The paper's 21 x 21 px is 10

    Returns
    -------
    ndarray of shape (H, W, 3), within the range of `rgb`

    Notes
    -----
    The distance of two patches is the mean square difference of their values, evenly over the
    channels, and over the patch weighted by a Gaussian of standard deviation patch_radius / 2,
    which the paper leaves open. As a mean, it does not grow with the patch, so that h has the same
    meaning for any radius. Two equal patches with noise of standard deviation s have the distance
    2 s^2. The pixel itself has weight 1, as in the paper's formula. At the border patches are
    mirrored, without repeating the edge pixel, and the search window is cut off.

    References
    ----------
    A. Buades, B. Coll, J.-M. Morel: A Non-Local Algorithm for Image Denoising. IEEE CVPR 2005,
    volume 2, pages 60-65. https://doi.org/10.1109/CVPR.2005.38

    Examples
    --------
    Noise is removed, and a line one pixel wide is kept:

    >>> line = np.full((24, 24, 3), 0.2)
    >>> line[:, 12] = 0.8
    >>> noisy = line + 0.05 * np.random.default_rng(0).standard_normal(line.shape)
    >>> clean = non_local_means(noisy, h=0.06)
    >>> np.std(noisy - line).round(2), np.std(clean - line).round(2)
    (np.float64(0.05), np.float64(0.01))
    """
    v = np.asarray(rgb, dtype=np.float32)
    bands = range(0, v.shape[0], BAND_ROWS)
    denoise = partial(_denoise_band, v, h=h, patch=int(patch_radius), search=int(search_radius))
    with ThreadPoolExecutor(thread_count()) as pool:
        return np.concatenate(list(pool.map(denoise, bands)))


def _denoise_band(
    v: NDArray[np.float32], top: int, h: float, patch: int, search: int
) -> NDArray[np.float32]:
    """Denoise BAND_ROWS rows from `top` on."""
    height, width, _ = v.shape
    bottom = min(top + BAND_ROWS, height)
    first, last = max(0, top - search), min(height, bottom + search)
    # One plane a channel, padded for the patches: inside the photo with its pixels, else mirrored.
    rows = _reflect_indices(np.arange(first - patch, last + patch), height)
    columns = _reflect_indices(np.arange(-patch, width + patch), width)
    padded = np.ascontiguousarray(np.moveaxis(v[rows][:, columns], 2, 0))
    planes = padded[:, patch:-patch, patch:-patch]
    gaussian = cv2.getGaussianKernel(2 * patch + 1, patch / 2, cv2.CV_32F)
    # This kernel also divides by the number of channels and by h^2.
    gaussian_h2 = gaussian / np.float32(3 * h * h)

    total = planes.copy()
    weights = np.ones(planes.shape[1:], np.float32)
    for dy, dx in _half_offsets(min(search, last - first - 1), min(search, width - 1)):
        here, there = _overlapping_slices(dy, dx)
        difference = padded[:, *here] - padded[:, *there]
        squares = np.einsum("chw,chw->hw", difference, difference)
        distance = cv2.sepFilter2D(squares, -1, gaussian, gaussian_h2)
        w = cv2.exp(-distance[patch:-patch, patch:-patch])
        # A weight applies to both pixels of a pair.
        weights[here] += w
        weights[there] += w
        total[:, *here] += w * planes[:, *there]
        total[:, *there] += w * planes[:, *here]
    total /= weights
    return np.moveaxis(total[:, top - first : bottom - first], 0, 2)


def _half_offsets(max_dy: int, max_dx: int) -> list[tuple[int, int]]:
    """Return the offsets within a window, one of each opposite pair and without (0, 0)."""
    return [
        (dy, dx)
        for dy in range(max_dy + 1)
        for dx in range(-max_dx, max_dx + 1)
        if dy > 0 or dx > 0
    ]


def _overlapping_slices(dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return slices of the pixels with a neighbour at offset (dy, dx), and of those neighbours."""
    along_y, along_y_there = slice(0, -dy or None), slice(dy, None)
    if dx >= 0:
        return (along_y, slice(0, -dx or None)), (along_y_there, slice(dx, None))
    return (along_y, slice(-dx, None)), (along_y_there, slice(0, dx))


def _reflect_indices(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Reflect indices into 0 to size - 1 without repeating the ends."""
    period = max(2 * (size - 1), 1)
    return np.minimum(index % period, -index % period)
