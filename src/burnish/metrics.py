"""Fidelity: how close one picture comes to another."""

import math

import numpy as np
from numpy.typing import NDArray

# Equal pictures are infinitely close; no JSON holds that, and no eye needs more.
MAX_PSNR = 120.0

# An average below one step of an 8-bit picture is a photo of the night; black may be right for it.
MIN_VISIBLE_MEAN = 1 / 255


def mse(output: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Mean squared error of two pictures of one shape, in double precision."""
    return float(np.mean(np.square(output.astype(np.float64) - target)))


def psnr(mean_squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error, the peak being 1; at most 120.

    Examples
    --------
    >>> psnr(0.01), psnr(0)
    (20.0, 120.0)
    """
    return (
        min(MAX_PSNR, -10 * math.log10(mean_squared_error)) if mean_squared_error > 0 else MAX_PSNR
    )


def went_black(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Tell whether a picture became all black that was not, which no operator means to do.

    Examples
    --------
    >>> grey, black = np.full((2, 2, 3), 0.5), np.zeros((2, 2, 3))
    >>> went_black(grey, black), went_black(black, black), went_black(grey, grey)
    (True, False, False)
    """
    return not after.any() and float(before.mean()) > MIN_VISIBLE_MEAN
