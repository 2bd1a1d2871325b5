"""Metrics: how close an image comes to a target."""

import math
from dataclasses import dataclass

import numpy as np

from burnish.types import Pixels

# dB. Equal images have an infinite PSNR, which JSON cannot hold.
MAX_PSNR = 120.0

# Side of the window of SSIM, px. Smaller images have no score.
MIN_SSIM_SIDE = 11

# px: the standard deviation of the blur that removes detail before colours are compared.
CAST_SIGMA = 8
# px: the distance of the rows and columns at which blurred images are compared.
CAST_STEP = 4
CAST_PERCENTILE = 99

# px: the sides of the windows in which a target must be flat, and over which grain has no mean.
FLAT_WINDOW = 5
GRAIN_WINDOW = 17
# The largest standard deviation in a flat window: half an 8-bit code.
MAX_FLAT_DEVIATION = 0.5 / 255
# An image with a smaller part of flat pixels has no grain.
MIN_FLAT_FRACTION = 0.01

# An image whose mean is below one 8-bit code is nearly black, so that a black output may be right.
MIN_VISIBLE_MEAN = 1 / 255


@dataclass(frozen=True)
class Score:
    """Errors of an image against its target, or their means over several images.

    Attributes
    ----------
    psnr : in dB, for a peak of 1
    ssim : mean over the colour channels
    cast, grain : see the functions of these names
    """

    mse: float
    psnr: float
    ssim: float
    cast: float
    grain: float | None


def score(output: Pixels, target: Pixels) -> Score:
    """Return the errors of an image (H, W, 3) in [0, 1] of at least 11 x 11 pixels.

    SSIM is defined as by Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861), with a
    Gaussian window of sigma 1.5.
    """
    from skimage.metrics import structural_similarity

    error = mse(output, target)
    ssim = structural_similarity(  # type: ignore[no-untyped-call]
        output,
        target,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return Score(error, psnr(error), float(ssim), cast(output, target), grain(output, target))


def cast(output: Pixels, target: Pixels) -> float:
    """Return how far colours are off in areas, whatever the detail in them.

    Both images are blurred with a Gaussian of sigma 8 px, and compared at every fourth row and
    column. The cast is the 99th percentile of their difference by CIEDE2000
    (https://doi.org/10.1002/col.20070). A difference of about 2.3 is just noticeable, by Mahy et
    al. 1994 for the older formula of CIELAB (https://doi.org/10.1111/j.1520-6378.1994.tb00070.x).

    Shape: (H, W, 3), in [0, 1], twice

    Examples
    --------
    >>> grey = np.full((32, 32, 3), 0.5, np.float32)
    >>> cast(grey, grey), round(cast(grey + np.float32([0.02, 0, 0]), grey), 1)
    (0.0, 2.8)
    """
    from scipy.ndimage import gaussian_filter
    from skimage.color import deltaE_ciede2000, rgb2lab

    output_lab, target_lab = (
        rgb2lab(gaussian_filter(image, (CAST_SIGMA, CAST_SIGMA, 0))[::CAST_STEP, ::CAST_STEP])
        for image in (output, target)
    )
    differences = deltaE_ciede2000(target_lab, output_lab)  # type: ignore[no-untyped-call]
    return float(np.percentile(differences, CAST_PERCENTILE))


def grain(output: Pixels, target: Pixels) -> float | None:
    """Return the RMS of the texture that an image has where its target is flat, in 8-bit codes.

    The target is flat where its standard deviation in a window of 5 x 5 pixels is below half a
    code in each channel. Texture is the error of these pixels minus its mean over those of them in
    a window of 17 x 17, which removes shifts of colour.

    Shape: (H, W, 3), in [0, 1], twice

    Returns
    -------
    The RMS; None if less than a hundredth of the target is flat

    Examples
    --------
    >>> checkerboard = np.indices((64, 64)).sum(axis=0)[..., None].repeat(3, axis=2) % 2
    >>> round(grain(0.3 + 4 / 255 * checkerboard, np.zeros((64, 64, 3))), 2)
    2.0
    """
    from scipy.ndimage import uniform_filter

    flat = np.ones(target.shape[:2], bool)
    for channel in range(3):
        values = target[..., channel].astype(np.float64)
        mean_square = uniform_filter(np.square(values), FLAT_WINDOW)
        variance = mean_square - np.square(uniform_filter(values, FLAT_WINDOW))
        flat &= variance < MAX_FLAT_DEVIATION**2
    if flat.mean() < MIN_FLAT_FRACTION:
        return None
    flat_fraction = uniform_filter(flat.astype(np.float64), GRAIN_WINDOW)[flat]
    variances = []
    for channel in range(3):
        error = output[..., channel].astype(np.float64) - target[..., channel]
        error[~flat] = 0
        shift = uniform_filter(error, GRAIN_WINDOW)[flat] / flat_fraction
        variances.append(np.mean(np.square(error[flat] - shift)))
    return float(255 * np.sqrt(np.mean(variances)))


def mse(output: Pixels, target: Pixels) -> float:
    """Return the mean squared error of two images of equal shape, in double precision."""
    return float(np.mean(np.square(output.astype(np.float64) - target)))


def psnr(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in dB for a peak of 1, at most `MAX_PSNR`.

    Examples
    --------
    >>> psnr(0.01), psnr(0)
    (20.0, 120.0)
    """
    if not mean_squared_error > 0:
        return MAX_PSNR
    return min(MAX_PSNR, -10 * math.log10(mean_squared_error))


def went_black(before: Pixels, after: Pixels) -> bool:
    """Return whether a visible image became entirely black, which no operator intends.

    Examples
    --------
    >>> grey, black = np.full((2, 2, 3), 0.5), np.zeros((2, 2, 3))
    >>> went_black(grey, black), went_black(black, black), went_black(grey, grey)
    (True, False, False)
    """
    return not after.any() and float(before.mean()) > MIN_VISIBLE_MEAN
