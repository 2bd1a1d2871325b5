"""Photographic style transfer by local Laplacian filters (Aubry et al. 2014).

A photo is given the tones and the texture of another: first its histogram, then by turns the
histogram of its gradients and its histogram again. Gradients are transferred by a local Laplacian
filter whose remapping function is the transfer function, so that detail of every size takes part.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.local_laplacian import local_laplacian_filter, remap_curve
from burnish.operators.luminance import luminance
from burnish.operators.pyramid import Plane

# Values are ranked in steps of 16 bits, which ignores rounding, gradients in those of 10.
VALUE_LEVELS = 2**16
GRADIENT_LEVELS = 2**10


def photographic_style(
    rgb: NDArray[np.float32],
    reference: NDArray[np.float32],
    iterations: int = 4,
    gain: float = 2.0,
    references: int = 32,
) -> NDArray[np.floating]:
    """Make a black-and-white photo in the style of another.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    reference : ndarray of shape (h, w, 3), floating, in [0, 1], of any size: the photo whose look
        is wanted
    iterations : 1 to 10; how often gradients and histogram are matched; more bring the texture
        nearer to the reference's
    gain : 1 to 8; how much an iteration may strengthen a difference at most; less keeps what is
        smooth free of noise
    references : N of `burnish.operators.local_laplacian`, at least 2

    Returns
    -------
    ndarray of shape (H, W, 3), three times the same grey, within the range of the reference

    Notes
    -----
    The transfer function takes a gradient magnitude of the photo to the one of equal rank in the
    reference: t = F_reference^-1(F_photo(x)), with slope 1 beyond the photo's largest, where ranks
    say nothing. The filter remaps i about g to g + sign(i - g) t(|i - g|). Gradients are forward
    differences per pixel; a reference with more pixels than the photo is reduced to as many, so
    that both are looked at alike.

    Differences from the paper: t is held to gain * x, which the paper does not bound. Without it
    the noise and JPEG blocks of what is smooth are strengthened without limit; photos full of
    texture hardly change. Histograms are matched by rank, ties at the middle of their ranks, and
    not by bins between minimum and maximum, so that no single pixel moves the rest. The authors'
    program adds the filtered pyramid to the photo's own and divides by 255 twice; here the paper is
    followed.

    Matching a histogram stretches a smooth sky as far as the reference's tones ask: take photos
    that were not compressed much.

    References
    ----------
    M. Aubry, S. Paris, S. W. Hasinoff, J. Kautz, F. Durand: Fast Local Laplacian Filters: Theory
    and Applications. ACM Transactions on Graphics 33(5), 2014. https://doi.org/10.1145/2629645

    Examples
    --------
    A soft ramp takes the range of a harder one:

    >>> ramp = np.repeat(np.linspace(0.4, 0.6, 9), 3).reshape(1, 9, 3)
    >>> hard = np.repeat(np.linspace(0, 1, 9), 3).reshape(1, 9, 3)
    >>> np.round(photographic_style(ramp, hard)[0, :, 0], 2)
    array([0.  , 0.12, 0.25, 0.38, 0.5 , 0.62, 0.75, 0.88, 1.  ])
    """
    I = luminance(rgb)  # noqa: E741 the paper's own name
    M = luminance(_shrink(reference.astype(I.dtype), I.size))
    M_values, M_gradients = np.sort(M, axis=None), np.sort(_gradient_magnitude(M), axis=None)
    O = _match_histogram(I, M_values)  # noqa: E741
    for _ in range(iterations):
        t = _transfer_function(_gradient_magnitude(O), M_gradients, gain)
        O = _match_histogram(
            local_laplacian_filter(O, remap_curve(t, sigma=1.0), references), M_values
        )
    return np.repeat(O[..., None], 3, axis=2)


def _shrink(photo: NDArray[np.floating], max_pixels: int) -> NDArray[np.floating]:
    """Shrink a photo that has more pixels than these."""
    height, width = photo.shape[:2]
    scale = (max_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return photo
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), photo.dtype)


def _gradient_magnitude(I: Plane) -> Plane:  # noqa: E741
    """Return the magnitude of forward differences, 0 across the last row and column."""
    x, y = np.diff(I, axis=1, append=I[:, -1:]), np.diff(I, axis=0, append=I[-1:])
    magnitude: Plane = np.hypot(x, y)
    return magnitude


def _match_histogram(I: Plane, values: NDArray[np.floating]) -> Plane:  # noqa: E741
    """Give each pixel the value that has its rank among the sorted `values`."""
    level = np.rint((I - I.min()) * VALUE_LEVELS).astype(np.int32)
    count = np.bincount(level.ravel())
    rank = (np.cumsum(count) - count / 2) / I.size
    matched: Plane = _quantile(values, rank).astype(I.dtype)[level]
    return matched


def _transfer_function(
    gradient: Plane, target: NDArray[np.floating], gain: float
) -> NDArray[np.floating]:
    """Return t at even steps on [0, 1]."""
    x = np.arange(GRADIENT_LEVELS + 1) / GRADIENT_LEVELS
    step = np.ceil(np.minimum(gradient, 1) * GRADIENT_LEVELS).astype(np.int32)
    rank = np.cumsum(np.bincount(step.ravel(), minlength=GRADIENT_LEVELS + 1)) / gradient.size
    excess = np.maximum(x - gradient.max(), 0)
    t: NDArray[np.floating] = np.minimum(_quantile(target, rank) + excess, gain * x)
    return t


def _quantile(values: NDArray[np.floating], rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate between sorted values, each at the middle of its share of the ranks."""
    centres = (np.arange(values.size) + 0.5) / values.size
    result: NDArray[np.float64] = np.interp(rank, centres, values)
    return result
