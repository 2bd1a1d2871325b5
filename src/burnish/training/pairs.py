"""Training pairs on disk: a photo at one size, before and after an operator.

Each pair is one array file. Its name is a hash of everything that it depends on (operator,
parameters, photo, size), so that nothing is computed twice, and a killed run continues.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError, warn
from burnish.files import atomic_write, cache_root, digest
from burnish.operators.operator import Operator
from burnish.operators.user_defined import card_operator_name, find_operator
from burnish.params import Param, Value
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.runtime.resize import area_resize
from burnish.runtime.thumbnail import THUMBNAIL_SIZE
from burnish.types import Pixels

# Part of each file's name. Increase it when the content of files changes for another reason.
CACHE_VERSION = 2
# A photo is also used at smaller sizes, which are at most this fraction of its own size.
MAX_SIZE_RATIO = 0.8
FULL_SCALE = 65535
# The size of the smallest copies that a start network is trained for, divided by the photo's.
MIN_COPY_SIZE = 1 / 12
# The number of different sets of values at which sliders are trained.
SLIDER_SETTINGS = 64


@dataclass(frozen=True)
class Pair:
    """A photo at one size, before and after an operator.

    Attributes
    ----------
    digest : hash of the photo's content, which identifies copies under other names
    path : array file of shape (2, H, W, 3), uint16
    values : the operator's parameters
    name : the file name of the photo
    """

    digest: str
    path: Path
    values: dict[str, Value] = field(default_factory=dict)
    name: str = ""

    @cached_property
    def smaller(self) -> "Pair | None":
        """The operator's input and output for a smaller copy, for guides; None if it is tiny."""
        path = smaller_path(self.path)
        return Pair(self.digest, path, self.values) if path.exists() else None

    def _array(self) -> NDArray[np.uint16]:
        """Memory-map the file, each time anew: a process may have fewer open files than pairs."""
        array: NDArray[np.uint16] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        _, height, width, _ = self._array().shape
        return height, width

    @cached_property
    def thumbnail(self) -> Pixels:
        """The photo as a network's thumbnail, (S, S, 3) in [0, 1]."""
        before = self._array()[0].astype(np.float32)
        return area_resize(before, (THUMBNAIL_SIZE, THUMBNAIL_SIZE)) / np.float32(FULL_SCALE)

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> Pixels:
        """Return both images or a crop of them, (2, h, w, 3) float32 in [0, 1]."""
        crop = self._array()[:, rows, columns].astype(np.float32)
        crop /= FULL_SCALE
        return crop


@dataclass(frozen=True)
class PairSpec:
    """Everything that a worker process needs to compute a pair.

    Attributes
    ----------
    after : the second photo of a pair that is given as files, else None
    size : height and width, px
    guided : smaller copies are computed as well
    k : the photo is used as a copy of one that is 1 / k times as large
    target : the array file
    """

    operator: str
    values: dict[str, Value]
    photo: Path
    after: Path | None
    digest: str
    size: tuple[int, int]
    guided: bool
    k: float
    target: Path


def find_photos(folder: str | Path) -> list[Path]:
    """Return the photos in a folder and its subfolders, sorted by name.

    Raises
    ------
    UsageError : there is no such folder, or no photo in it
    """
    root = Path(folder)
    photos = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in READABLE_EXTENSIONS and path.is_file() and path.name[0] != "."
    )
    if not photos:
        problem = "the folder contains no photos" if root.is_dir() else "there is no such folder"
        extensions = ", ".join(sorted(READABLE_EXTENSIONS))
        raise UsageError(str(folder), problem, f"give a folder of photos ({extensions})")
    return photos


def cache_folder(operator: str | None = None) -> Path:
    """Return the folder of the pairs in burnish's cache, or that of an operator's pairs."""
    folder = cache_root() / "pairs"
    return folder / card_operator_name(operator).replace(":", "-") if operator else folder


