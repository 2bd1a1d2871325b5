"""Multi-scale retinex of the intensity (Jobson, Rahman, Woodell 1997).

The retinex is the logarithm of a pixel's intensity relative to its surroundings at three scales:

    R = 1/3 sum_n [log I - log(F_n * I)],    F_n = K exp(-r^2 / c_n^2)                (paper, eq. 3)

It is stretched to [0, 1] and becomes the new intensity. The colour of each pixel is multiplied by
the ratio of the new to the old intensity.
"""

from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from burnish.operators import thread_count


def multi_scale_retinex(
    rgb: NDArray[np.float32],
    small: float = 15.0,
    medium: float = 80.0,
    large: float = 250.0,
    clipped: float = 1.0,
    amount: float = 0.5,
) -> NDArray[np.floating]:
    """Brighten shadows and darken highlights, like an eye that adapts to each part of a scene.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    small, medium, large : the scales c_n, 2 to 1000 px; larger values show coarser detail and keep
        the tones of larger areas
    clipped : percentage of the pixels that the stretch turns black, and as many white, 0.01 to 5;
        a larger value stretches contrast more
    amount : weight of the retinex against the photo, 0 to 1; a larger value is stronger

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    I is the mean of the sRGB-encoded R, G and B, scaled to 255 I + 1 so that black has a logarithm.
    R is stretched linearly so that its percentiles `clipped` and 100 - `clipped` become 0 and 1,
    and is clipped to that range. A photo without contrast is returned unchanged. The factor on a
    pixel is reduced if one of its channels would exceed 1.

    The paper processes each channel, which turns photos grey, and then restores colour by a rule
    with empirical constants. This is the variant on intensity of Petro, Sbert and Morel (2014),
    which keeps colours. Their result is that of amount 1, which is too strong for most photos.

    The stretch depends on the whole photo. A large area that is almost black turns grey, with a
    dark halo around bright objects. The blurs are exact Gaussians of standard deviation
    c_n / sqrt(2). At the border the photo is mirrored, with the edge pixel repeated.

    References
    ----------
    D. J. Jobson, Z. Rahman, G. A. Woodell: A Multiscale Retinex for Bridging the Gap Between Color
    Images and the Human Observation of Scenes. IEEE Transactions on Image Processing 6(7), 1997.
    https://doi.org/10.1109/83.597272

    A. B. Petro, C. Sbert, J.-M. Morel: Multiscale Retinex. Image Processing On Line 4, 2014.
    https://doi.org/10.5201/ipol.2014.107

    Examples
    --------
    The shadowed half of a scene is brightened:

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
    # The lower bounds avoid divisions by 0; black stays black.
    brightest = np.maximum(rgb.max(axis=2), 1e-6)
    factor = np.minimum(stretched / np.maximum(intensity, 1e-6), 1 / brightest)
    adapted: NDArray[np.floating] = rgb * (1 + amount * (factor - 1))[..., None]
    return adapted


def _gaussian_blurs(
    plane: NDArray[np.floating], scales: tuple[float, ...]
) -> Iterator[NDArray[np.floating]]:
    """Convolve with F_n by cosine transforms, which mirror at the border."""
    spectrum = scipy.fft.dctn(plane, workers=thread_count())
    frequencies = [np.pi * np.arange(size) / size for size in plane.shape]
    for c in scales:
        along_y, along_x = (np.exp(-((c * w / 2) ** 2)).astype(plane.dtype) for w in frequencies)
        blurred = scipy.fft.idctn(spectrum * along_y[:, None] * along_x, workers=thread_count())
        # Rounding could make a blur of positive values negative.
        yield np.maximum(blurred, 1)
