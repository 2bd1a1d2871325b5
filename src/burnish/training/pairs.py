"""Training pairs on disk: a photo at one size, before and after an operator.

Each pair is one array file. Its name is a hash of everything that it depends on (operator,
parameters, photo, size), so that nothing is computed twice, and a killed run continues.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import OperatorError, PhotoError, UsageError, warn
from burnish.files import atomic_write, digest, make_folder
from burnish.operators import cpu_count
from burnish.operators.operator import Operator
from burnish.operators.user_defined import find_operator
from burnish.params import Param, Value
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.process_pool import map_unordered
from burnish.progress import SILENT, Progress
from burnish.runtime.resize import area_resize
from burnish.runtime.thumbnail import THUMBNAIL_SIZE
from burnish.types import Pixels

# Part of each file's name. Increase it when the content of files changes for another reason.
CACHE_VERSION = 2
# A photo is also used at smaller sizes, which are at most this fraction of its own size.
MAX_SIZE_RATIO = 0.8
FULL_SCALE = 65535
# For guides, the number of smaller copies, each of the one before.
GUIDE_LEVELS = 2
# The least and the largest ratio of the sizes of two copies, except for operators that work on
# octaves, and the least side of a copy, px.
GUIDE_RATIOS = (1.15, 4.5)
MIN_GUIDE_SIDE = 24
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
        path = _smaller_path(self.path)
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
    target : the array file
    """

    operator: str
    values: dict[str, Value]
    photo: Path
    after: Path | None
    digest: str
    size: tuple[int, int]
    guided: bool
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


def cache_folder() -> Path:
    """Return the folder of the pairs: in BURNISH_CACHE, or in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("BURNISH_CACHE") or Path(base, "burnish")) / "pairs"


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
    height, width = _scaled(size, min(1.0, max_size / max(size)))
    short = min(height, width)
    smaller = [side for side in short_sides if side <= MAX_SIZE_RATIO * short]
    scales = [side / short for side in sorted(smaller, reverse=True)]
    return [(height, width), *(_scaled((height, width), scale) for scale in scales)]


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
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
                key = _cache_key(operator, pair_values, content, size, guided=guided)
                target = cache_folder() / f"{key}.npy"
                specs.append(
                    PairSpec(
                        operator_name, pair_values, before, after, content, size, guided, target
                    )
                )
    if photo_pairs and not specs:
        raise _no_readable_photos(photo_pairs[0][0])
    return specs


def _cache_key(
    operator: Operator,
    values: dict[str, Value],
    content: str,
    size: tuple[int, int],
    *,
    guided: bool,
) -> str:
    """Return a hash of everything that a pair, and with `guided` its smaller copies, depend on."""
    key = [CACHE_VERSION, operator.fingerprint(values), content, size]
    if guided:
        powers = [param.size_power for param in operator.params if isinstance(param, Param)]
        key += [operator.octaves, powers]
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


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


def compute_pairs(
    specs: Sequence[PairSpec], *, processes: int | None = None, progress: Progress = SILENT
) -> list[Pair]:
    """Compute the pairs that are not in the cache yet, in parallel; return all pairs of `specs`.

    Parameters
    ----------
    processes : [default: one for each core]
    progress : advanced once for each pair, including those in the cache

    Raises
    ------
    PhotoError : none of the photos can be read, or the photos of a pair differ in size
    OperatorError : the operator failed. Finished pairs stay in the cache

    Warns
    -----
    UserWarning : a photo that cannot be decoded is left out
    """
    _cached_operator.cache_clear()
    for folder in {spec.target.parent for spec in specs}:
        make_folder(folder)
    # A photo that is listed twice, for example also under --validation, is computed once.
    missing = {spec.target: spec for spec in specs if not spec.target.exists()}
    progress.advance(len(specs) - len(missing))
    reported = set()
    for problem in map_unordered(
        _compute_pair, [*missing.values()], processes or cpu_count(), _limit_threads
    ):
        if problem and problem not in reported:  # once for a photo, not for each of its sizes
            reported.add(problem)
            warn(f"left out: {problem}")
        progress.advance()
    return load_pairs(specs)


def load_pairs(specs: Sequence[PairSpec]) -> list[Pair]:
    """Return the computed pairs of `specs`.

    Raises
    ------
    PhotoError : there are specs, but none of them is computed
    """
    available = completed(specs)
    if specs and not available:
        raise _no_readable_photos(specs[0].photo)
    return [Pair(spec.digest, spec.target, spec.values, spec.photo.name) for spec in available]


def completed(specs: Sequence[PairSpec]) -> list[PairSpec]:
    """Return the specs whose pair is computed. The others' photos cannot be read."""
    return [spec for spec in specs if spec.target.exists()]


def _no_readable_photos(photo: Path) -> PhotoError:
    return PhotoError(str(photo.parent), "none of the photos can be read", "give other photos")


def _limit_threads() -> None:  # there is one process for each core
    os.environ["BURNISH_THREADS"] = "1"


# A user's script is imported once, since it may load a model.
_cached_operator = lru_cache(maxsize=1)(find_operator)


def _compute_pair(spec: PairSpec) -> str | None:
    """Compute a pair and write it. Return an error message if a photo cannot be read."""
    try:
        images = [Photo.open(path).pixels for path in (spec.photo, spec.after) if path]
    except PhotoError as error:
        return str(error)
    operator = _cached_operator(spec.operator)
    before = resize(images[0], spec.size)
    try:
        after = images[1] if spec.after else operator.run(before, **spec.values)
        if after.shape != before.shape:
            size, before_size = (f"{i.shape[1]} x {i.shape[0]}" for i in (after, before))
            problem = f"it has {size} pixels, and its 'before' {before_size}"
            raise PhotoError(str(spec.after), problem, "give pairs of equal size")
        if spec.guided:
            _write_smaller(spec, before, after)
    except OperatorError as error:
        raise error.with_context(f"{spec.photo}: {error.where}") from error
    # If two runs compute the same pair, the later one overwrites the file with equal content.
    _write_pair(spec.target, before, after)
    return None


def _write_smaller(spec: PairSpec, before: Pixels, after: Pixels) -> None:
    """Write the operator's input and output for smaller copies, at random ratios.

    The operator of a pair that is given as files is unknown: both photos are made smaller.
    """
    operator = _cached_operator(spec.operator)
    random = np.random.default_rng([*spec.target.name.encode()])
    measured = {} if spec.after else operator.measure(before, **spec.values)
    path, small = spec.target, before
    for _ in range(GUIDE_LEVELS):
        if operator.octaves:
            ratio = float(random.choice([2, 4]))
        else:
            ratio = np.exp(random.uniform(*np.log(GUIDE_RATIOS)))
        size = _scaled(small.shape[:2], 1 / ratio)
        if min(size) < MIN_GUIDE_SIDE:
            return
        path, small = _smaller_path(path), area_resize(small, size)
        if spec.after:
            result = area_resize(after, size)
        else:
            k = size[0] / before.shape[0]
            result = operator.run_small(small, k, measured, **spec.values)
        _write_pair(path, small, result)


def _smaller_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-small.npy")


def _write_pair(path: Path, before: Pixels, after: Pixels) -> None:
    with atomic_write(path, overwrite=True) as file:
        codes = np.rint(np.stack([before, after]) * FULL_SCALE).astype(np.uint16)
        np.save(file, codes, allow_pickle=False)


def resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image to (height, width) with libvips' Lanczos kernel."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    scaled = image.resize(size[1] / width, vscale=size[0] / height, kernel="lanczos3")
    resized: Pixels = np.clip(scaled.numpy(), 0, 1)
    return resized
