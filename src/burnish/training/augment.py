"""Varied pictures: small copies of photos, as if other cameras had taken them in other conditions.

What an operator decides once for a whole photo, such as a tone curve or the colour of haze, is
learnt from whole photos, of which there are few. A varied picture is a crop of a photo, as small as
the first level of a cascade, in other light and haze and from another camera. The operator runs on
it as on a photo.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from burnish.errors import PhotoError, warn
from burnish.files import digest, make_folder
from burnish.operators import cpu_count, luminance
from burnish.photo import Photo
from burnish.process_pool import map_unordered
from burnish.runtime.resize import area_resize, bilinear_region
from burnish.training.pairs import resize
from burnish.types import Pixels, Rectangle

# The shorter side of a varied picture, px.
SIDE = 256
# The least height and width of a crop, as fractions of the photo's.
MIN_CROP = 0.25
# The height and the width of a crop are also multiplied by factors in this range.
STRETCH = (0.8, 1.25)
# The largest factor by which a crop is enlarged.
MAX_ENLARGEMENT = 2.0
# Version of the pictures. Increase it when the picture of a seed changes.
_VERSION = 1
# Exponent from encoded values to values about proportional to light.
_GAMMA = 2.2

# A random change of an image in [0, 1], whose result is clipped to that range.
Change = Callable[[Pixels, Generator], Pixels]


def varied_photo(photo: Pixels, seed: int, side: int = SIDE) -> Pixels:
    """Return a crop of a photo at a shorter side of `side` px, after random changes.

    Parameters
    ----------
    photo : ndarray of shape (H, W, 3), float32, RGB in [0, 1]
    seed : determines the crop and the changes

    Returns
    -------
    ndarray of shape (h, w, 3), float32, RGB in [0, 1]

    Examples
    --------
    >>> photo = np.full((600, 800, 3), 0.5, np.float32)
    >>> min(varied_photo(photo, seed=1, side=64).shape[:2])
    64
    """
    random = np.random.default_rng([_VERSION, seed])
    picture = random_crop(photo, random, side)
    for probability, change in CHANGES:
        if random.random() < probability:
            picture = np.clip(change(picture, random), 0, 1).astype(np.float32)
    return picture


def random_crop(photo: Pixels, random: Generator, side: int) -> Pixels:
    """Return a part of a photo, from a quarter of its sides to all of it, at another size.

    A crop of a small photo is larger, so that it is enlarged by no more than `MAX_ENLARGEMENT`.
    """
    size = np.array(photo.shape[:2])
    least = np.clip(side / MAX_ENLARGEMENT / size, MIN_CROP, 1)
    stretch = np.array([_log_uniform(random, *STRETCH) for _ in range(2)])
    fractions = stretch * _log_uniform(random, least.max(), 1)
    height, width = np.rint(size * np.clip(fractions, least, 1)).astype(int)
    top, left = random.integers(0, size - (height, width) + 1)
    crop = photo[top : top + height, left : left + width]
    k = side / min(height, width)
    new_size = max(side, round(k * height)), max(side, round(k * width))
    return area_resize(crop, new_size) if k < 1 else resize(crop, new_size)


def _log_uniform(random: Generator, low: float, high: float) -> float:
    """Return a number from low to high, whose logarithm is evenly distributed."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def haze(picture: Pixels, random: Generator) -> Pixels:
    """Mix far parts of the scene, mostly at the top, with the colour of haze.

    10 to 80 % of the farthest part remains.
    """
    height, width = picture.shape[:2]
    angle = random.uniform(-0.7, 0.7)
    ramp = np.linspace(np.cos(angle), 0, height)[:, None] + np.sin(angle) * np.linspace(0, 1, width)
    blobs = random.random((4, 5, 1), np.float32).repeat(3, axis=2)
    blobs = bilinear_region(blobs, Rectangle(0, height, 0, width), (height, width))[..., 0]
    distance = ramp + random.uniform(0, 1) * blobs
    distance = (distance - distance.min()) / max(float(np.ptp(distance)), 1e-6)
    t = random.uniform(0.1, 0.8) ** distance[..., None]
    airlight = random.uniform(0.5, 1) * random.uniform(0.85, 1, 3)
    return np.asarray(t * picture + (1 - t) * airlight, np.float32)


