"""Fidelity: how close one picture comes to another."""

import math

import numpy as np
from numpy.typing import NDArray

# Equal pictures are infinitely close; no JSON holds that, and no eye needs more.
MOST_PSNR = 120.0


def mse(result: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Mean squared error of two pictures of one shape, in double precision."""
    return float(np.mean(np.square(result.astype(np.float64) - target)))


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error, the peak being 1; at most 120.

    Examples
    --------
    >>> psnr(0.01), psnr(0)
    (20.0, 120.0)
    """
    return min(MOST_PSNR, -10 * math.log10(error)) if error > 0 else MOST_PSNR
