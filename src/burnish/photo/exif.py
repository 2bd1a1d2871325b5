"""EXIF on the byte level: turn it upright, and carry it into and out of TIFF files.

libvips reads and writes EXIF blocks in every format but TIFF, which keeps the same entries among
its own.
"""

import struct
from typing import BinaryIO

from burnish.photo.byte_view import Block
from burnish.photo.tiff_tags import EXIF, GPS, BrokenTagsError, Layout, header, insert, pack, read

PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
# What a picture file's first list says about the photo, not about how its pixels are stored:
# description, make, model, software, date, artist, ratings, copyright, Windows' texts, lists.
_ABOUT_THE_PHOTO = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_ABOUT_THE_PHOTO |= {*range(0x9C9B, 0x9CA0), EXIF, GPS}


def upright(exif: bytes) -> bytes:
    """Set an EXIF block's orientation to 'as stored' and unlink its thumbnail.

    Nothing is moved, so that a maker's own notes, which may hold addresses, stay valid.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    block = bytearray(exif.removeprefix(PREFIX))
    layout, offset = header(block)
    order = layout.order
    try:
        (count,) = struct.unpack_from(f"{order}H", block, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, entry)
            if tag == _ORIENTATION:
                struct.pack_into(f"{order}I" if kind == 4 else f"{order}H", block, entry + 8, 1)
        struct.pack_into(f"{order}I", block, offset + 2 + 12 * count, 0)
    except struct.error as error:
        raise BrokenTagsError(str(error)) from error
    return PREFIX + bytes(block)


def exif_of_tiff(tiff: Block) -> bytes | None:
    """Gather a TIFF's entries about the photo into an EXIF block; None where there are none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    about = [entry for entry in read(tiff) if entry.tag in _ABOUT_THE_PHOTO]
    if not about:
        return None
    layout = Layout(header(tiff)[0].order)
    return PREFIX + layout.head(8) + pack(about, layout, 8)


def exif_into_tiff(file: BinaryIO, exif: bytes) -> None:
    """Write an EXIF block's entries about the photo into a TIFF, in place of those it has.

    Parameters
    ----------
    file : see `burnish.photo.tiff_tags.insert`

    Raises
    ------
    BrokenTagsError : the block is damaged, or the file has no room left
    """
    block = exif.removeprefix(PREFIX)
    about = [entry for entry in read(block) if entry.tag in _ABOUT_THE_PHOTO]
    insert(file, about, header(block)[0].order)
