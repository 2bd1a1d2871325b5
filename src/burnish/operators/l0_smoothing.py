"""Image smoothing via L0 gradient minimization (Xu, Lu, Xu, Jia 2011).

The output S is close to the photo I and has few pixels with a gradient other than 0:

    min_S  sum_p (S_p - I_p)^2  +  lambda * #{p : |dx S_p| + |dy S_p| != 0}          (paper, eq. 6)

Half-quadratic splitting introduces a copy (h, v) of the gradient, tied to it by a growing weight
beta, and minimises over the copy and S alternately. Both steps are exact.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from burnish.operators import thread_count

# The paper's final beta.
BETA_MAX = 1e5


def l0_smoothing(
    rgb: NDArray[np.float32], lambda_: float = 0.02, kappa: float = 2.0
) -> NDArray[np.float32]:
    """Flatten low-contrast detail and keep the strongest edges sharp.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, C), floating, in [0, 1]; computed in its own precision
    lambda_ : weight of the count of edges, 0.002 to 0.2; a larger value leaves fewer edges
    kappa : growth of beta in each iteration, 1.05 to 8; a larger value is faster and less exact

    Returns
    -------
    ndarray of shape (H, W, C); may leave [0, 1] slightly next to strong edges

    Notes
    -----
    Borders are circular, because the problem is solved by a Fourier transform.

    References
    ----------
    L. Xu, C. Lu, Y. Xu, J. Jia: Image Smoothing via L0 Gradient Minimization. ACM Transactions on
    Graphics 30(6), 2011. https://doi.org/10.1145/2070781.2024208

    Examples
    --------
    A step of 0.5 survives, a ripple of 0.02 does not:

    >>> step = np.repeat([[0.2], [0.22], [0.2], [0.7], [0.72], [0.7]], 6, axis=1)[..., None]
    >>> np.round(l0_smoothing(step)[:, 0, 0], 2)
    array([0.21, 0.21, 0.21, 0.71, 0.71, 0.71])
    """
    I = np.ascontiguousarray(np.moveaxis(rgb, 2, 0))  # noqa: E741 the paper's own name
    size = I.shape[1:]
    F_I = scipy.fft.rfft2(I, workers=thread_count())
    F_gradient = _gradient_spectrum(*size).astype(I.dtype)

    S = I
    beta = 2 * lambda_
    while beta < BETA_MAX:
        h, v = _gradient(S)
        # Keep a gradient where dropping it would cost more than an edge does (eq. 12).
        edge = (h * h + v * v).sum(axis=0) > lambda_ / beta
        h *= edge
        v *= edge
        # The quadratic problem in S is diagonal in the Fourier domain (eq. 8).
        F_S = scipy.fft.rfft2(_gradient_adjoint(h, v), workers=thread_count())
        F_S *= beta
        F_S += F_I
        F_S /= 1 + beta * F_gradient
        S = scipy.fft.irfft2(F_S, s=size, overwrite_x=True, workers=thread_count())
        beta *= kappa
    return np.moveaxis(S, 0, 2)


def _gradient(S: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the forward differences along x and y."""
    h, v = np.roll(S, -1, axis=2), np.roll(S, -1, axis=1)
    h -= S
    v -= S
    return h, v


def _gradient_adjoint(h: NDArray[np.floating], v: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the adjoint of `_gradient`: negated backward differences, summed."""
    result = np.roll(h, 1, axis=2)
    result -= h
    result += np.roll(v, 1, axis=1)
    result -= v
    return result


def _gradient_spectrum(height: int, width: int) -> NDArray[np.float64]:
    """Return |F(dx)|^2 + |F(dy)|^2 on the half plane of a real transform."""
    along_y = 2 - 2 * np.cos(2 * np.pi * scipy.fft.fftfreq(height))
    along_x = 2 - 2 * np.cos(2 * np.pi * scipy.fft.rfftfreq(width))
    spectrum: NDArray[np.float64] = along_y[:, None] + along_x[None, :]
    return spectrum
