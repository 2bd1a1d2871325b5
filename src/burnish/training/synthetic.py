"""Drawn pictures: flat areas, slopes and plain shapes, learnt beside photos.

Photos have hardly a perfectly flat area or an even slope, and a network that has never met one may
leave stains there. So a few pictures that hold nothing else are learnt along with the photos.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.photo import Photo
from burnish.types import Pixels

SIDE = 384
# Raise it when other pictures are drawn for equal numbers.
_VERSION = 1
_NUM_SHAPES = 12
# Of a faint grain, in shares of the range: two steps of 8 bits at most.
_GRAIN = 2 / 255
# Where a rounding shows first.
_EXTREMES = ((0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1))


def write_synthetic(count: int, folder: Path) -> list[Path]:
    """Return the files of so many pictures, drawing those that are not in the folder yet.

    The pictures follow from their numbers alone.
    """
    paths = []
    for index in range(count):
        path = folder / f"drawn-{_VERSION}-{index:03d}.png"
        if not path.exists():
            Photo(synthetic_image(index)).save(path, depth=16, overwrite=True)
        paths.append(path)
    return paths


def synthetic_image(index: int) -> Pixels:
    """Draw a picture by its number: a flat one, a slope, shapes on a flat ground or on a slope.

    Shape: (SIDE, SIDE, 3), RGB in [0, 1]

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
        image += random.random() * _GRAIN * random.standard_normal(image.shape)
    return image.clip(0, 1).astype(np.float32)


def _gradient(random: np.random.Generator) -> NDArray[np.float64]:
    """Return an even slope from 0 to 1 in some direction, (SIDE, SIDE, 1)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = random.uniform(0, 2 * np.pi)
    distance = np.cos(angle) * rows + np.sin(angle) * columns
    gradient: NDArray[np.float64] = (distance - distance.min()) / np.ptp(distance)
    return gradient[..., None]


def _shape_mask(random: np.random.Generator) -> NDArray[np.bool_]:
    """Return where a disc or a rectangle lies."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    top, left = random.integers(0, SIDE, 2)
    height, width = random.integers(4, SIDE // 2, 2)
    mask: NDArray[np.bool_]
    if random.integers(2):
        mask = (rows - top) ** 2 + (columns - left) ** 2 < (height / 2) ** 2
        return mask
    mask = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return mask
