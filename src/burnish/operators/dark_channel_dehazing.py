"""Single image haze removal using dark channel prior (He, Sun, Tang 2011).

A hazy picture I is the scene J, dimmed by the transmission t, plus the light A of the air:

    I = t J + (1 - t) A

Without haze, a patch has nearly always a dark pixel in some channel; with haze, that pixel shows
how much light the air adds. The transmission found so is blocky, as the patches are. Soft matting
then gives it the edges of the picture: the smoothest t that is, in every 3 x 3 window, nearly an
affine function of the colours.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.closed_form_matting import soft_matting

Array = NDArray[np.float64]

# The paper's least t.
T0 = 0.1
# The share of pixels, haziest first, among which the air-light is sought.
HAZIEST_FRACTION = 0.001
# What a channel of the air-light is at least: division by it must make sense.
MIN_AIRLIGHT = 1 / 255


def dark_channel_dehazing(
    rgb: NDArray[np.float32],
    airlight: NDArray[np.floating] | None = None,
    omega: float = 0.95,
    patch: int = 15,
) -> NDArray[np.float32]:
    """Remove haze, as much as the darkest pixel of each patch shows.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; the matting is in double precision
    airlight : the colour of the air, three numbers in [0, 1], below 1/255 counted as such; None to
        estimate it, see `estimate_airlight`
    omega : share of the haze to remove, 0 to 1
    patch : side of the square patches, 1 to 63 px, odd: an even one reaches farther to the left and
        to the top; the paper's 15 px are for photos of 600 x 400

    Returns
    -------
    ndarray of shape (H, W, 3), in the input's precision; may leave [0, 1], below it above all

    Raises
    ------
    OperatorError : the linear system was not solved within 5000 iterations

    Notes
    -----
    The matting system is solved to a relative residual of 1e-4. No eigenvalue of its matrix is
    below lambda, so t is at most 1e-4 of its root mean square away from the exact solution.

    Patches are cut off at the border. The matting's windows lie inside the picture; a picture less
    than 3 px high or wide has none and keeps the patches' transmission. Of a window, epsilon / 9 is
    added to the covariance, with epsilon = 1e-7, which this paper does not state.

    Left out: the rise of exposure by which the paper shows its results, and the bilateral filter
    after the matting in the version of 2009.

    References
    ----------
    K. He, J. Sun, X. Tang: Single Image Haze Removal Using Dark Channel Prior. IEEE Transactions on
    Pattern Analysis and Machine Intelligence 33(12), 2011. https://doi.org/10.1109/TPAMI.2010.168

    A. Levin, D. Lischinski, Y. Weiss: A Closed-Form Solution to Natural Image Matting. IEEE
    Transactions on Pattern Analysis and Machine Intelligence 30(2), 2008.
    https://doi.org/10.1109/TPAMI.2007.1177

    Examples
    --------
    A dark and a bright stripe behind haze that lets half of the light through:

    >>> scene = np.array([0.0, 0.6, 0.0, 0.6, 0.0, 0.6])[:, None, None] * np.ones((1, 6, 3))
    >>> hazy = 0.5 * scene + 0.5 * 0.9
    >>> air = np.full(3, 0.9)
    >>> np.round(dark_channel_dehazing(hazy, air, omega=1)[:, 0, 0], 2) + 0.0
    array([0. , 0.6, 0. , 0.6, 0. , 0.6])
    """
    A = resolve_airlight(rgb, airlight, patch)
    t = soft_matting(rgb, patch_transmission(rgb, A, omega, patch))
    return recover_radiance(rgb, t, A)


def dark_channel(rgb: NDArray[np.floating], patch: int) -> Any:
    """Return the darkest value of any channel in each pixel's patch, (H, W)."""
    darkest: Any = np.ascontiguousarray(rgb.min(axis=2))
    dark: Any = cv2.erode(darkest, np.ones((patch, patch), np.uint8))
    return np.asarray(dark, rgb.dtype)


def estimate_airlight(rgb: NDArray[np.floating], patch: int = 15) -> Array:
    """Return the colour of the air, (3,).

    Of the 0.1 % of pixels (at least one) that are brightest in the dark channel, it is the colour
    of the one that is brightest in the picture by R + G + B. Where several tie for the last place
    in the 0.1 %, all come in; where several are the brightest, it is their mean. So a turned
    picture has the same air-light.
    """
    dark = dark_channel(rgb, patch).ravel()
    count = max(1, round(HAZIEST_FRACTION * dark.size))
    is_haziest = dark >= np.partition(dark, -count)[-count]
    colours = rgb.reshape(-1, 3)[is_haziest].astype(np.float64)
    brightness = colours.sum(axis=1)
    A: Array = colours[brightness == brightness.max()].mean(axis=0)
    return A


def resolve_airlight(
    rgb: NDArray[np.floating], airlight: NDArray[np.floating] | None, patch: int
) -> Array:
    """Return the air-light that was given, or else the estimate, (3,), no channel near 0."""
    A = estimate_airlight(rgb, patch) if airlight is None else np.asarray(airlight, np.float64)
    return np.maximum(A, MIN_AIRLIGHT)


def patch_transmission(rgb: NDArray[np.floating], A: Array, omega: float, patch: int) -> Array:
    """Return the transmission of each patch, (H, W)."""
    t: Array = 1 - omega * dark_channel(rgb / A, patch)
    return t


def recover_radiance(rgb: NDArray[np.float32], t: Array, A: Array) -> NDArray[np.float32]:
    """Return the scene J behind the haze, in the precision of rgb."""
    J = (rgb - A) / np.maximum(t, T0)[..., None] + A
    return J.astype(rgb.dtype)
