"""Single image haze removal using dark channel prior (He, Sun, Tang 2011).

A hazy image I is the scene J, dimmed by the transmission t, plus the light A of the air:

    I = t J + (1 - t) A

Without haze, nearly every patch has a dark pixel in some channel. With haze, the value of that
pixel is the light that the air adds. The transmission from this prior is as blocky as the patches.
Soft matting refines it, so that it follows the edges of the image.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.closed_form_matting import soft_matting

Array = NDArray[np.float64]

# The paper's lower bound of t.
T0 = 0.1
# Fraction of the pixels, haziest first, from which the air-light is chosen.
HAZIEST_FRACTION = 0.001
# Lower bound of the air-light's channels, which are divided by.
MIN_AIRLIGHT = 1 / 255


def dark_channel_dehazing(
    rgb: NDArray[np.float32],
    airlight: NDArray[np.floating] | None = None,
    omega: float = 0.95,
    patch: int = 15,
) -> NDArray[np.float32]:
    """Remove haze, estimated from the darkest pixel of each patch.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; the matting is in double precision
    airlight : the colour of the haze, three numbers in [0, 1], raised to at least 1/255
        [default: that of `estimate_airlight`]
    omega : fraction of the haze to remove, 0 to 1
    patch : side of the square patches, 1 to 63 px; a larger value treats fewer colours as haze. A
        patch of even side extends one pixel more to the left and to the top

    Returns
    -------
    ndarray of shape (H, W, 3), in the input's precision; may leave [0, 1], mostly below 0

    Raises
    ------
    OperatorError : the linear system is not solved within 5000 iterations

    Notes
    -----
    The matting system is solved to a relative residual of 1e-4. No eigenvalue of its matrix is
    below lambda, so t is at most 1e-4 of its root mean square away from the exact solution. Patches
    are cut off at the border. The matting windows lie inside the image; an image less than
    3 px high or wide has none and keeps the transmission of the patches. epsilon / 9 is added to
    the covariance of each window, with epsilon = 1e-7, which this paper does not state. The
    increase in exposure with which the paper displays its results is left out.

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


def dark_channel(rgb: NDArray[np.floating], patch: int) -> NDArray[np.floating]:
    """Return the minimum over the channels and over each pixel's patch, (H, W)."""
    dark = cv2.erode(np.ascontiguousarray(rgb.min(axis=2)), np.ones((patch, patch), np.uint8))
    return np.asarray(dark, rgb.dtype)


def estimate_airlight(rgb: NDArray[np.floating], patch: int = 15) -> Array:
    """Return the colour of the haze, (3,).

    The candidates are the 0.1 % of pixels (at least one) that are brightest in the dark channel,
    ties for the last place included. The air-light is the candidate with the largest R + G + B, or
    the mean of several. It does not change if the image is rotated.
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
    """Return `airlight`, or else the estimate, (3,), each channel at least 1/255."""
    A = estimate_airlight(rgb, patch) if airlight is None else np.asarray(airlight, np.float64)
    return np.maximum(A, MIN_AIRLIGHT)


def measure_airlight(
    rgb: NDArray[np.floating], airlight: NDArray[np.floating] | None, patch: int, **_: float
) -> dict[str, Array]:
    """Return the air-light of the whole photo as an argument of the operator."""
    return {"airlight": resolve_airlight(rgb, airlight, patch)}


def patch_transmission(
    rgb: NDArray[np.floating], A: Array, omega: float, patch: int
) -> NDArray[np.floating]:
    """Return the transmission of each patch, (H, W)."""
    return 1 - omega * dark_channel(rgb / A, patch)


def recover_radiance(rgb: NDArray[np.float32], t: Array, A: Array) -> NDArray[np.float32]:
    """Return the scene J behind the haze, in the precision of rgb."""
    J = (rgb - A) / np.maximum(t, T0)[..., None] + A
    return J.astype(rgb.dtype)
