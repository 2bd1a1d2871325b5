"""Write photos to training and test folders in parallel, each developed once for all its sizes."""

import signal
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.plan import PhotoJob
from burnish.errors import BurnishError, PhotoError
from burnish.files import remove_stale_partials
from burnish.operators import cpu_count
from burnish.photo import Photo
from burnish.process_pool import map_unordered
from burnish.training.pairs import resize

# Largest relative difference between the aspect ratios of a photo and an expert's version.
# Converters differ by a few pixels at the border; a larger difference is a crop or a rotation.
ASPECT_TOLERANCE = 0.02


@dataclass(frozen=True)
class JobResult:
    """A finished job, with its error message or None, and its warnings."""

    job: PhotoJob
    error: str | None
    warnings: tuple[str, ...] = ()


def write_photos(jobs: Sequence[PhotoJob], processes: int | None = None) -> Iterator[JobResult]:
    """Run the jobs in parallel and yield each when it is finished.

    A failed job does not stop the others. Files are written atomically, so that an interrupted run
    can be continued with a new plan.

    Parameters
    ----------
    processes : number of processes [default: the number of cores]

    Raises
    ------
    OperatorError : a process was killed
    """
    for folder in {path.parent for job in jobs for t in job.targets for path in t.paths}:
        remove_stale_partials(folder)
    return map_unordered(_run_job, jobs, processes or cpu_count(), _ignore_sigint)


def write_photo(job: PhotoJob) -> None:
    """Write one photo, and an expert's version if the job has one, at all sizes of the job.

    Both get the size of the expert's version, reduced to the target's short side.

    Raises
    ------
    PhotoError : a file cannot be read, or the expert's version has another aspect ratio
    OutputError : a file cannot be written
    """
    before = Photo.open(job.photo).pixels
    after = before if job.edit is None else _read_edit(job.edit, before.shape)
    height, width = after.shape[:2]
    for target in job.targets:
        short = min(target.short_side, *before.shape[:2], height, width)
        size = scaled_size((height, width), short)
        for pixels, path in zip((before, after), target.paths, strict=False):
            if not path.exists():
                Photo(resize(pixels, size)).save(path, depth=16)


def scaled_size(size: tuple[int, int], max_short_side: int) -> tuple[int, int]:
    """Return height and width, reduced so that the short side is at most `max_short_side`.

    Examples
    --------
    >>> scaled_size((2000, 3008), 480), scaled_size((300, 200), 480)
    ((480, 722), (300, 200))
    """
    factor = min(1.0, max_short_side / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _read_edit(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read an expert's version of a photo of this shape."""
    photo = Photo.open(path)
    if photo.metadata.profile is None:
        # FiveK's TIFFs are in ProPhoto RGB. Read as sRGB, their colours would be pale.
        problem = "it has no usable colour profile"
        raise PhotoError(str(path), problem, "download the original again")
    width, height = photo.size
    if abs((width / height) / (shape[1] / shape[0]) - 1) > ASPECT_TOLERANCE:
        problem = f"its size {width} x {height} does not fit its photo of {shape[1]} x {shape[0]}"
        raise PhotoError(str(path), problem, "remove it, since it is cropped or rotated")
    return photo.pixels


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


def _ignore_sigint() -> None:
    """Leave Ctrl-C to the main process, so that running jobs are finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
