"""Write photos to training and test folders in parallel, each developed once for all its sizes.

Raw files are developed to sRGB by LibRaw, with its defaults (AHD demosaicing, brightened until 1 %
of the pixels are white, highlights clipped), the camera's white balance, and sRGB's curve.
"""

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from burnish.datasets.plan import PhotoJob
from burnish.errors import BurnishError, PhotoError
from burnish.files import remove_stale_partials
from burnish.operators import cpu_count
from burnish.photo import Photo
from burnish.process_pool import map_unordered
from burnish.training.pairs import resize

if TYPE_CHECKING:
    from rawpy import ImageSizes

# Gamma, and slope near black, of sRGB's curve.
SRGB_CURVE = (2.4, 12.92)
# Messages that LibRaw prints to stderr for damaged data, even if it raises no error.
DAMAGE_MESSAGES = ("data corrupted at", "Unexpected end of file")
# Bits of LibRaw's `flip`.
MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4
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
    before = develop(job.photo) if job.is_raw else Photo.open(job.photo).pixels
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


def develop(path: Path) -> NDArray[np.float32]:
    """Develop a raw file.

    The image is rotated upright and cropped to the DNG's DefaultCrop. LibRaw does not crop by
    itself, so that for FiveK's a0001, for example, an expert's version would be 16 pixels off. It
    moves the crop to the grid of the colour filter, by at most one pixel.

    Returns
    -------
    ndarray of shape (H, W, 3), float32, sRGB-encoded, in [0, 1]

    Raises
    ------
    PhotoError : the file is not a raw file, or is damaged
    """
    import rawpy

    messages: list[str] = []
    try:
        with _capture_damage_messages(messages), rawpy.imread(str(path)) as raw:
            sizes = raw.sizes  # before `postprocess`, which resets the orientation
            codes = raw.postprocess(
                use_camera_wb=True, gamma=SRGB_CURVE, output_bps=16, user_flip=0
            )
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else ""
        messages = [text.decode(errors="replace") if isinstance(text, bytes) else str(text)]
    if messages:  # the pixels may be damaged even if LibRaw raised no error
        message = messages[0].removeprefix(f"{path}: ").lower() or "unknown error"
        problem = f"LibRaw cannot develop the file: {message}"
        raise PhotoError(str(path), problem, "download it again")
    upright = apply_flip(_apply_crop(codes, sizes), sizes.flip)
    pixels: NDArray[np.float32] = np.divide(upright, 65535, dtype=np.float32)
    return pixels


def apply_flip(codes: NDArray[Any], flip: int) -> NDArray[Any]:
    """Rotate and mirror an image according to LibRaw's `flip`.

    Examples
    --------
    >>> apply_flip(np.array([[1, 2], [3, 4]]), 6).tolist()  # 90 degrees clockwise
    [[3, 1], [4, 2]]
    """
    if flip & UPSIDE_DOWN:
        codes = codes[::-1]
    if flip & MIRRORED:
        codes = codes[:, ::-1]
    return codes.swapaxes(0, 1) if flip & TRANSPOSED else codes


def _apply_crop(codes: NDArray[Any], sizes: "ImageSizes") -> NDArray[Any]:
    """Crop the image to the file's DefaultCrop, if it has one."""
    if not sizes.crop_width or not sizes.crop_height:
        return codes
    # LibRaw has already resampled an image with non-square pixels.
    scale_y, scale_x = codes.shape[0] / sizes.height, codes.shape[1] / sizes.width
    top = max(0, sizes.crop_top_margin - sizes.top_margin)
    left = max(0, sizes.crop_left_margin - sizes.left_margin)
    rows = slice(round(top * scale_y), round((top + sizes.crop_height) * scale_y))
    columns = slice(round(left * scale_x), round((left + sizes.crop_width) * scale_x))
    return codes[rows, columns]


@contextmanager
def _capture_damage_messages(messages: list[str]) -> Iterator[None]:
    """Collect LibRaw's messages about damage on stderr, and print the others.

    stderr belongs to the process, so only one photo may be developed in a process at a time.
    """
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if any(message in line for message in DAMAGE_MESSAGES):
                    messages.append(line)
                else:
                    os.write(2, f"{line}\n".encode())


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
