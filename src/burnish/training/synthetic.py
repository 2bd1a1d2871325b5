"""Synthetic training images of flat areas, gradients and plain shapes.

Photos contain hardly any perfectly flat area or even gradient, and a network that was never
trained on one may leave stains there.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.photo import Photo
from burnish.types import Pixels

SIDE = 384
# Increase it when the image of an index changes.
_VERSION = 1
_NUM_SHAPES = 12
# The largest standard deviation of the noise: two 8-bit codes.
_MAX_NOISE = 2 / 255
# The colours of the first flat images, for which a small error is most visible.
_EXTREMES = ((0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1))


def write_synthetic(count: int, folder: Path) -> list[Path]:
    """Write the first synthetic images as 16-bit PNG files, unless they exist; return the files."""
    paths = []
    for index in range(count):
        path = folder / f"synthetic-{_VERSION}-{index:03d}.png"
        if not path.exists():
            Photo(synthetic_image(index)).save(path, depth=16, overwrite=True)
        paths.append(path)
    return paths


def synthetic_image(index: int) -> Pixels:
    """Return a flat image, a gradient, shapes on a flat background, or shapes on a noisy gradient.

    Parameters
    ----------
    index : determines the image

    Returns
    -------
    ndarray of shape (SIDE, SIDE, 3), float32, RGB in [0, 1]

    Examples
    --------
    >>> float(synthetic_image(0).max()), float(synthetic_image(4).min())  # black, white
    (0.0, 1.0)
    """
    random = np.random.default_rng([_VERSION, index])
    series, kind = divmod(index, 4)
    colour = random.random(3)
    if kind == 0 and series < len(_EXTREMES):
        colour = np.array(_EXTREMES[series], float)
    image = np.broadcast_to(colour, (SIDE, SIDE, 3)).copy()
    if kind in (1, 3):
        image += (random.random(3) - colour) * _gradient(random)
    if kind in (2, 3):
        for _ in range(_NUM_SHAPES):
            image[_shape_mask(random)] = random.random(3)
    if kind == 3:
        image += random.random() * _MAX_NOISE * random.standard_normal(image.shape)
    return image.clip(0, 1).astype(np.float32)


def _gradient(random: np.random.Generator) -> NDArray[np.float64]:
    """Return a linear gradient from 0 to 1 in a random direction, (SIDE, SIDE, 1)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = random.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * rows + np.sin(angle) * columns
    gradient: NDArray[np.float64] = (distance - distance.min()) / np.ptp(distance)
    return gradient[..., None]


def _shape_mask(random: np.random.Generator) -> NDArray[np.bool_]:
    """Return the mask of a random disc or rectangle."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    top, left = random.integers(0, SIDE, 2)
    height, width = random.integers(4, SIDE // 2, 2)
    mask: NDArray[np.bool_]
    if random.integers(2):
        mask = (rows - top) ** 2 + (columns - left) ** 2 < (height / 2) ** 2
        return mask
    mask = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return mask
