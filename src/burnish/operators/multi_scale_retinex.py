"""Multi-scale retinex of the intensity (Jobson, Rahman, Woodell 1997).

The logarithm of a pixel's intensity, relative to that of its surroundings at three scales:

    R = 1/3 sum_n [log I - log(F_n * I)],    F_n = K exp(-r^2 / c_n^2)                (paper, eq. 3)

stretched to the range of a photo. Every pixel's colour is then multiplied by what its intensity was
multiplied by.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from burnish.operators.threads import thread_count


def multi_scale_retinex(
    rgb: NDArray[np.float32],
    small: float = 15.0,
    medium: float = 80.0,
    large: float = 250.0,
    clipped: float = 1.0,
    amount: float = 0.5,
) -> NDArray[np.floating]:
    """Open shadows and tame highlights, as the eye does that adapts to each part of a scene.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    small, medium, large : the scales c_n, 2 to 1000 px; small ones show detail, large ones keep
        the tones of areas
    clipped : how many pixels the stretch may turn black, and how many white, 0.01 to 5 percent
    amount : how much of the way to go from the photo to the retinex, 0 to 1

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    I is the mean of R, G and B, sRGB-encoded, as 255 I + 1 so that black has a logarithm. R is
    stretched linearly so that its percentiles `clipped` and 100 - `clipped` of this photo become 0
    and 1, and cut off there; a photo without contrast is returned as it is. Then
    all three channels of a pixel are multiplied by the ratio of the new to the old intensity, or by
    less where one of them would leave the range. This is the form on intensity of Petro, Sbert and
    Morel (2014), which keeps colours: the paper works on each channel, which turns photos grey, and
    then restores colour by a rule with constants found by trial. The full way, at an amount of 1,
    is theirs; on photos that need little help it is more than one wants to see.

    Where a large area is almost black there is nothing to adapt to: it turns grey, with a dark halo
    around what is bright in it.

    The stretch depends on the whole photo: a crop gets another. The blurs are exact Gaussians of
    standard deviation c_n / sqrt(2), by cosine transforms; at the border the photo is mirrored, the
    edge pixel included, as often as it takes.

    References
    ----------
    D. J. Jobson, Z. Rahman, G. A. Woodell: A Multiscale Retinex for Bridging the Gap Between Color
    Images and the Human Observation of Scenes. IEEE Transactions on Image Processing 6(7), pages
    965-976, 1997. https://doi.org/10.1109/83.597272

    A. B. Petro, C. Sbert, J.-M. Morel: Multiscale Retinex. Image Processing On Line 4, pages 71-88,
    2014. https://doi.org/10.5201/ipol.2014.107

    Examples
    --------
    Of a scene half in shadow, the shadow is opened:

    >>> texture = 0.7 + 0.2 * np.sin(np.arange(64))[:, None, None] * np.ones((1, 64, 3))
    >>> texture[:, 32:] *= 0.2
    >>> adapted = multi_scale_retinex(texture, amount=1)
    >>> texture[:, 48].mean().round(1), adapted[:, 48].mean().round(1)
    (np.float64(0.1), np.float64(0.3))
    """
    intensity = rgb.mean(axis=2)
    scaled_intensity = 255 * intensity + 1
    R = np.log(scaled_intensity)
    for surround in _gaussian_blurs(scaled_intensity, (small, medium, large)):
        R -= np.log(surround) / 3
    low, high = np.percentile(R, (clipped, 100 - clipped))
    if high - low < 1e-4:  # rounding, not contrast
        return rgb.copy()
    stretched = np.clip((R - low) / (high - low), 0, 1).astype(rgb.dtype)
    # Black stays black: it has no colour to keep.
    brightest = np.maximum(rgb.max(axis=2), 1e-6)
    factor = np.minimum(stretched / np.maximum(intensity, 1e-6), 1 / brightest)
    adapted: NDArray[np.floating] = rgb * (1 + amount * (factor - 1))[..., None]
    return adapted


def _gaussian_blurs(
    plane: NDArray[np.floating], scales: tuple[float, ...]
) -> list[NDArray[np.floating]]:
    """Convolve with F_n. Mirroring at half a pixel makes cosines of a Fourier transform."""
    spectrum = scipy.fft.dctn(plane, workers=thread_count())
    frequencies = [np.pi * np.arange(size) / size for size in plane.shape]
    blurs = []
    for c in scales:
        along_y, along_x = (np.exp(-((c * w / 2) ** 2)).astype(plane.dtype) for w in frequencies)
        blurred = scipy.fft.idctn(spectrum * along_y[:, None] * along_x, workers=thread_count())
        # A Gaussian of positive values is positive; rounding is not.
        blurs.append(np.maximum(blurred, 1))
    return blurs
