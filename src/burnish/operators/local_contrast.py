"""Contrast-limited adaptive histogram equalisation, CLAHE (Zuiderveld 1994, after Pizer 1987).

The photo is cut into tiles. Each tile's lightness would be equalised by the cumulated histogram of
the tile, as a tone curve; the histogram's bins are first held below a limit, which holds the
curve's slope below it. A pixel gets the four nearest tiles' curves, bilinearly mixed.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from skimage.color import lab2rgb, rgb2lab

BINS = 256


def local_contrast(
    rgb: NDArray[np.float32], clip_limit: float = 1.5, tiles: int = 8
) -> NDArray[np.floating]:
    """Raise contrast where there is little, each part of the photo by itself.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, 3), floating, in [0, 1]; computed in its own precision
    clip_limit : by how much the contrast of lightness may rise, 1 to 8 times; 1 changes nothing
    tiles : how many tiles along each side, 1 to 32; more tiles are more local

    Returns
    -------
    ndarray of shape (H, W, 3), in [0, 1]

    Notes
    -----
    Lightness is CIELAB's L (D65). The a and b of a pixel stay as they are where L rises, and fall
    with it where it falls, because darker colours have room for less; either keeps the hue.

    Tiles are parts of the photo: at 8 tiles a side each is an eighth of the height by an eighth of
    the width, so that a crop, or the same scene at another shape, gets other curves, and no window
    smaller than the photo shows what a pixel becomes. Pixels beyond the outermost centres of tiles
    get the nearest tiles' curves.

    Differences from the paper: curves are linear between the 256 bins in place of steps, because
    steps would show as bands in skies; black stays black and white stays white; and what is clipped
    off is spread over the bins below the limit exactly, not in integer rounds.

    References
    ----------
    K. Zuiderveld: Contrast Limited Adaptive Histogram Equalization. Graphics Gems IV, pages
    474-485, 1994. S. M. Pizer, E. P. Amburn, J. D. Austin et al.: Adaptive Histogram Equalization
    and Its Variations. Computer Vision, Graphics, and Image Processing 39(3), pages 355-368, 1987.
    https://doi.org/10.1016/S0734-189X(87)80186-X

    Examples
    --------
    A faint ramp gains up to the limit; a slope of 1 is the photo as it was:

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
    """Return the tone curve of each tile at the bins' edges, (rows, columns, BINS + 1)."""
    rows, columns = (np.minimum(tiles, lightness.shape)).tolist()
    tile_y, tile_x = (
        np.arange(size) * count // size
        for size, count in zip(lightness.shape, (rows, columns), strict=True)
    )
    tile = tile_y[:, None] * columns + tile_x
    bins = np.clip((lightness * BINS).astype(np.intp), 0, BINS - 1)
    counts = np.bincount((tile * BINS + bins).ravel(), minlength=rows * columns * BINS)
    histogram = counts.reshape(rows, columns, BINS).astype(np.float64)
    # A flat histogram has 1 in every bin, and gives a slope of 1.
    histogram *= BINS / histogram.sum(axis=2, keepdims=True)
    curves = np.zeros((rows, columns, BINS + 1))
    np.cumsum(_clip(histogram, clip_limit) / BINS, axis=2, out=curves[..., 1:])
    return curves


def _clip(histogram: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Raise every bin by what makes good, evenly, for what the limit takes away."""
    low = np.zeros((*histogram.shape[:2], 1))
    high = np.full_like(low, limit)
    for _ in range(50):  # halvings: to the last bit
        middle = (low + high) / 2
        is_below = np.minimum(histogram + middle, limit).mean(axis=2, keepdims=True) < 1
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.minimum(histogram + high, limit)


def _interpolate_curves(
    curves: NDArray[np.float64], lightness: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Look every pixel's lightness up, linearly between the tiles' centres and the bins' edges."""
    (height, width), (rows, columns, _) = lightness.shape, curves.shape
    y = (np.arange(height) + 0.5) * rows / height - 0.5
    x = (np.arange(width) + 0.5) * columns / width - 0.5
    coordinates = np.broadcast_arrays(y[:, None], x, lightness * BINS)
    result: NDArray[np.float64] = map_coordinates(curves, coordinates, order=1, mode="nearest")
    return result
