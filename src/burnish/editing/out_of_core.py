"""Streamed: a photo too large for memory, edited from file to file in a memory that is bounded.

The photo is decoded into a scratch file beside its result. Networks take their tiles from there and
leave the codes of the result in a second one, from which the photo is written. Every step is the
one that a photo in memory goes through, in other portions, so the result is the same.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from burnish.editing.edit import Edit, Progress
from burnish.editing.history import metadata_with_history
from burnish.errors import PhotoError
from burnish.files import atomic_write, check_absent, check_disk_space, make_folder, temporary_file
from burnish.photo import header
from burnish.photo.disk_photo import DiskPhoto, decode_to_disk
from burnish.photo.formats import writable_format
from burnish.photo.raw_tiff import RawTiff
from burnish.photo.rectangle import Rectangle
from burnish.photo.write import DTYPES, bits_per_channel, check_format, write_image
from burnish.runtime.model import ReadRegion
from burnish.types import Pixels


def needs_out_of_core(edit: Edit, source: Path) -> bool:
    """Decide, from a photo's header alone, whether it is edited on the disk or in memory.

    On the disk is a photo of more than `header.HUGE` pixels, if the edit takes it in parts: slow
    operators look at it whole.

    Raises
    ------
    PhotoError : as `Photo.open` raises it
    """
    # What is no file, such as a device, can be read only once.
    if not edit.tiled_stages or not source.is_file():
        return False
    width, height = header.image_size(source)
    return width * height > header.STREAMING_THRESHOLD


def scratch_bytes(edit: Edit, source: Path, depth: int | None = None) -> int:
    """Return the bytes of the files that editing a photo needs for a while; 0 for one in memory.

    Parameters
    ----------
    depth : of the result, bits a channel; None is the photo's
    """
    try:
        if not needs_out_of_core(edit, source):
            return 0
        with header.open_header(source) as photo_header:
            stored_bits = header.SAMPLE_TYPES[photo_header.image.format][0]
            pixels = photo_header.image.width * photo_header.image.height
            pixel_bytes = photo_header.image.bands * (stored_bits + (depth or stored_bits)) // 8
            return int(pixels * (pixel_bytes + 12 * (len(edit.tiled_stages) - 1)))
    except PhotoError:  # When its turn comes, it is said.
        return 0


def edit_out_of_core(
    edit: Edit,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    quality: int | None = None,
    depth: int | None = None,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Read `source`, edit it and write `target`, which stays as it was if anything fails.

    What it is given and what it raises are those of `editing.photo.apply_to_file`.

    Returns
    -------
    width and height of the photo, px
    """
    check_absent(target, overwrite=overwrite)
    file_format = writable_format(target.suffix, str(target))
    with header.open_header(source) as photo_header:
        size, alpha = photo_header.size, photo_header.image.bands in (2, 4)
    check_format(size, file_format, quality, depth, str(target), alpha=alpha)
    needed_bytes = scratch_bytes(edit, source, depth)
    check_disk_space(target.parent, needed_bytes, f"what {source} needs for a while")
    make_folder(target.parent)
    with decode_to_disk(source, target.parent) as photo:
        bits = bits_per_channel(photo.metadata, file_format, depth)
        with _run_stages(edit, photo, bits, target.parent, progress) as result:
            metadata = metadata_with_history(photo.metadata, edit.history)
            with atomic_write(target, overwrite=overwrite) as file:
                write_image(result.image(), metadata, file_format, file, quality, str(target))
    return size


@contextmanager
def _run_stages(
    edit: Edit, photo: DiskPhoto, bits: int, folder: Path, progress: Progress | None
) -> Iterator[RawTiff]:
    """Run an edit's passes and give the codes to write, which are there while the block runs."""
    size = photo.codes.height, photo.codes.width
    read: ReadRegion = photo.read_pixels
    with ExitStack() as files:
        for number, stage in enumerate(edit.tiled_stages):
            last = number == len(edit.tiled_stages) - 1
            # What is between two networks is not rounded, as it is not in memory.
            bands, dtype = (photo.codes.bands, DTYPES[bits]) if last else (3, np.float32)
            file = files.enter_context(temporary_file(folder))
            result = RawTiff(file, *size, bands, np.dtype(dtype))
            write = partial(_write_codes, photo, bits, result) if last else result.write
            stage(
                read,
                write,
                size,
                partial(_report_progress, progress, number, len(edit.tiled_stages)),
            )
            read = result.read
        yield result


def _write_codes(
    photo: DiskPhoto, bits: int, result: RawTiff, rectangle: Rectangle, pixels: Pixels
) -> None:
    result.write(rectangle, photo.to_codes(rectangle, pixels, bits))


def _report_progress(
    progress: Progress | None, stage: int, stage_count: int, fraction: float
) -> None:
    if progress is not None:
        progress((stage + fraction) / stage_count)
