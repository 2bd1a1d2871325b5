"""The anisotropic Kuwahara filter (Kyprianidis, Kang, Doellner 2009): a photo as if painted in oil.

Around every pixel lies an ellipse, stretched along the local edges and divided into eight
overlapping sectors. The output is the weighted mean of the sectors' mean colours m_k, where a
sector of low variance s_k^2 weighs far more than one that an edge crosses:

    sum_k alpha_k m_k / sum_k alpha_k,    alpha_k = 1 / (1 + (255 s_k^2)^(q / 2))

Flat patches with sharp outlines remain, like brush strokes.
"""

import math

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from burnish.operators.kernels import parallel_njit

SECTORS = 8
# The weight of the sector along x is [x + ZETA - ETA y^2]^2, which overlaps a quarter of the next.
ZETA = 1 / 3
_GAMMA = 3 * math.pi / (2 * SECTORS)
ETA = (ZETA + math.cos(_GAMMA)) / math.sin(_GAMMA) ** 2
# Standard deviation of the Gaussian on all weights, where the ellipse has radius 1.
SIGMA_R = 0.4


def kuwahara(
    rgb: NDArray[np.float32],
    radius: float = 4.0,
    q: float = 8.0,
    alpha: float = 1.0,
    sigma: float = 2.0,
) -> NDArray[np.floating]:
    """Paint in patches of flat colour that follow the edges.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    radius : radius of the circle that the ellipse becomes where edges have no direction, 1 to
        16 px. The time grows with its square
    q : weight of low variance, 1 to 16; a larger value makes outlines sharper
    alpha : roundness of the ellipse, 0.25 to 8. The ellipse is at most 1 + 1 / alpha times as long
        as that circle, and has the same area
    sigma : standard deviation of the averaging of directions, 0.5 to 8 px

    Returns
    -------
    ndarray of shape (H, W, 3), within the range of `rgb`

    Notes
    -----
    The sectors' weights are the polynomials of 2010 (below), which have a closed form, instead of
    the blurred and tabulated sectors of 2009. s_k^2 is the variance in [0, 1] summed over the
    channels. At the border the image is mirrored, without repeating the edge pixel.

    References
    ----------
    J. E. Kyprianidis, H. Kang, J. Doellner: Image and Video Abstraction by Anisotropic Kuwahara
    Filtering. Computer Graphics Forum 28(7), 2009. https://doi.org/10.1111/j.1467-8659.2009.01574.x

    J. E. Kyprianidis, A. Semmo, H. Kang, J. Doellner: Anisotropic Kuwahara Filtering with
    Polynomial Weighting Functions. EG UK Theory and Practice of Computer Graphics 2010, 25-30.
    https://doi.org/10.2312/LocalChapterEvents/TPCG/TPCG10/025-030

    Examples
    --------
    A step is kept, and a ripple is removed:

    >>> step = np.where(np.arange(40) < 20, 0.2, 0.8) + 0.04 * np.sin(2.0 * np.arange(40))
    >>> rgb = np.broadcast_to(step[None, :, None], (40, 40, 3))
    >>> np.round(kuwahara(rgb)[20, 16:24, 0], 1)
    array([0.2, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8])
    """
    direction, anisotropy = edge_orientation(rgb, sigma)
    margin = math.ceil(radius * (1 + 1 / alpha))
    padded = cv2.copyMakeBorder(rgb, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
    result = np.empty(rgb.shape, rgb.dtype)
    _filter_rows(padded, margin, direction, anisotropy, radius, q, alpha, result)
    return result


def edge_orientation(
    rgb: NDArray[np.floating], sigma: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the angle of the edges, from x to y, and their anisotropy, 0 to 1; both (H, W)."""
    x = cv2.Sobel(rgb, -1, 1, 0, borderType=cv2.BORDER_REFLECT_101)
    y = cv2.Sobel(rgb, -1, 0, 1, borderType=cv2.BORDER_REFLECT_101)
    tensor = np.stack([(x * x).sum(axis=2), (x * y).sum(axis=2), (y * y).sum(axis=2)], axis=2)
    tensor = cv2.GaussianBlur(tensor, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    E, F, G = np.moveaxis(tensor, 2, 0)
    # The eigenvalues are (E + G +- root) / 2; an edge runs along the vector of the smaller one.
    root = np.hypot(E - G, 2 * F)
    direction = np.arctan2(-2 * F, G - E + root)
    direction[(F == 0) & (E >= G)] = np.pi / 2
    anisotropy = np.divide(root, E + G, out=np.zeros_like(root), where=E + G > 0)
    return direction, np.minimum(anisotropy, 1)


@parallel_njit()
def _filter_rows(padded, margin, direction, anisotropy, radius, q, alpha, result):  # type: ignore[no-untyped-def]
    height, width, _ = result.shape
    cosines = np.cos(2 * np.pi / SECTORS * np.arange(SECTORS)).astype(padded.dtype)
    sines = np.sin(2 * np.pi / SECTORS * np.arange(SECTORS)).astype(padded.dtype)
    for row in numba.prange(height):
        sums = np.empty((5, SECTORS), padded.dtype)
        for column in range(width):
            stretch = (alpha + anisotropy[row, column]) / alpha
            a, b = radius * stretch, radius / stretch
            angle = direction[row, column]
            y, x = row + margin, column + margin
            sums[:] = 0
            _accumulate_sectors(padded, y, x, angle, a, b, cosines, sines, sums)
            _blend_sectors(sums, padded[y, x], q, result[row, column])


@numba.njit(cache=True)
def _accumulate_sectors(padded, row, column, angle, a, b, cosines, sines, sums):  # type: ignore[no-untyped-def]
    """Sum the weights, the weighted colours and their squares for every sector.

    Colours are relative to the centre pixel, which avoids cancellation in the variance.
    """
    cosine, sine = math.cos(angle), math.sin(angle)
    centre = padded[row, column]
    weights = np.empty(SECTORS, padded.dtype)
    reach_x = int(math.sqrt((a * cosine) ** 2 + (b * sine) ** 2))
    reach_y = int(math.sqrt((a * sine) ** 2 + (b * cosine) ** 2))
    for dy in range(-reach_y, reach_y + 1):
        for dx in range(-reach_x, reach_x + 1):
            x = padded.dtype.type((dx * cosine + dy * sine) / a)
            y = padded.dtype.type((dy * cosine - dx * sine) / b)
            distance = x * x + y * y
            if distance > 1:
                continue
            pixel = padded[row + dy, column + dx]
            R, G, B = pixel[0] - centre[0], pixel[1] - centre[1], pixel[2] - centre[2]
            square = R * R + G * G + B * B
            total = _sector_weights(x, y, cosines, sines, weights)
            scale = padded.dtype.type(math.exp(-distance / (2 * SIGMA_R**2)) / total)
            for k in range(SECTORS):
                w = weights[k] * scale
                sums[0, k] += w
                sums[1, k] += w * R
                sums[2, k] += w * G
                sums[3, k] += w * B
                sums[4, k] += w * square


@numba.njit(cache=True)
def _sector_weights(x, y, cosines, sines, weights):  # type: ignore[no-untyped-def]
    """Write max(u + ZETA - ETA v^2, 0)^2 for every sector and return the sum.

    (u, v) is (x, y) rotated back by the sector's angle.
    """
    zeta, eta, zero = weights.dtype.type(ZETA), weights.dtype.type(ETA), weights.dtype.type(0)
    total = zero
    for k in range(SECTORS):
        u = x * cosines[k] + y * sines[k]
        v = y * cosines[k] - x * sines[k]
        height = max(u + zeta - eta * v * v, zero)
        weights[k] = height * height
        total += weights[k]
    return total


@numba.njit(cache=True)
def _blend_sectors(sums, centre, q, result):  # type: ignore[no-untyped-def]
    """Write the mean of the sectors' mean colours, weighted by their evenness alpha_k."""
    total = 0.0
    R = G = B = 0.0
    for k in range(SECTORS):
        weight = sums[0, k]  # above 0, since every sector contains the centre pixel
        r, g, b = sums[1, k] / weight, sums[2, k] / weight, sums[3, k] / weight
        variance = max(sums[4, k] / weight - (r * r + g * g + b * b), 0.0)
        evenness = 1 / (1 + (255 * variance) ** (q / 2))
        total += evenness
        R += evenness * r
        G += evenness * g
        B += evenness * b
    result[0] = centre[0] + R / total
    result[1] = centre[1] + G / total
    result[2] = centre[2] + B / total