def training_sizes(
    size: tuple[int, int], short_sides: Sequence[int], max_size: int
) -> list[tuple[int, int]]:
    """Return the sizes (height, width) at which a photo is used, the largest one first.

    Parameters
    ----------
    size : the photo's height and width
    short_sides : the shorter sides of the smaller sizes
    max_size : the longer side of the largest size

    Examples
    --------
    >>> training_sizes((1080, 1620), short_sides=(480, 1000), max_size=2160)
    [(1080, 1620), (480, 720)]
    """
    height, width = scaled_size(size, min(1.0, max_size / max(size)))
    short = min(height, width)
    smaller = [side for side in short_sides if side <= MAX_SIZE_RATIO * short]
    scales = [side / short for side in sorted(smaller, reverse=True)]
    return [(height, width), *(scaled_size((height, width), scale) for scale in scales)]


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return a height and width times a factor, rounded."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def plan_pairs(
    operator_name: str,
    values: dict[str, Value],
    photos: Sequence[Path],
    *,
    short_sides: Sequence[int],
    max_size: int,
    sliders: Sequence[Param] = (),
    slider_samples: int = 0,
    guided: bool = False,
    small_copies: bool = False,
) -> list[PairSpec]:
    """List the pairs to compute, each with its file in `cache_folder`.

    Pairs that are given as files are used at their own size only: scaled down, the second photo
    would no longer be the operator's output for the scaled first one.

    Parameters
    ----------
    values : the operator's parameters
    short_sides, max_size : see `training_sizes`
    sliders, slider_samples : each photo at each size is also used at so many random values of
        these parameters, which depend on the photo and the size only
    guided : also compute `GUIDE_LEVELS` smaller copies of each pair, see `Pair.smaller`
    small_copies : use the photos as smaller copies of others, see `_random_k`

    Raises
    ------
    PhotoError : none of the photos can be read

    Warns
    -----
    UserWarning : a photo that cannot be read is left out
    """
    operator = find_operator(operator_name)
    photo_pairs: Sequence[tuple[Path, Path | None]] = [(photo, None) for photo in photos]
    if operator.pairs:
        photo_pairs, short_sides, max_size = operator.pairs, (), 10**9
    folder = cache_folder(operator_name)
    specs = []
    for before, after in photo_pairs:
        try:
            width, height = Photo.size_of(before)
        except PhotoError as error:
            warn(f"left out: {error}")
            continue
        content = digest(before, *([after] if after else []))
        for size in training_sizes((height, width), short_sides, max_size):
            samples = _sample_values(values, sliders, slider_samples, f"{content} {size}")
            for pair_values in [values, *samples]:
                k = _random_k(operator, sliders, f"{content} {size}") if small_copies else 1.0
                key = _cache_key(operator, pair_values, content, size, guided=guided, k=k)
                target = folder / f"{key}.npy"
                specs.append(
                    PairSpec(
                        operator_name, pair_values, before, after, content, size, guided, k, target
                    )
                )
    if photo_pairs and not specs:
        raise no_readable_photos(photo_pairs[0][0])
    return specs


def _cache_key(
    operator: Operator,
    values: dict[str, Value],
    content: str,
    size: tuple[int, int],
    *,
    guided: bool,
    k: float,
) -> str:
    """Return a hash of everything that a pair, and with `guided` its smaller copies, depend on."""
    key = [CACHE_VERSION, operator.fingerprint(values), content, size]
    if guided or k != 1:
        powers = [param.size_power for param in operator.params if isinstance(param, Param)]
        key += [operator.octaves, powers]
    if k != 1:
        key.append(k)
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def _random_k(operator: Operator, sliders: Sequence[Param], seed: str) -> float:
    """Return the size of a copy, divided by that of its photo, for the training of start networks.

    It is 1 if no parameter depends on the size, or if one that does is a slider: then the value of
    the slider says what to do at the size of the copy.
    """
    numbers = [param for param in operator.params if isinstance(param, Param)]
    dependent = {param.name for param in numbers if param.at_size(8.0, 0.5) != 8.0}
    if not dependent or not dependent.isdisjoint(param.name for param in sliders):
        return 1.0
    random = np.random.default_rng([*hashlib.sha256(f"k {seed}".encode()).digest()])
    return float(np.exp(random.uniform(np.log(MIN_COPY_SIZE), 0)))


def _sample_values(
    values: dict[str, Value], sliders: Sequence[Param], samples: int, seed: str
) -> Iterator[dict[str, Value]]:
    """Yield values with random ones of the sliders, one of `SLIDER_SETTINGS` sets.

    Photos share the sets, so that all crops of a step can be at equal values. Values near the ends
    of a range are the most frequent, as there the networks err most.
    """
    for index in range(samples if sliders else 0):
        digest_bytes = hashlib.sha256(f"{seed} {index}".encode()).digest()
        setting = int.from_bytes(digest_bytes) % SLIDER_SETTINGS
        random = np.random.default_rng(setting)
        fractions = (1 - np.cos(np.pi * random.random(len(sliders)))) / 2
        yield values | {
            param.name: param.at_fraction(float(fraction))
            for param, fraction in zip(sliders, fractions, strict=True)
        }


def load_pairs(specs: Sequence[PairSpec]) -> list[Pair]:
    """Return the computed pairs of `specs`.

    Raises
    ------
    PhotoError : there are specs, but none of them is computed
    """
    available = completed(specs)
    if specs and not available:
        raise no_readable_photos(specs[0].photo)
    return [Pair(spec.digest, spec.target, spec.values, spec.photo.name) for spec in available]


def completed(specs: Sequence[PairSpec]) -> list[PairSpec]:
    """Return the specs whose pair is computed. The others' photos cannot be read."""
    return [spec for spec in specs if spec.target.exists()]


def no_readable_photos(photo: Path) -> PhotoError:
    """Return the error for a folder without a readable photo."""
    return PhotoError(str(photo.parent), "none of the photos can be read", "give other photos")


def write_codes(path: Path, pixels: Pixels) -> None:
    """Write an array of values in [0, 1] as 16-bit codes."""
    with atomic_write(path, overwrite=True) as file:
        np.save(file, np.rint(pixels * FULL_SCALE).astype(np.uint16), allow_pickle=False)


def smaller_path(path: Path) -> Path:
    """Return the file of the smaller copy of a pair."""
    return path.with_name(f"{path.stem}-small.npy")


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image to (height, width) with libvips' Lanczos kernel."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    scaled = image.resize(size[1] / width, vscale=size[0] / height, kernel="lanczos3")
    resized: Pixels = np.clip(scaled.numpy(), 0, 1)
    return resized
