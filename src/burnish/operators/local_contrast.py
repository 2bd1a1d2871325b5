"""Contrast-limited adaptive histogram equalisation, CLAHE (Zuiderveld 1994, after Pizer 1987).

The photo is divided into tiles. The cumulative histogram of a tile's lightness is the tone curve
that equalises it. The histogram is first clipped to a limit, which bounds the slope of the curve.
Each pixel gets the bilinear interpolation of the curves of the four nearest tiles.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.color import lab2rgb, rgb2lab

BINS = 256


def local_contrast(
    rgb: NDArray[np.float32], clip_limit: float = 1.5, tiles: int = 8
) -> NDArray[np.floating]:
    """Raise low contrast, separately in each part of the photo.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    clip_limit : the largest factor on the contrast of lightness, 1 to 8; a larger value raises
        contrast and noise more, and 1 changes nothing
    tiles : number of tiles along each side, 1 to 32; a larger value adapts to smaller parts

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    Lightness is CIELAB's L (D65). Where L rises, a and b are kept; where it falls, they are scaled
    with it, because dark colours of high chroma lie outside sRGB. Both keep the hue.

    The tiles divide the whole photo, so that a crop gets other curves. Pixels outside the centres
    of the outermost tiles get the curves of the nearest tiles.

    Differences from the paper: curves are linear between the 256 bins instead of stepped, because
    steps would show as bands in skies. The clipped part of the histogram is distributed over the
    bins below the limit exactly, and not in integer rounds.

    References
    ----------
    K. Zuiderveld: Contrast Limited Adaptive Histogram Equalization. Graphics Gems IV, 1994. S. M.
    Pizer et al.: Adaptive Histogram Equalization and Its Variations. Computer Vision, Graphics, and
    Image Processing 39(3), 1987. https://doi.org/10.1016/S0734-189X(87)80186-X

    Examples
    --------
    The contrast of a faint ramp grows by the limit:

    >>> ramp = np.linspace(0.4, 0.5, 64)[None, :, None] * np.ones((64, 1, 3))
    >>> for clip_limit in (1, 2, 4):
    ...     print(np.ptp(local_contrast(ramp, clip_limit, tiles=1)).round(2))
    0.1
    0.2
    0.4
    """
    lab = rgb2lab(rgb)
    lightness = lab[..., 0] / 100
    curves = _curves(lightness, clip_limit, int(tiles))
    equalised = _interpolate_curves(curves, lightness).astype(lab.dtype)
    lab[..., 0] = 100 * equalised
    lab[..., 1:] *= np.minimum(equalised / np.maximum(lightness, 1e-6), 1)[..., None]
    result: NDArray[np.floating] = lab2rgb(lab)
    return result


def _curves(lightness: NDArray[np.floating], clip_limit: float, tiles: int) -> NDArray[np.float64]:
    """Return the tone curve of each tile at the edges of the bins, (rows, columns, BINS + 1)."""
    height, width = lightness.shape
    rows, columns = min(tiles, height), min(tiles, width)
    tile_y, tile_x = np.arange(height) * rows // height, np.arange(width) * columns // width
    tile = tile_y[:, None] * columns + tile_x
    bins = np.clip((lightness * BINS).astype(np.intp), 0, BINS - 1)
    counts = np.bincount((tile * BINS + bins).ravel(), minlength=rows * columns * BINS)
    histogram = counts.reshape(rows, columns, BINS).astype(np.float64)
    # Normalise to a mean of 1, so that a flat histogram gives a curve of slope 1.
    histogram *= BINS / histogram.sum(axis=2, keepdims=True)
    curves = np.zeros((rows, columns, BINS + 1))
    np.cumsum(_clip(histogram, clip_limit) / BINS, axis=2, out=curves[..., 1:])
    return curves


def _clip(histogram: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Clip the histogram and add a constant to all bins, so that the mean is 1 again."""
    low = np.zeros((*histogram.shape[:2], 1))
    high = np.full_like(low, limit)
    for _ in range(50):  # bisect to the last bit
        middle = (low + high) / 2
        is_below = np.minimum(histogram + middle, limit).mean(axis=2, keepdims=True) < 1
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.minimum(histogram + high, limit)


def _interpolate_curves(
    curves: NDArray[np.float64], lightness: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Map lightness by the curves, linearly between tile centres and between bin edges."""
    (height, width), (rows, columns, _) = lightness.shape, curves.shape
    y = (np.arange(height) + 0.5) * rows / height - 0.5
    x = (np.arange(width) + 0.5) * columns / width - 0.5
    coordinates = np.broadcast_arrays(y[:, None], x, lightness * BINS)
    result: NDArray[np.float64] = map_coordinates(curves, coordinates, order=1, mode="nearest")
    return result
