"""Edits of photos that are too large for memory, from file to file in bounded memory.

The photo is decoded into a temporary file next to its output. Networks read their tiles from it and
write the output's codes to a second file, which is then encoded. All steps equal those for photos
in memory, so the output is the same, byte for byte.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from burnish.editing.edit import Edit, OnProgress
from burnish.editing.history import metadata_with_history
from burnish.editing.options import DEFAULT_WRITE, WriteOptions
from burnish.editing.photo import scratch_bytes
from burnish.files import atomic_write, check_absent, check_disk_space, make_folder, temporary_file
from burnish.photo import header
from burnish.photo.disk_photo import DiskPhoto, RawTiff, decode_to_disk
from burnish.photo.formats import writable_format
from burnish.photo.write import DTYPES, bits_per_channel, check_format, write_image
from burnish.runtime.model import ReadRegion
from burnish.types import Pixels, Rectangle


def edit_out_of_core(
    edit: Edit,
    source: Path,
    target: Path,
    write: WriteOptions = DEFAULT_WRITE,
    on_progress: OnProgress | None = None,
) -> tuple[int, int]:
    """Read `source`, edit it and write `target`, which stays unchanged if anything fails.

    Returns
    -------
    Width and height of the photo, in pixels

    Raises
    ------
    BurnishError : as in `burnish.editing.photo.apply_to_file`
    """
    check_absent(target, overwrite=write.overwrite)
    file_format = writable_format(target.suffix, str(target))
    with header.open_header(source) as photo_header:
        size, alpha = photo_header.size, photo_header.image.bands in (2, 4)
    check_format(size, file_format, write.quality, write.depth, str(target), alpha=alpha)
    needed_bytes = scratch_bytes(edit, source, write.depth)
    check_disk_space(target.parent, needed_bytes, f"the temporary files of {source}")
    make_folder(target.parent)
    with decode_to_disk(source, target.parent) as photo:
        bits = bits_per_channel(photo.metadata, file_format, write.depth)
        with _run_stages(edit, photo, bits, target.parent, on_progress) as output:
            metadata = metadata_with_history(photo.metadata, edit.history)
            with atomic_write(target, overwrite=write.overwrite) as file:
                write_image(output.image(), metadata, file_format, file, write.quality, str(target))
    return size


@contextmanager
def _run_stages(
    edit: Edit, photo: DiskPhoto, bits: int, folder: Path, on_progress: OnProgress | None
) -> Iterator[RawTiff]:
    """Run an edit's stages; yield the output's codes, which exist while the block runs."""
    size = photo.codes.height, photo.codes.width
    count = len(edit.tiled_stages)
    read: ReadRegion = photo.read_pixels

    def report(index: int, fraction: float) -> None:
        if on_progress is not None:
            on_progress((index + fraction) / count)

    with ExitStack() as files:
        for index, stage in enumerate(edit.tiled_stages):
            last = index == count - 1
            # As in memory, values between two networks are not rounded.
            bands, dtype = (photo.codes.bands, DTYPES[bits]) if last else (3, np.float32)
            file = files.enter_context(temporary_file(folder))
            output = RawTiff(file, *size, bands, np.dtype(dtype))
            write = partial(_write_codes, photo, bits, output) if last else output.write
            stage(read, write, size, partial(report, index))
            read = output.read
        yield output


def _write_codes(
    photo: DiskPhoto, bits: int, output: RawTiff, rectangle: Rectangle, pixels: Pixels
) -> None:
    output.write(rectangle, photo.to_codes(rectangle, pixels, bits))
