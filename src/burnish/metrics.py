"""Metrics: how close an image comes to a target."""

import math
from dataclasses import dataclass

import numpy as np

from burnish.types import Pixels

# dB. Equal images have an infinite PSNR, which JSON cannot hold.
MAX_PSNR = 120.0

# Side of the window of SSIM, px. Smaller images have no score.
MIN_SSIM_SIDE = 11

# An image whose mean is below one 8-bit code is nearly black, so that a black output may be right.
MIN_VISIBLE_MEAN = 1 / 255


@dataclass(frozen=True)
class Score:
    """Errors of an image against its target, or their means over several images.

    Attributes
    ----------
    psnr : in dB, for a peak of 1
    ssim : mean over the colour channels
    """

    mse: float
    psnr: float
    ssim: float


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
    return Score(error, psnr(error), float(ssim))


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
