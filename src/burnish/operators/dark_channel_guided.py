"""Dark channel dehazing with the guided filter (He, Sun, Tang 2013).

The haze is estimated as in `burnish.operators.dark_channel_dehazing`. The transmission is refined
by a guided filter, which is far faster than soft matting but uses only the pixels within its
radius.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.operators.dark_channel_dehazing import (
    patch_transmission,
    recover_radiance,
    resolve_airlight,
)


def dark_channel_guided(
    rgb: NDArray[np.float32],
    airlight: NDArray[np.floating] | None = None,
    omega: float = 0.95,
    patch: int = 15,
    radius: int = 60,
    epsilon: float = 1e-3,
) -> NDArray[np.float32]:
    """Remove haze, estimated from the darkest pixel of each patch, with a fast refinement.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]
    airlight : the colour of the haze, three numbers in [0, 1], raised to at least 1/255
        [default: that of `burnish.operators.dark_channel_dehazing.estimate_airlight`]
    omega : fraction of the haze to remove, 0 to 1; a larger value removes more
    patch : side of the square patches, 1 to 63 px; a larger value treats fewer colours as haze
    radius : radius of the guided filter, 2 to 200 px; a larger value follows edges over a larger
        window
    epsilon : regularisation of the guided filter, 1e-6 to 0.1; a larger value follows faint edges
        less

    Returns
    -------
    ndarray of shape (H, W, 3), in the input's precision; may leave [0, 1], mostly below 0

    Notes
    -----
    The guide is the colour image. OpenCV's guided filter works in single precision and mirrors the
    image at its borders, while the paper cuts the window off.

    References
    ----------
    K. He, J. Sun, X. Tang: Guided Image Filtering. IEEE Transactions on Pattern Analysis and
    Machine Intelligence 35(6), 2013. https://doi.org/10.1109/TPAMI.2012.213

    Examples
    --------
    A dark and a bright stripe behind haze that lets half of the light through:

    >>> scene = np.array([0.0, 0.6, 0.0, 0.6, 0.0, 0.6])[:, None, None] * np.ones((1, 6, 3))
    >>> hazy = 0.5 * scene + 0.5 * 0.9
    >>> air = np.full(3, 0.9)
    >>> np.round(dark_channel_guided(hazy, air, omega=1)[:, 0, 0], 2) + 0.0
    array([0. , 0.6, 0. , 0.6, 0. , 0.6])
    """
    A = resolve_airlight(rgb, airlight, patch)
    patches = patch_transmission(rgb, A, omega, patch).astype(np.float32)
    guide = np.ascontiguousarray(rgb, np.float32)
    t = cv2.ximgproc.guidedFilter(guide, patches, radius, epsilon)
    return recover_radiance(rgb, np.asarray(t, np.float64), A)
