"""Luminance of a colour image."""

import numpy as np
from numpy.typing import NDArray


def luminance(rgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the Rec. 601 luminance of the encoded values, (H, W, 3) to (H, W).

    Examples
    --------
    >>> luminance(np.array([[[0.0, 1.0, 0.0]]]))
    array([[0.587]])
    """
    Y: NDArray[np.floating] = rgb @ np.array([0.299, 0.587, 0.114], rgb.dtype)
    return Y
