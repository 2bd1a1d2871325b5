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
from burnish.files import digest, make_folder, writing
from burnish.operators.operator import Operator
from burnish.operators.threads import cores
from burnish.operators.user_defined import Pairs, resolve
from burnish.params import Param, Value
from burnish.photo import Photo
from burnish.photo.formats import READABLE_EXTENSIONS
from burnish.runtime.area_resize import THUMBNAIL, shrink

# Raise it when what is written for equal keys changes.
LAYOUT = 1
# A size is worth a pair of its own when it is well below the photo's.
WELL_BELOW = 0.8
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
        return shrink(before, THUMBNAIL) / np.float32(FULL_SCALE)

    def read(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.float32]:
        """Return before and after, (2, h, w, 3) float32 in [0, 1], or a crop of them."""
        crop = self._array()[:, rows, columns].astype(np.float32)
        crop /= FULL_SCALE
        return crop


@dataclass(frozen=True)
class Job:
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


def sizes_of(
    size: tuple[int, int], short_sides: Sequence[int], largest: int
) -> list[tuple[int, int]]:
    """Return the sizes at which a photo is learned: its own (at most `largest`), and smaller.

    Examples
    --------
    >>> sizes_of((1080, 1620), short_sides=(480, 1000), largest=2160)
    [(1080, 1620), (480, 720)]
    """
    cap = min(1.0, largest / max(size))
    own = (max(1, round(size[0] * cap)), max(1, round(size[1] * cap)))
    sizes = [own]
    for short in sorted(short_sides, reverse=True):
        if short <= WELL_BELOW * min(own):
            factor = short / min(own)
            sizes.append((max(1, round(own[0] * factor)), max(1, round(own[1] * factor))))
    return sizes


