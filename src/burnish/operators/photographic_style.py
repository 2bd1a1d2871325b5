"""Photographic style transfer by local Laplacian filters (Aubry et al. 2014).

A photo gets the tones and the texture of a reference photo. First its histogram is matched to the
reference's, then alternately the histogram of its gradients and its histogram again. Gradients are
matched by a local Laplacian filter that remaps with the transfer function, so that it acts on
detail of every size.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators import luminance
from burnish.operators.local_laplacian import Plane, local_laplacian_filter, remap_curve

# Values are ranked in steps of 16 bits, which ignores rounding, and gradients in steps of 10 bits.
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
    reference : ndarray of shape (h, w, 3), floating, in [0, 1]: the photo whose style is imitated
    iterations : number of times that gradients and histogram are matched, 1 to 10; a larger value
        brings the texture closer to the reference's and takes longer
    gain : the largest factor on a difference in one iteration, 1 to 8; a larger value strengthens
        faint texture more, and noise with it
    references : N of `burnish.operators.local_laplacian`, at least 2; a larger value is slower and
        more accurate

    Returns
    -------
    ndarray of shape (H, W, 3), three equal channels, within the range of the reference

    Notes
    -----
    The transfer function maps a gradient magnitude of the photo to the one of equal rank in the
    reference, t(x) = F_reference^-1(F_photo(x)). Beyond the photo's largest gradient, where there
    are no ranks, its slope is 1. The filter remaps i about g to g + sign(i - g) t(|i - g|).
    Gradients are forward differences per pixel, so a reference with more pixels than the photo is
    reduced to as many.

    Differences from the paper: t is bounded by gain * x. Without the bound, noise and JPEG blocks
    of smooth areas are strengthened without limit. Histograms are matched by rank, with equal
    values at their mean rank, and not by bins between minimum and maximum, so that a single pixel
    does not change the others. Matching can stretch a smooth sky strongly, which shows compression
    artefacts.

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
        filtered = local_laplacian_filter(O, remap_curve(t, sigma=1.0), references)
        O = _match_histogram(filtered, M_values)  # noqa: E741
    return np.repeat(O[..., None], 3, axis=2)


def _shrink(photo: NDArray[np.floating], max_pixels: int) -> NDArray[np.floating]:
    """Reduce a photo to about `max_pixels` if it has more."""
    height, width = photo.shape[:2]
    scale = (max_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return photo
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), photo.dtype)


def _gradient_magnitude(I: Plane) -> Plane:  # noqa: E741
    """Return the magnitude of forward differences, which are 0 across the border."""
    x, y = np.diff(I, axis=1, append=I[:, -1:]), np.diff(I, axis=0, append=I[-1:])
    magnitude: Plane = np.hypot(x, y)
    return magnitude


def _match_histogram(I: Plane, values: NDArray[np.floating]) -> Plane:  # noqa: E741
    """Replace each value by the one of equal rank among the sorted `values`."""
    level = np.rint((I - I.min()) * VALUE_LEVELS).astype(np.int32)
    count = np.bincount(level.ravel())
    rank = (np.cumsum(count) - count / 2) / I.size
    matched: Plane = _quantile(values, rank).astype(I.dtype)[level]
    return matched


def _transfer_function(
    gradient: Plane, target: NDArray[np.floating], gain: float
) -> NDArray[np.floating]:
    """Return t at evenly spaced points of [0, 1]."""
    x = np.arange(GRADIENT_LEVELS + 1) / GRADIENT_LEVELS
    step = np.ceil(np.minimum(gradient, 1) * GRADIENT_LEVELS).astype(np.int32)
    rank = np.cumsum(np.bincount(step.ravel(), minlength=GRADIENT_LEVELS + 1)) / gradient.size
    excess = np.maximum(x - gradient.max(), 0)
    t: NDArray[np.floating] = np.minimum(_quantile(target, rank) + excess, gain * x)
    return t


def _quantile(values: NDArray[np.floating], rank: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values at the given ranks, 0 to 1, interpolated between sorted `values`."""
    centres = (np.arange(values.size) + 0.5) / values.size
    result: NDArray[np.float64] = np.interp(rank, centres, values)
    return result
