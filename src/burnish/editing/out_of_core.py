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
from burnish.editing.history import remembered
from burnish.errors import PhotoError
from burnish.files import check_free, check_room, make_folder, scratch, writing
from burnish.photo import header
from burnish.photo.disk_photo import Spooled, spooled
from burnish.photo.formats import writable
from burnish.photo.raw_tiff import Scratch
from burnish.photo.rectangle import Rectangle
from burnish.photo.write import TYPES, bits_of, check, put
from burnish.runtime.model import Take
from burnish.types import Pixels


def is_streamed(edit: Edit, source: Path) -> bool:
    """Decide, from a photo's header alone, whether it is edited on the disk or in memory.

    On the disk is a photo of more than `header.HUGE` pixels, if the edit takes it in parts: slow
    operators look at it whole.

    Raises
    ------
    PhotoError : as `Photo.open` raises it
    """
    # What is no file, such as a device, can be read only once.
    if not edit.passes or not source.is_file():
        return False
    width, height = header.size(source)
    return width * height > header.HUGE


def room_of(edit: Edit, source: Path, depth: int | None = None) -> int:
    """Return the bytes of the files that editing a photo needs for a while; 0 for one in memory.

    Parameters
    ----------
    depth : of the result, bits a channel; None is the photo's
    """
    try:
        if not is_streamed(edit, source):
            return 0
        with header.peeked(source) as found:
            stored = header.SAMPLES[found.image.format][0]
            pixels = found.image.width * found.image.height
            codes = found.image.bands * (stored + (depth or stored)) // 8
            return int(pixels * (codes + 12 * (len(edit.passes) - 1)))
    except PhotoError:  # When its turn comes, it is said.
        return 0


def stream(
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
    check_free(target, overwrite=overwrite)
    kind = writable(target.suffix, str(target))
    with header.peeked(source) as found:
        size, alpha = found.size, found.image.bands in (2, 4)
    check(size, kind, quality, depth, str(target), alpha=alpha)
    room = room_of(edit, source, depth)
    check_room(target.parent, room, f"what {source} needs for a while")
    make_folder(target.parent)
    with spooled(source, target.parent) as photo:
        bits = bits_of(photo.origin, kind, depth)
        with _edited(edit, photo, bits, target.parent, progress) as result:
            origin = remembered(photo.origin, edit.made)
            with writing(target, overwrite=overwrite) as file:
                put(result.image(), origin, kind, file, quality, str(target))
    return size


@contextmanager
def _edited(
    edit: Edit, photo: Spooled, bits: int, folder: Path, progress: Progress | None
) -> Iterator[Scratch]:
    """Run an edit's passes and give the codes to write, which are there while the block runs."""
    size = photo.codes.height, photo.codes.width
    take: Take = photo.pixels
    with ExitStack() as files:
        for number, over in enumerate(edit.passes):
            last = number == len(edit.passes) - 1
            # What is between two networks is not rounded, as it is not in memory.
            bands, dtype = (photo.codes.bands, TYPES[bits]) if last else (3, np.float32)
            file = files.enter_context(scratch(folder))
            result = Scratch(file, *size, bands, np.dtype(dtype))
            give = partial(_give_codes, photo, bits, result) if last else result.write
            over(take, give, size, partial(_share, progress, number, len(edit.passes)))
            take = result.read
        yield result


def _give_codes(
    photo: Spooled, bits: int, result: Scratch, part: Rectangle, pixels: Pixels
) -> None:
    result.write(part, photo.coded(part, pixels, bits))


def _share(progress: Progress | None, number: int, passes: int, part: float) -> None:
    if progress is not None:
        progress((number + part) / passes)
