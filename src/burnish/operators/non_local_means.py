"""Non-local means denoising (Buades, Coll, Morel 2005).

Each pixel becomes an average of the pixels around it, weighted by how much the patch around the
other looks like the patch around the one:

    NL(i) = sum_j w(i, j) v(j) / sum_j w(i, j),    w(i, j) = exp(-|v(N_i) - v(N_j)|^2_a / h^2)

where |.|_a is weighted by a Gaussian of standard deviation a over the patch (paper, section 3).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.threads import thread_count

# Rows worked on at once: what they need stays in a core's cache.
BAND_ROWS = 64


def non_local_means(
    rgb: NDArray[np.float32], h: float = 0.03, patch_radius: int = 3, search_radius: int = 10
) -> NDArray[np.float32]:
    """Remove noise and keep what repeats: texture, edges, lines.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in single precision
    h : how unlike a patch may be and still count, 0.005 to 0.3; the standard deviation of the noise
        of one channel is a good start
    patch_radius : of the patches compared, 1 to 5 px; the paper's 7 x 7 is 3
    search_radius : how far patches are looked for, 1 to 21 px; the paper's 21 x 21 is 10

    Returns
    -------
    ndarray of shape (H, W, 3), within the range of `rgb`

    Notes
    -----
    The distance of two patches is the mean square difference of their values: over the three
    channels evenly, over the patch with a Gaussian of standard deviation patch_radius / 2, which
    the paper leaves open. Being a mean, it does not grow with the patch, so that h keeps its
    meaning for any radius; two patches that differ by noise of deviation s alone are at 2 s^2.
    The pixel itself has weight 1, as the paper's formula says. Differences from the paper: none in
    the weights; patches reach over the border by mirroring (the edge pixel is not repeated), and
    the search stops at the border.

    References
    ----------
    A. Buades, B. Coll, J.-M. Morel: A Non-Local Algorithm for Image Denoising. IEEE CVPR 2005,
    volume 2, pages 60-65. https://doi.org/10.1109/CVPR.2005.38

    Examples
    --------
    Noise goes, and a line one pixel wide stays:

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
    """Denoise the rows from `top` on, with as many rows around as the search reaches."""
    height, width, _ = v.shape
    bottom = min(top + BAND_ROWS, height)
    first, last = max(0, top - search), min(height, bottom + search)
    # One plane a channel. The patches' margin is the photo's own where it goes on.
    rows = _reflect_indices(np.arange(first - patch, last + patch), height)
    columns = _reflect_indices(np.arange(-patch, width + patch), width)
    padded = np.ascontiguousarray(np.moveaxis(v[rows][:, columns], 2, 0))
    planes = padded[:, patch:-patch, patch:-patch]
    gaussian = cv2.getGaussianKernel(2 * patch + 1, patch / 2, cv2.CV_32F)
    # Divides by the three channels and by h^2 on the way.
    gaussian_h2 = gaussian / np.float32(3 * h * h)

    total = planes.copy()
    weights = np.ones(planes.shape[1:], np.float32)
    for dy, dx in _half_offsets(min(search, last - first - 1), min(search, width - 1)):
        here, there = _overlapping_slices(dy, dx)
        difference = padded[:, *here] - padded[:, *there]
        squares = np.einsum("chw,chw->hw", difference, difference)
        distance = cv2.sepFilter2D(squares, -1, gaussian, gaussian_h2)
        w = cv2.exp(-distance[patch:-patch, patch:-patch])
        # The weight of a pair serves both.
        weights[here] += w
        weights[there] += w
        total[:, *here] += w * planes[:, *there]
        total[:, *there] += w * planes[:, *here]
    total /= weights
    return np.moveaxis(total[:, top - first : bottom - first], 0, 2)


def _half_offsets(max_dy: int, max_dx: int) -> list[tuple[int, int]]:
    """One of every two opposite steps to another pixel."""
    return [
        (dy, dx)
        for dy in range(max_dy + 1)
        for dx in range(-max_dx, max_dx + 1)
        if dy > 0 or dx > 0
    ]


def _overlapping_slices(dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where pixels have a neighbour (dy, dx) away, and where these neighbours are."""
    along_y, along_y_there = slice(0, -dy or None), slice(dy, None)
    if dx >= 0:
        return (along_y, slice(0, -dx or None)), (along_y_there, slice(dx, None))
    return (along_y, slice(-dx, None)), (along_y_there, slice(0, dx))


def _reflect_indices(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Fold indices back into 0 to size - 1 without repeating the ends."""
    period = max(2 * (size - 1), 1)
    return np.minimum(index % period, -index % period)
