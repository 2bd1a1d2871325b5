"""Non-local image dehazing (Berman, Treibitz, Avidan 2016).

A scene has a few hundred distinct colours, and haze pulls each of them towards the colour A of the
air: pixels of one colour lie on a line that ends in A, a haze-line. The one farthest from A shows
the colour without haze, and how far along the line another lies is its transmission t. Where lines
say little, t is smoothed along the picture.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from burnish.operators.dark_channel_dehazing import resolve_airlight
from burnish.operators.luminance import luminance
from burnish.operators.threads import thread_count
from burnish.operators.wls_solver import edge_weights, solve

Array = NDArray[np.float64]

DIRECTIONS = 1000
T_MIN = 0.1
# A little haze is left: a picture without any looks unnatural (the paper, after He et al.).
LEAVE_HAZE = 1.06
# A line of so many pixels is as good as one of more.
RELIABLE_COUNT = 50
EPS = 1e-5
TOLERANCE = 1e-4
# The share of values that the last stretch makes black, and as many white.
CLIPPED_FRACTION = 0.005
# The patch, in px, of the air-light's estimate.
AIRLIGHT_PATCH = 15


def nonlocal_dehazing(
    rgb: NDArray[np.float32],
    airlight: NDArray[np.floating] | None = None,
    lambda_: float = 0.1,
    gamma: float = 1.0,
) -> Array:
    """Remove haze by the lines that it draws a scene's few colours into.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in double precision
    airlight : the colour of the air, three numbers in [0, 1], below 1/255 counted as such; None to
        estimate it, see `burnish.operators.dark_channel_dehazing.estimate_airlight`
    lambda_ : weight of a smooth transmission, 0.01 to 1
    gamma : 0.5 to 3, the exponent that makes the photo's values proportional to light; 1 takes them
        as they are

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    The directions of the lines are 1000 points of a Fibonacci sphere. A line's weight is
    min(1, pixels / 50) * min(1, 3 max(0.001, s - 0.1)), s being the deviation of its distances from
    A over the largest such deviation: that of the authors' own program, where the paper divides by
    the variance of t. The authors estimate A by other means. The last stretch is one for all
    channels, from the 0.5 % quantile to the 99.5 % one.

    On a photo without haze the air-light is arbitrary, and the result follows it.

    References
    ----------
    D. Berman, T. Treibitz, S. Avidan: Non-Local Image Dehazing. IEEE Conference on Computer Vision
    and Pattern Recognition, 2016. https://doi.org/10.1109/CVPR.2016.185

    Examples
    --------
    Two colours behind haze that grows from left to right; at the right end they come apart again:

    >>> scene = np.zeros((2, 60, 3)) + [[[0.8, 0.1, 0.1]], [[0.1, 0.2, 0.6]]]
    >>> t = np.linspace(1, 0.4, 60)[None, :, None]
    >>> hazy = t * scene + (1 - t) * 0.9
    >>> clear = nonlocal_dehazing(hazy, np.full(3, 0.9))
    >>> far, far_hazy = np.ptp(clear[:, -1], axis=0).sum(), np.ptp(hazy[:, -1], axis=0).sum()
    >>> bool(far > 1.5 * far_hazy)
    True
    """
    I = np.asarray(rgb, np.float64) ** gamma  # noqa: E741 the paper's own name
    A = resolve_airlight(
        I, None if airlight is None else np.asarray(airlight) ** gamma, AIRLIGHT_PATCH
    )
    t_lines, weight = haze_line_transmission(I, A)
    t = regularise(t_lines, weight, I, lambda_)
    J = (I - (1 - LEAVE_HAZE * t[..., None]) * A) / np.maximum(t, T_MIN)[..., None]
    stretched: Array = _stretch_contrast(np.clip(J, 0, 1) ** (1 / gamma))
    return stretched


def haze_line_transmission(I: Array, A: Array) -> tuple[Array, Array]:  # noqa: E741
    """Return what the haze-lines say of t, and how far it is to be trusted, both (H, W)."""
    d = (I - A).reshape(-1, 3)
    r = np.sqrt((d * d).sum(axis=1))
    unit = d / np.maximum(r, 1e-12)[:, None]
    line = cKDTree(fibonacci_sphere(DIRECTIONS)).query(unit, workers=thread_count())[1]
    r_max = np.zeros(DIRECTIONS)
    np.maximum.at(r_max, line, r)
    t = np.clip(r / np.maximum(r_max[line], 1e-12), T_MIN, 1)
    # No channel of the scene can be darker than black.
    t = np.maximum(t, 1 - (I / A).reshape(-1, 3).min(axis=1))
    size = I.shape[:2]
    return t.reshape(size), _reliability(line, r)[line].reshape(size)


def _reliability(line: NDArray[np.intp], r: Array) -> Array:
    """Return the weight of each line: it should have many pixels, at many distances."""
    count = np.bincount(line, minlength=DIRECTIONS)
    n = np.maximum(count, 1)
    mean = np.bincount(line, r, minlength=DIRECTIONS) / n
    variance = np.bincount(line, (r - mean[line]) ** 2, minlength=DIRECTIONS) / n
    spread = np.sqrt(variance / max(float(variance.max()), 1e-12))
    weight: Array = np.minimum(1, count / RELIABLE_COUNT) * np.minimum(
        1, 3 * np.maximum(1e-3, spread - 0.1)
    )
    return weight


def regularise(t: Array, weight: Array, I: Array, lambda_: float) -> Array:  # noqa: E741
    """Smooth t where it is not to be trusted, along the picture and not across its edges."""
    right, down = edge_weights(luminance(I), lambda_, 2, EPS)
    smooth: Array = solve(weight, right, down, weight * t, rtol=TOLERANCE)
    return np.clip(smooth, 0, 1)


def fibonacci_sphere(points: int) -> Array:
    """Return points spread evenly on the unit sphere, (points, 3): a Fibonacci spiral."""
    i = np.arange(points) + 0.5
    z = 1 - 2 * i / points
    azimuth = np.pi * (1 + 5**0.5) * i
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=1)


def _stretch_contrast(J: Array) -> Array:
    low, high = np.quantile(J, [CLIPPED_FRACTION, 1 - CLIPPED_FRACTION])
    if high - low < 1e-3:  # a constant picture has no contrast to stretch
        return J
    stretched: Array = np.clip((J - low) / (high - low), 0, 1)
    return stretched
