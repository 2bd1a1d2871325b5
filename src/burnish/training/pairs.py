"""Photos -> pairs on disk: a photo at one size, and what the operator makes of it.

A pair is one array file under a key of everything it depends on (operator, parameters, photo
content, size), so that nothing is computed twice and a killed run goes on where it stopped.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import OperatorError, PhotoError, UsageError, warn
from burnish.files import atomic_write, digest, make_folder
from burnish.operators.operator import Operator
from burnish.operators.threads import cpu_count
from burnish.operators.user_defined import Pairs, find_operator
from burnish.params import Param, Value
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.runtime.area_resize import THUMBNAIL_SIZE, area_resize

# Raise it when what is written for equal keys changes.
CACHE_VERSION = 1
# A size is worth a pair of its own when it is well below the photo's.
MAX_SIZE_RATIO = 0.8
FULL_SCALE = 65535


@dataclass(frozen=True)
class Pair:
    """One photo at one size, before and after, as an array file (2, H, W, 3) of uint16."""

    digest: str  # of the photo's content: names repeat, and copies have other names
    path: Path
    values: dict[str, Value] = field(default_factory=dict)

    def _array(self) -> NDArray[np.uint16]:
        """Return the file, mapped rather than read: a crop costs only its own bytes.

        It is not kept: a mapped file is an open one, and there are more pairs than a process may
        hold open.
        """
        array: NDArray[np.uint16] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        _, height, width, _ = self._array().shape
        return height, width

    @cached_property
    def thumbnail(self) -> NDArray[np.float32]:
        """The whole 'before' as a network's thumbnail, (S, S, 3)."""
        before: NDArray[np.float32] = self._array()[0].astype(np.float32)
        return area_resize(before, THUMBNAIL_SIZE) / np.float32(FULL_SCALE)

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """Return before and after, (2, h, w, 3) float32 in [0, 1], or a crop of them."""
        crop = self._array()[:, rows, columns].astype(np.float32)
        crop /= FULL_SCALE
        return crop


@dataclass(frozen=True)
class PairSpec:
    """What one pair is made from; small enough to send to another process."""

    operator: str
    values: dict[str, Value]
    photo: Path
    after: Path | None
    digest: str
    size: tuple[int, int]
    target: Path


def find_photos(folder: str | Path) -> list[Path]:
    """Return the photos below `folder`, sorted by name.

    Raises
    ------
    UsageError : no such folder, or no photo in it
    """
    root = Path(folder)
    photos = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in READABLE_EXTENSIONS and path.is_file() and path.name[0] != "."
    )
    if not photos:
        raise UsageError(
            str(folder),
            expected="a folder of photos",
            got="one without any" if root.is_dir() else "no such folder",
            remedy=f"give one with {', '.join(sorted(READABLE_EXTENSIONS))}",
        )
    return photos


