"""Photos into training folders, several at a time: developed once, scaled to every size."""

import multiprocessing
import signal
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.develop import develop, is_raw
from burnish.datasets.plan import PhotoJob
from burnish.datasets.sizes import scaled_size
from burnish.errors import BurnishError, PhotoError
from burnish.operators.threads import cpu_count
from burnish.photo import Photo
from burnish.training.pairs import resize

# By how much the ratio of width to height may differ: converters disagree on a few pixels at the
# border. What differs by more was cropped or turned.
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class JobResult:
    """A job that is over, with what went wrong, if anything did, and what else is to be said."""

    job: PhotoJob
    error: str | None
    warnings: tuple[str, ...] = ()


def write_photos(jobs: Sequence[PhotoJob], processes: int | None = None) -> Iterator[JobResult]:
    """Do the jobs, in parallel, and yield each when it is over; a failed one stops no other.

    A file is there whole or not at all, so that an interrupted run is taken up by a new plan.

    Parameters
    ----------
    processes : how many; one a core where nothing is said

    Raises
    ------
    PhotoError : a process was killed
    """
    _sweep(
        {path.parent for job in jobs for t in job.targets for path in (t.before, t.after) if path}
    )
    # Spawned, not forked: a fork of a process with threads (libvips) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or cpu_count(), context, initializer=_ignore_sigint) as pool:
        try:
            for future in as_completed([pool.submit(_run_job, job) for job in jobs]):
                yield future.result()
        except BrokenProcessPool as error:
            raise PhotoError(
                "making photos",
                expected="processes that live to the end",
                got="a process ended by itself or was killed",
                remedy="see if memory ran out; repeat the command to go on",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def write_photo(job: PhotoJob) -> None:
    """Write one photo at all its sizes, and an expert's version of it likewise.

    Both have the size that the expert's version has once its short side is brought down.

    Raises
    ------
    PhotoError : a file that cannot be read, or an expert's version of another shape
    OutputError : a file cannot be written
    """
    before = develop(job.photo) if is_raw(job.photo) else Photo.open(job.photo).pixels
    after = before if job.edit is None else _read_edit(job.edit, before.shape)
    for target in job.targets:
        short = min(target.short_side, *before.shape[:2], *after.shape[:2])
        size = scaled_size((after.shape[0], after.shape[1]), short)
        _save(before, size, target.before)
        if target.after:
            _save(after, size, target.after)


def _read_edit(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read an expert's version of a photo of this shape."""
    photo = Photo.open(path)
    if photo.metadata.profile is None:
        # FiveK's TIFFs are ProPhoto RGB. Taken as sRGB, their colours would be pale.
        raise PhotoError(
            str(path),
            expected="an embedded colour profile",
            got="none that can be used",
            remedy="download the original again",
        )
    width, height = photo.size
    if abs((width / height) / (shape[1] / shape[0]) - 1) > ASPECT_TOLERANCE:
        raise PhotoError(
            str(path),
            expected=f"the shape of its photo, {shape[1]} x {shape[0]}",
            got=f"{width} x {height}",
            remedy="move it away; it was cropped or turned",
        )
    return photo.pixels


def _save(pixels: NDArray[np.float32], size: tuple[int, int], target: Path) -> None:
    if not target.exists():
        Photo(resize(pixels, size)).save(target, depth=16)


def _run_job(job: PhotoJob) -> JobResult:
    message = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            write_photo(job)
        except BurnishError as error:
            message = str(error)
        except MemoryError:
            message = f"{job.photo}: too large for the memory of this machine"
    return JobResult(job, message, tuple(str(warning.message) for warning in caught))


def _sweep(folders: set[Path]) -> None:
    """Remove what a run that was killed left half written; ``pairs:`` would take it for a photo."""
    for folder in folders:
        for part in folder.glob(".burnish-*.part"):
            part.unlink(missing_ok=True)


def _ignore_sigint() -> None:
    """Leave Ctrl-C to the main process, so that the photos in hand are finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
