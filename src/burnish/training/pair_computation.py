"""Compute training pairs in parallel, and the smaller copies of those that get guides."""

import os
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from burnish.cluster.connection import is_connected
from burnish.errors import ClusterError, OperatorError, PhotoError, warn
from burnish.files import make_folder
from burnish.operators import cpu_count
from burnish.operators.user_defined import find_operator
from burnish.photo import Photo
from burnish.process_pool import map_unordered
from burnish.progress import SILENT, Progress
from burnish.runtime.resize import area_resize
from burnish.training.pairs import (
    Pair,
    PairSpec,
    load_pairs,
    resize,
    scaled_size,
    smaller_path,
    write_codes,
)
from burnish.types import Pixels

# For guides, the number of smaller copies, each of the one before.
GUIDE_LEVELS = 2
# The least and the largest ratio of the sizes of two copies, except for operators that work on
# octaves, and the least side of a copy, px.
GUIDE_RATIOS = (1.15, 4.5)
MIN_GUIDE_SIDE = 24
# Seconds after which a network drive shows the files of other machines.
_DRIVE_SECONDS = 60.0


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
    ClusterError : the machines of a cluster do not share the disk of the cache

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
    if is_connected() and not reported:
        _wait_for([*missing])
    return load_pairs(specs)


def _wait_for(files: Sequence[Path]) -> None:
    """Wait for files of other machines, which a network drive may show with a delay.

    Raises
    ------
    ClusterError : they do not appear
    """
    deadline = time.monotonic() + _DRIVE_SECONDS
    while not all(file.exists() for file in files):
        if time.monotonic() > deadline:
            problem = "pairs were computed on machines that do not share this folder"
            remedy = "set BURNISH_CACHE to a folder on a disk that all share"
            raise ClusterError(str(files[0].parent), problem, remedy)
        time.sleep(1)


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
        after = images[1] if spec.after else operator.run_small(before, spec.k, **spec.values)
        if after.shape != before.shape:
            size, before_size = (f"{i.shape[1]} x {i.shape[0]}" for i in (after, before))
            problem = f"it has {size} pixels, and its 'before' {before_size}"
            raise PhotoError(str(spec.after), problem, "give pairs of equal size")
        if spec.guided:
            _write_smaller(spec, before, after)
    except OperatorError as error:
        raise error.with_context(f"{spec.photo}: {error.where}") from error
    # If two runs compute the same pair, the later one overwrites the file with equal content.
    write_codes(spec.target, np.stack([before, after]))
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
        size = scaled_size(small.shape[:2], 1 / ratio)
        if min(size) < MIN_GUIDE_SIDE:
            return
        path, small = smaller_path(path), area_resize(small, size)
        if spec.after:
            result = area_resize(after, size)
        else:
            k = size[0] / before.shape[0]
            result = operator.run_small(small, k, measured, **spec.values)
        write_codes(path, np.stack([small, result]))