def plan(
    spec: str,
    values: dict[str, Value],
    photos: Sequence[Path],
    *,
    short_sides: Sequence[int],
    largest: int,
    cache: Path,
    sliders: Sequence[Param] = (),
    draws: int = 0,
) -> list[Job]:
    """List the pairs to make, each with its place in the cache.

    Parameters
    ----------
    sliders, draws : each photo at each size also gives so many pairs at values of these parameters
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
    operator = resolve(spec)
    if isinstance(operator, Pairs):
        befores: list[tuple[Path, Path | None]] = list(operator.pairs)
        identity = "pairs"
        short_sides, largest = (), 10**9
    else:
        befores = [(photo, None) for photo in photos]
        identity = ""
    jobs = []
    for before, after in befores:
        try:
            width, height = Photo.size_of(before)
        except PhotoError as error:
            warn(f"left out: {error}")
            continue
        content = digest(before, *([after] if after else []))
        for size in sizes_of((height, width), short_sides, largest):
            for values_here in [values, *_drawn(values, sliders, draws, content, size)]:
                if isinstance(operator, Operator):
                    identity = operator.fingerprint(values_here)
                key = hashlib.sha256(f"{LAYOUT} {identity} {content} {size}".encode()).hexdigest()
                target = cache / f"{key[:32]}.npy"
                jobs.append(Job(spec, values_here, before, after, content, size, target))
    if befores and not jobs:
        raise _none_of(befores[0][0])
    return jobs


def _drawn(
    values: dict[str, Value],
    sliders: Sequence[Param],
    draws: int,
    content: str,
    size: tuple[int, int],
) -> Iterator[dict[str, Value]]:
    for draw in range(draws if sliders else 0):
        seed = hashlib.sha256(f"{content} {size} {draw}".encode()).digest()
        random = np.random.default_rng(list(seed))
        yield values | {param.name: param.draw(float(random.random())) for param in sliders}


def make(
    jobs: Sequence[Job], *, processes: int | None = None, tick: Callable[[], None] = lambda: None
) -> list[Pair]:
    """Make the pairs that are not in the cache yet, in parallel; return those of `jobs`.

    Parameters
    ----------
    tick : called once for every finished pair, also for those found in the cache

    Raises
    ------
    PhotoError : none of the photos can be read, or a pair is of unequal size
    OperatorError : the operator failed; finished pairs stay in the cache

    Warns
    -----
    UserWarning : a photo that cannot be read to its end is left out
    """
    _resolved.cache_clear()
    for folder in {job.target.parent for job in jobs}:
        make_folder(folder)
    # By target: a photo that is there twice, as one that is also held out, is made once.
    missing = {job.target: job for job in jobs if not job.target.exists()}
    for _ in range(len(jobs) - len(missing)):
        tick()
    said = set()
    for complaint in _complaints([*missing.values()], processes or cores()):
        if complaint and complaint not in said:  # once a photo rather than once a size
            said.add(complaint)
            warn(f"left out: {complaint}")
        tick()
    return made(jobs)


def made(jobs: Sequence[Job]) -> list[Pair]:
    """Return the pairs of `jobs` that have been made.

    Raises
    ------
    PhotoError : there are jobs, but no pair
    """
    found = readable(jobs)
    if jobs and not found:
        raise _none_of(jobs[0].photo)
    return [Pair(digest=job.digest, path=job.target, values=job.values) for job in found]


def readable(jobs: Sequence[Job]) -> list[Job]:
    """Return those of `jobs`, once they have been done, whose photos could be read."""
    return [job for job in jobs if job.target.exists()]


def _none_of(photo: Path) -> PhotoError:
    return PhotoError(
        str(photo.parent), expected="photos that can be read", got="none", remedy="give others"
    )


def _complaints(jobs: Sequence[Job], processes: int) -> Iterator[str | None]:
    """Do the jobs, and give of each what is wrong with its photo, if anything is."""
    if processes == 1 or len(jobs) < 2:
        yield from map(_make_one, jobs)
        return
    # Spawned, not forked: a fork of a process with threads (libvips, torch) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_one_thread) as pool:
        try:
            for future in as_completed([pool.submit(_make_one, job) for job in jobs]):
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


def _one_thread() -> None:
    """One process a core already keeps the machine busy."""
    os.environ["BURNISH_THREADS"] = "1"


@lru_cache(maxsize=1)
def _resolved(spec: str) -> Operator | Pairs:
    """Resolve once a run: a script may load a model of its own at its top."""
    return resolve(spec)


def _make_one(job: Job) -> str | None:
    """Make a pair; return what is wrong with a photo of it that cannot be read."""
    try:
        opened = [Photo.open(path).pixels for path in (job.photo, job.after) if path]
    except PhotoError as error:
        return str(error)
    before = resize(opened[0], job.size)
    operator = _resolved(job.operator)
    if isinstance(operator, Pairs):
        after = opened[1]
        if after.shape != before.shape:
            raise PhotoError(
                str(job.after),
                expected=f"the size of its 'before', {before.shape[1]} x {before.shape[0]}",
                got=f"{after.shape[1]} x {after.shape[0]}",
                remedy="give pairs of equal size",
            )
    else:
        try:
            after = operator.run(before, **job.values)
        except OperatorError as error:
            raise error.at(f"{job.photo}: {error.where}") from error
    _save(np.stack([before, after]), job.target)
    return None


def resize(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale a picture to (height, width) with libvips' Lanczos kernel."""
    height, width = pixels.shape[:2]
    if (height, width) == size:
        return pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    scaled = image.resize(size[1] / width, vscale=size[0] / height, kernel="lanczos3")
    result: NDArray[np.float32] = np.clip(scaled.numpy(), 0, 1)
    return result


def _save(pair: NDArray[np.float32], target: Path) -> None:
    # Of two runs that make the same pair the later one wins: both are right.
    with writing(target, overwrite=True) as file:
        np.save(file, np.rint(pair * FULL_SCALE).astype(np.uint16), allow_pickle=False)
