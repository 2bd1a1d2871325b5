"""Non-local means denoising (Buades, Coll, Morel 2005).

Each pixel i becomes a weighted average of nearby pixels j. The weight of j is the similarity of the
patches N around i and j:

    NL(i) = sum_j w(i, j) v(j) / sum_j w(i, j),    w(i, j) = exp(-|v(N_i) - v(N_j)|^2_a / h^2)

where |.|_a is weighted by a Gaussian of standard deviation a over the patch (paper, section 3).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators import thread_count

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
    patch_radius : radius of the patches, 1 to 5 px; the paper's 7 x 7 px is 3
    search_radius : radius of the search window, 1 to 21 px; the paper's 21 x 21 px is 10

    Returns
    -------
    ndarray of shape (H, W, 3), within the range of `rgb`

    Notes
    -----
    The distance of two patches is the mean square difference of their values, evenly over the
    channels, and over the patch weighted by a Gaussian of standard deviation patch_radius / 2,
    which the paper leaves open. As a mean, it does not grow with the patch. Two equal patches with
    noise of standard deviation s have the distance 2 s^2. The pixel itself has weight 1, as in the
    paper's formula. At the border patches are mirrored, without repeating the edge pixel, and the
    search window is cut off.

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
    v = np.moveaxis(np.asarray(rgb, dtype=np.float32), 2, 0)
    margin = (patch_radius, patch_radius)
    mirrored = np.pad(v, ((0, 0), margin, margin), mode="reflect")
    denoise = partial(_denoise_band, mirrored, h=h, patch=patch_radius, search=search_radius)
    with ThreadPoolExecutor(thread_count()) as pool:
        return np.concatenate(list(pool.map(denoise, range(0, v.shape[1], BAND_ROWS))))


def _denoise_band(
    mirrored: NDArray[np.float32], top: int, h: float, patch: int, search: int
) -> NDArray[np.float32]:
    """Denoise BAND_ROWS rows from `top` on; `mirrored` has a margin of `patch` pixels."""
    height, width = mirrored.shape[1] - 2 * patch, mirrored.shape[2] - 2 * patch
    bottom = min(top + BAND_ROWS, height)
    first, last = max(0, top - search), min(height, bottom + search)
    padded = mirrored[:, first : last + 2 * patch]
    planes = padded[:, patch:-patch, patch:-patch]
    gaussian = cv2.getGaussianKernel(2 * patch + 1, patch / 2, cv2.CV_32F)
    # This kernel also divides by the number of channels and by h^2.
    gaussian_h2 = gaussian / np.float32(3 * h * h)

    total = planes.copy()
    weights = np.ones(planes.shape[1:], np.float32)
    for dy, dx in _half_offsets(min(search, last - first - 1), min(search, width - 1)):
        pixels, neighbours = _overlapping_slices(dy, dx)
        difference = padded[:, *pixels] - padded[:, *neighbours]
        squares = np.einsum("chw,chw->hw", difference, difference)
        distance = cv2.sepFilter2D(squares, -1, gaussian, gaussian_h2)
        w = cv2.exp(-distance[patch:-patch, patch:-patch])
        # A weight applies to both pixels of a pair.
        weights[pixels] += w
        weights[neighbours] += w
        total[:, *pixels] += w * planes[:, *neighbours]
        total[:, *neighbours] += w * planes[:, *pixels]
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
    upper, lower = slice(0, -dy or None), slice(dy, None)
    left, right = slice(0, -abs(dx) or None), slice(abs(dx), None)
    return ((upper, left), (lower, right)) if dx >= 0 else ((upper, right), (lower, left))
