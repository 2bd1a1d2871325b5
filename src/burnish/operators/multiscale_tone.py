"""Multi-scale tone manipulation by edge-preserving decompositions (Farbman et al. 2008).

An edge-preserving smoother splits a photo's lightness L into a base u1 and two layers of detail:

    L = u1 + (u0 - u1) + (L - u0)

with u0 smoothed slightly and u1 strongly. Each part goes through its own S-curve. The smoother, by
weighted least squares, minimises for a given g

    sum_p (u_p - g_p)^2 + a_x (dx u)_p^2 + a_y (dy u)_p^2,   a = lambda / (|d log g|^alpha + eps)
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from burnish.operators.wls_solver import Plane, edge_weights, solve

ALPHA = 1.2
EPS = 1e-4
LAMBDA_MEDIUM, LAMBDA_COARSE = 0.125, 0.5
# Lightness of middle grey, the fixed point of the base's S-curve.
MIDDLE_LIGHTNESS = 56.0
SATURATION = 1.1
# The authors' three renderings: exposure, and steepness of the S-curves of detail, middle and base.
FINE, MEDIUM, COARSE = (1.0, 25, 1, 1), (1.0, 1, 40, 1), (1.1, 4, 1, 15)
# Relative residual of the linear systems. It is small because the S-curves amplify the error.
TOLERANCE = 1e-5


def multiscale_tone(
    rgb: NDArray[np.float32], fine: float = 1.0, medium: float = 1.0, coarse: float = 1.0
) -> NDArray[np.float64]:
    """Boost the contrast of fine, medium and coarse detail without halos.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in double precision
    fine, medium, coarse : weights of the renderings that boost detail of that size, 0 to 3; larger
        values sharpen texture, emphasise shapes and raise overall contrast

    Returns
    -------
    ndarray of shape (H, W, 3): the photo plus, for each rendering, a third of its difference from
    the photo times its weight. Three weights of 1 give the mean of the renderings, a single weight
    of 3 gives that rendering, and three weights of 0 give the photo.

    Notes
    -----
    The three renderings are those in the authors' example program. Lightness is CIELAB's for the
    D65 white of sRGB. The authors use D50, which changes colours slightly and lightness not at all.
    The linear systems are solved to a relative residual of 1e-5.

    References
    ----------
    Z. Farbman, R. Fattal, D. Lischinski, R. Szeliski: Edge-Preserving Decompositions for
    Multi-Scale Tone and Detail Manipulation. ACM Transactions on Graphics 27(3), 2008.
    https://doi.org/10.1145/1360612.1360666

    Examples
    --------
    A grey ripple grows about the same mean:

    >>> ripple = np.full((8, 8, 3), 0.5) + 0.02 * (np.indices((8, 8)).sum(axis=0) % 2)[..., None]
    >>> bool(multiscale_tone(ripple, fine=2).std() > 2 * ripple.std())
    True
    """
    lab = rgb2lab(np.asarray(rgb, np.float64))
    L = lab[..., 0]
    u0, u1 = (wls_filter(L, lambda_) for lambda_ in (LAMBDA_MEDIUM, LAMBDA_COARSE))
    result = np.array(rgb, np.float64)
    for weight, rendering in ((fine, FINE), (medium, MEDIUM), (coarse, COARSE)):
        if weight:
            result += weight / 3 * (_recombine(lab, u0, u1, rendering) - rgb)
    return result


def wls_filter(g: Plane, lambda_: float, alpha: float = ALPHA) -> Plane:
    """Smooth a plane g >= 0 of shape (H, W) and keep the edges of log g.

    A larger lambda smooths more, and a larger alpha keeps edges sharper.
    """
    guide = np.log(g + EPS)
    right, down = edge_weights(guide, lambda_, alpha, EPS)
    return solve(np.ones_like(guide), right, down, g, rtol=TOLERANCE)


def _recombine(
    lab: NDArray[np.float64], u0: Plane, u1: Plane, rendering: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Return the sum of the three layers after their S-curves, as RGB."""
    exposure, detail, middle, base = rendering
    L = (
        MIDDLE_LIGHTNESS
        + _s_curve(exposure * u1 - MIDDLE_LIGHTNESS, base)
        + _s_curve(u0 - u1, middle)
        + _s_curve(lab[..., 0] - u0, detail)
    )
    edited = np.stack([L, SATURATION * lab[..., 1], SATURATION * lab[..., 2]], axis=2)
    with warnings.catch_warnings():
        # Colours outside sRGB are expected here, and are clipped.
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB")
        rgb: NDArray[np.float64] = lab2rgb(edited)
    return rgb


def _s_curve(x: Plane, a: float) -> Plane:
    """Return a sigmoid of x that keeps -50, 0 and 50; a larger `a` is steeper at 0."""
    # 1 / (1 + exp(-a x)) - 1/2 = tanh(a x / 2) / 2
    curve: Plane = 50 * np.tanh(a * x / 200) / np.tanh(a / 4)
    return curve