def cache_folder() -> Path:
    """Return where pairs are kept: BURNISH_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("BURNISH_CACHE") or Path(base, "burnish")) / "pairs"


def training_sizes(
    size: tuple[int, int], short_sides: Sequence[int], max_size: int
) -> list[tuple[int, int]]:
    """Return the sizes at which a photo is learned: its own (at most `max_size`), and smaller.

    Examples
    --------
    >>> training_sizes((1080, 1620), short_sides=(480, 1000), max_size=2160)
    [(1080, 1620), (480, 720)]
    """
    cap = min(1.0, max_size / max(size))
    full_size = (max(1, round(size[0] * cap)), max(1, round(size[1] * cap)))
    sizes = [full_size]
    for short in sorted(short_sides, reverse=True):
        if short <= MAX_SIZE_RATIO * min(full_size):
            factor = short / min(full_size)
            sizes.append(
                (max(1, round(full_size[0] * factor)), max(1, round(full_size[1] * factor)))
            )
    return sizes


def plan_pairs(
    operator_name: str,
    values: dict[str, Value],
    photos: Sequence[Path],
    *,
    short_sides: Sequence[int],
    max_size: int,
    cache: Path,
    sliders: Sequence[Param] = (),
    slider_samples: int = 0,
) -> list[PairSpec]:
    """List the pairs to make, each with its place in the cache.

    Parameters
    ----------
    sliders, slider_samples : each photo at each size also gives so many pairs at values of these parameters
        that are drawn at random, along their scales, from the photo and the size alone

    A folder of before/after photos is taken at its own size only: scaled down, its 'after' would
    no longer be what the operator makes of the scaled 'before'.

    Raises
    ------
    PhotoError : none of the photos can be read

    Warns
    -----
    UserWarning : a photo that cannot be read is left out
    """
    operator = find_operator(operator_name)
    if isinstance(operator, Pairs):
        photo_pairs: list[tuple[Path, Path | None]] = list(operator.pairs)
        identity = "pairs"
        short_sides, max_size = (), 10**9
    else:
        photo_pairs = [(photo, None) for photo in photos]
        identity = ""
    specs = []
    for before, after in photo_pairs:
        try:
            width, height = Photo.size_of(before)
        except PhotoError as error:
            warn(f"left out: {error}")
            continue
        content = digest(before, *([after] if after else []))
        for size in training_sizes((height, width), short_sides, max_size):
            for pair_values in [
                values,
                *_sample_values(values, sliders, slider_samples, content, size),
            ]:
                if isinstance(operator, Operator):
                    identity = operator.fingerprint(pair_values)
                key = hashlib.sha256(
                    f"{CACHE_VERSION} {identity} {content} {size}".encode()
                ).hexdigest()
                target = cache / f"{key[:32]}.npy"
                specs.append(
                    PairSpec(operator_name, pair_values, before, after, content, size, target)
                )
    if photo_pairs and not specs:
        raise _no_readable_photos(photo_pairs[0][0])
    return specs


def _sample_values(
    values: dict[str, Value],
    sliders: Sequence[Param],
    slider_samples: int,
    content: str,
    size: tuple[int, int],
) -> Iterator[dict[str, Value]]:
    for index in range(slider_samples if sliders else 0):
        seed = hashlib.sha256(f"{content} {size} {index}".encode()).digest()
        random = np.random.default_rng(list(seed))
        yield values | {param.name: param.at_fraction(float(random.random())) for param in sliders}


def compute_pairs(
    specs: Sequence[PairSpec],
    *,
    processes: int | None = None,
    on_progress: Callable[[], None] = lambda: None,
) -> list[Pair]:
    """Make the pairs that are not in the cache yet, in parallel; return those of `specs`.

    Parameters
    ----------
    on_progress : called once for every finished pair, also for those found in the cache

    Raises
    ------
    PhotoError : none of the photos can be read, or a pair is of unequal size
    OperatorError : the operator failed; finished pairs stay in the cache

    Warns
    -----
    UserWarning : a photo that cannot be read to its end is left out
    """
    _cached_operator.cache_clear()
    for folder in {job.target.parent for job in specs}:
        make_folder(folder)
    # By target: a photo that is there twice, as one that is also held out, is made once.
    missing = {job.target: job for job in specs if not job.target.exists()}
    for _ in range(len(specs) - len(missing)):
        on_progress()
    reported = set()
    for problem in _run_jobs([*missing.values()], processes or cpu_count()):
        if problem and problem not in reported:  # once a photo rather than once a size
            reported.add(problem)
            warn(f"left out: {problem}")
        on_progress()
    return load_pairs(specs)


def load_pairs(specs: Sequence[PairSpec]) -> list[Pair]:
    """Return the pairs of `specs` that have been made.

    Raises
    ------
    PhotoError : there are jobs, but no pair
    """
    available = completed(specs)
    if specs and not available:
        raise _no_readable_photos(specs[0].photo)
    return [Pair(digest=job.digest, path=job.target, values=job.values) for job in available]


def completed(specs: Sequence[PairSpec]) -> list[PairSpec]:
    """Return those of `specs`, once they have been done, whose photos could be read."""
    return [job for job in specs if job.target.exists()]


def _no_readable_photos(photo: Path) -> PhotoError:
    return PhotoError(
        str(photo.parent), expected="photos that can be read", got="none", remedy="give others"
    )


def _run_jobs(specs: Sequence[PairSpec], processes: int) -> Iterator[str | None]:
    """Do the jobs, and give of each what is wrong with its photo, if anything is."""
    if processes == 1 or len(specs) < 2:
        yield from map(_compute_pair, specs)
        return
    # Spawned, not forked: a fork of a process with threads (libvips, torch) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_limit_threads) as pool:
        try:
            for future in as_completed([pool.submit(_compute_pair, job) for job in specs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise OperatorError(
                "making pairs",
                expected="processes that live to the end",
                got="a process ended by itself or was killed",
                remedy="see if memory ran out; a script that trains needs "
                "`if __name__ == '__main__':`",
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _limit_threads() -> None:
    """One process a core already keeps the machine busy."""
    os.environ["BURNISH_THREADS"] = "1"


@lru_cache(maxsize=1)
def _cached_operator(spec: str) -> Operator | Pairs:
    """Resolve once a run: a script may load a model of its own at its top."""
    return find_operator(spec)


def _compute_pair(spec: PairSpec) -> str | None:
    """Make a pair; return what is wrong with a photo of it that cannot be read."""
    try:
        images = [Photo.open(path).pixels for path in (spec.photo, spec.after) if path]
    except PhotoError as error:
        return str(error)
    before = resize(images[0], spec.size)
    operator = _cached_operator(spec.operator)
    if isinstance(operator, Pairs):
        after = images[1]
        if after.shape != before.shape:
            raise PhotoError(
                str(spec.after),
                expected=f"the size of its 'before', {before.shape[1]} x {before.shape[0]}",
                got=f"{after.shape[1]} x {after.shape[0]}",
                remedy="give pairs of equal size",
            )
    else:
        try:
            after = operator.run(before, **spec.values)
        except OperatorError as error:
            raise error.with_context(f"{spec.photo}: {error.where}") from error
    _save(np.stack([before, after]), spec.target)
    return None


def resize(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale a picture to (height, width) with libvips' Lanczos kernel."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    scaled = image.resize(size[1] / width, vscale=size[0] / height, kernel="lanczos3")
    resized: NDArray[np.float32] = np.clip(scaled.numpy(), 0, 1)
    return resized


def _save(pair: NDArray[np.float32], target: Path) -> None:
    # Of two runs that make the same pair the later one wins: both are right.
    with atomic_write(target, overwrite=True) as file:
        np.save(file, np.rint(pair * FULL_SCALE).astype(np.uint16), allow_pickle=False)