def exposure(picture: Pixels, random: Generator) -> Pixels:
    """Multiply the light by 1/4 to 3."""
    return np.asarray(picture * _log_uniform(random, 1 / 4, 3) ** (1 / _GAMMA))


def white_balance(picture: Pixels, random: Generator) -> Pixels:
    """Multiply the light of red and of blue by 0.7 to 1.4."""
    red, blue = (_log_uniform(random, 0.7, 1.4) ** (1 / _GAMMA) for _ in range(2))
    return np.asarray(picture * np.array([red, 1, blue]))


def tone_curve(picture: Pixels, random: Generator) -> Pixels:
    """Apply a power of 0.7 to 1.4, less or more contrast, and other values of black and white."""
    picture = picture ** _log_uniform(random, 0.7, 1.4)
    s_curve = picture * picture * (3 - 2 * picture)
    picture = picture + random.uniform(-0.5, 0.8) * (s_curve - picture)
    black, white = random.uniform(-0.05, 0.1), random.uniform(0.85, 1.05)
    return np.asarray(black + (white - black) * picture)


def saturation(picture: Pixels, random: Generator) -> Pixels:
    """Multiply differences from grey by 0 to 2."""
    grey = luminance(picture)[..., None]
    return np.asarray(grey + random.uniform(0, 2) * (picture - grey))


def noise(picture: Pixels, random: Generator) -> Pixels:
    """Add noise with a standard deviation of 1 to 12 steps of 8 bits."""
    deviation = _log_uniform(random, 1, 12) / 255
    return np.asarray(picture + deviation * random.standard_normal(picture.shape))


def jpeg(picture: Pixels, random: Generator) -> Pixels:
    """Compress as JPEG with a quality of 40 to 95."""
    quality = int(random.integers(40, 96))
    return Photo.open(Photo(picture).encode("jpeg", quality=quality)).pixels


# Each change with its probability: first in the scene, then in the camera.
CHANGES: tuple[tuple[float, Change], ...] = (
    (0.25, haze),
    (0.6, exposure),
    (0.5, white_balance),
    (0.6, tone_curve),
    (0.5, saturation),
    (0.3, noise),
    (0.3, jpeg),
)


def write_varied(
    photos: Sequence[Path], count: int, folder: Path, *, processes: int | None = None
) -> list[Path]:
    """Write varied pictures of photos as 16-bit PNG files, unless they exist; return the files.

    Parameters
    ----------
    count : number of pictures, divided evenly among the photos
    processes : [default: one for each core]

    Warns
    -----
    UserWarning : a photo that cannot be decoded is left out
    """
    if not count:
        return []  # without reading the photos
    make_folder(folder)
    contents = {digest(path): path for path in photos}
    pictures = []
    for number, (content, photo) in enumerate(sorted(contents.items())):
        share = len(range(number, count, len(contents)))
        stem = f"varied-{_VERSION}-{content[:16]}"
        pictures.append((photo, [folder / f"{stem}-{index:03d}.png" for index in range(share)]))
    for problem in map_unordered(_write_pictures, pictures, processes or cpu_count()):
        if problem:
            warn(f"left out: {problem}")
    return [path for _, paths in pictures for path in paths if path.exists()]


def _write_pictures(task: tuple[Path, list[Path]]) -> str | None:
    """Write the pictures of a photo that do not exist; return the problem if it is unreadable."""
    photo, paths = task
    missing = [path for path in paths if not path.exists()]
    if not missing:
        return None
    try:
        pixels = Photo.open(photo).pixels
    except PhotoError as error:
        return str(error)
    for path in missing:
        _, _, content, index = path.stem.split("-")
        picture = varied_photo(pixels, seed=int(content + index, 16))
        Photo(picture).save(path, depth=16, overwrite=True)
    return None
