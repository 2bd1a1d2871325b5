"""Bilateral filter (Tomasi, Manduchi 1998), by OpenCV.

The output is an average of nearby pixels, weighted by their closeness in position and colour:

    h(x) = sum_xi f(xi) c(xi, x) s(f(xi), f(x)) / sum_xi c(xi, x) s(f(xi), f(x))

with Gaussians for c and s (paper, section 2).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray


def bilateral(
    rgb: NDArray[np.float32], sigma_space: float = 6.0, sigma_range: float = 0.08
) -> NDArray[np.float32]:
    """Smooth within areas of similar colour, and not across their edges.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in single precision
    sigma_space : standard deviation of the spatial Gaussian, 1 to 16 px; a larger value smooths
        over larger areas. The time grows with its square
    sigma_range : standard deviation of the Gaussian in colour, 0.02 to 0.5 of the full range; a
        larger value smooths across stronger edges

    Returns
    -------
    ndarray of shape (H, W, 3), within the range of `rgb`

    Notes
    -----
    The paper measures colour as Euclidean distance in CIELAB. OpenCV uses the mean absolute
    difference of the sRGB-encoded R, G and B (their sum, hence the factor 3 in the code). The
    spatial Gaussian is cut off at a radius of 3 sigma_space. At the border the photo is mirrored,
    without repeating the edge pixel.

    References
    ----------
    C. Tomasi, R. Manduchi: Bilateral Filtering for Gray and Color Images. IEEE ICCV 1998,
    pages 839-846. https://doi.org/10.1109/ICCV.1998.710815

    Examples
    --------
    A step of 0.5 survives, a ripple of 0.02 does not:

    >>> step = np.repeat([[0.2], [0.22], [0.2], [0.7], [0.72], [0.7]], 6, axis=1)
    >>> np.round(bilateral(np.stack([step] * 3, axis=2))[:, 0, 0], 2)
    array([0.21, 0.21, 0.21, 0.71, 0.71, 0.71], dtype=float32)
    """
    f = np.array(rgb, dtype=np.float32, order="C")
    diameter = 2 * math.ceil(3 * sigma_space) + 1
    smooth = cv2.bilateralFilter(f, diameter, 3 * sigma_range, sigma_space)
    return np.asarray(smooth, dtype=np.float32)
