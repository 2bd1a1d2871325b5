"""Non-local image dehazing (Berman, Treibitz, Avidan 2016).

A scene has a few hundred distinct colours. Haze shifts each of them towards the air-light A, so
that the pixels of one colour lie on a line through A, its haze-line. The pixel farthest from A is
taken as free of haze, and the relative distance of the others from A is their transmission t. Where
the lines are unreliable, t is smoothed along the image.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from burnish.operators import luminance, thread_count
from burnish.operators.dark_channel_dehazing import resolve_airlight
from burnish.operators.wls_solver import edge_weights, solve

Array = NDArray[np.float64]

DIRECTIONS = 1000
T_MIN = 0.1
# Leaves some haze, since an image without any looks unnatural (the paper, after He et al.).
LEAVE_HAZE = 1.06
# Number of pixels from which a line counts as fully reliable.
RELIABLE_COUNT = 50
EPS = 1e-5
TOLERANCE = 1e-4
# Fraction of the values that the final stretch makes black, and as many white.
CLIPPED_FRACTION = 0.005
# Side in px of the patches for the estimate of the air-light.
AIRLIGHT_PATCH = 15


def nonlocal_dehazing(
    rgb: NDArray[np.float32],
    airlight: NDArray[np.floating] | None = None,
    lambda_: float = 0.1,
    gamma: float = 1.0,
) -> Array:
    """Remove haze, estimated from the lines that a scene's few colours form in RGB space.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in double precision
    airlight : the colour of the haze, three numbers in [0, 1], raised to at least 1/255
        [default: that of `burnish.operators.dark_channel_dehazing.estimate_airlight`]
    lambda_ : weight of smoothness, 0.01 to 1; a larger value makes the transmission smoother
    gamma : exponent that makes the photo's values proportional to light, 0.5 to 3; a larger value
        assumes a steeper tone curve, and 1 changes nothing

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    The directions of the lines are 1000 points of a Fibonacci sphere. The weight of a line is
    min(1, pixels / 50) * min(1, 3 max(0.001, s - 0.1)), where s is the standard deviation of its
    pixels' distances from A, relative to the largest of all lines. This weight is that of the
    authors' program; the paper divides by the variance of t. The authors estimate A in other ways.
    The final stretch, from the 0.5 % to the 99.5 % quantile, is the same for all channels. On a
    photo without haze the air-light is arbitrary, and so is the output.

    References
    ----------
    D. Berman, T. Treibitz, S. Avidan: Non-Local Image Dehazing. IEEE Conference on Computer Vision
    and Pattern Recognition, 2016. https://doi.org/10.1109/CVPR.2016.185

    Examples
    --------
    Two colours behind haze that grows from left to right; their contrast at the right end grows:

    >>> scene = np.zeros((2, 60, 3)) + [[[0.8, 0.1, 0.1]], [[0.1, 0.2, 0.6]]]
    >>> t = np.linspace(1, 0.4, 60)[None, :, None]
    >>> hazy = t * scene + (1 - t) * 0.9
    >>> clear = nonlocal_dehazing(hazy, np.full(3, 0.9))
    >>> far, far_hazy = np.ptp(clear[:, -1], axis=0).sum(), np.ptp(hazy[:, -1], axis=0).sum()
    >>> bool(far > 1.5 * far_hazy)
    True
    """
    I, A = _linearise(rgb, airlight, gamma)  # noqa: E741 the paper's own name
    t_lines, weight = haze_line_transmission(I, A)
    t = regularise(t_lines, weight, I, lambda_)
    J = (I - (1 - LEAVE_HAZE * t[..., None]) * A) / np.maximum(t, T_MIN)[..., None]
    stretched: Array = _stretch_contrast(np.clip(J, 0, 1) ** (1 / gamma))
    return stretched


def measure_airlight(
    rgb: NDArray[np.floating], airlight: NDArray[np.floating] | None, gamma: float, **_: float
) -> dict[str, Array]:
    """Return the air-light of the whole photo as an argument of the operator."""
    A = _linearise(rgb, airlight, gamma)[1]
    return {"airlight": A ** (1 / gamma)}


def _linearise(
    rgb: NDArray[np.floating], airlight: NDArray[np.floating] | None, gamma: float
) -> tuple[Array, Array]:
    """Return the photo, and the given or estimated air-light, as values proportional to light."""
    I = np.asarray(rgb, np.float64) ** gamma  # noqa: E741 the paper's own name
    linear_airlight = None if airlight is None else np.asarray(airlight) ** gamma
    return I, resolve_airlight(I, linear_airlight, AIRLIGHT_PATCH)


def haze_line_transmission(I: Array, A: Array) -> tuple[Array, Array]:  # noqa: E741
    """Return the transmission t from the haze-lines and its reliability, both (H, W)."""
    d = (I - A).reshape(-1, 3)
    r = np.sqrt((d * d).sum(axis=1))
    unit = d / np.maximum(r, 1e-12)[:, None]
    line = cKDTree(fibonacci_sphere(DIRECTIONS)).query(unit, workers=thread_count())[1]
    r_max = np.zeros(DIRECTIONS)
    np.maximum.at(r_max, line, r)
    t = np.clip(r / np.maximum(r_max[line], 1e-12), T_MIN, 1)
    # A smaller t would make a channel of the scene negative.
    t = np.maximum(t, 1 - (I / A).reshape(-1, 3).min(axis=1))
    size = I.shape[:2]
    return t.reshape(size), _reliability(line, r)[line].reshape(size)


def _reliability(line: NDArray[np.intp], r: Array) -> Array:
    """Return the weight of each line, large if it has many pixels at many distances from A."""
    count = np.bincount(line, minlength=DIRECTIONS)
    n = np.maximum(count, 1)
    mean = np.bincount(line, r, minlength=DIRECTIONS) / n
    variance = np.bincount(line, (r - mean[line]) ** 2, minlength=DIRECTIONS) / n
    spread = np.sqrt(variance / max(float(variance.max()), 1e-12))
    from_spread = np.minimum(1, 3 * np.maximum(1e-3, spread - 0.1))
    weight: Array = np.minimum(1, count / RELIABLE_COUNT) * from_spread
    return weight


def regularise(t: Array, weight: Array, I: Array, lambda_: float) -> Array:  # noqa: E741
    """Smooth t where its weight is small, within areas and not across edges of the image."""
    right, down = edge_weights(luminance(I), lambda_, 2, EPS)
    smooth: Array = solve(weight, right, down, weight * t, rtol=TOLERANCE)
    return np.clip(smooth, 0, 1)


def fibonacci_sphere(points: int) -> Array:
    """Return points spread evenly on the unit sphere, (points, 3)."""
    i = np.arange(points) + 0.5
    z = 1 - 2 * i / points
    azimuth = np.pi * (1 + 5**0.5) * i
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)


def _stretch_contrast(J: Array) -> Array:
    low, high = np.quantile(J, [CLIPPED_FRACTION, 1 - CLIPPED_FRACTION])
    if high - low < 1e-3:  # a constant image has no contrast to stretch
        return J
    stretched: Array = np.clip((J - low) / (high - low), 0, 1)
    return stretched
