"""EXIF on the byte level: turn it upright, and carry it into and out of TIFF files.

libvips reads and writes EXIF blocks in every format but TIFF, which keeps the same entries among
its own.
"""

import struct
from typing import BinaryIO

from burnish.photo.byte_view import Bytes
from burnish.photo.tiff_tags import (
    EXIF,
    GPS,
    BrokenTagsError,
    TiffLayout,
    insert_entries,
    pack_ifd,
    parse_header,
    read_entries,
)

PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
# What a picture file's first list says about the photo, not about how its pixels are stored:
# description, make, model, software, date, artist, ratings, copyright, Windows' texts, lists.
_PHOTO_TAGS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_PHOTO_TAGS |= {*range(0x9C9B, 0x9CA0), EXIF, GPS}


def reset_exif_orientation(exif: bytes) -> bytes:
    """Set an EXIF block's orientation to 'as stored' and unlink its thumbnail.

    Nothing is moved, so that a maker's own notes, which may hold addresses, stay valid.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    block = bytearray(exif.removeprefix(PREFIX))
    layout, offset = parse_header(block)
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


def read_tiff_exif(tiff: Bytes) -> bytes | None:
    """Gather a TIFF's entries about the photo into an EXIF block; None where there are none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    entries = [entry for entry in read_entries(tiff) if entry.tag in _PHOTO_TAGS]
    if not entries:
        return None
    layout = TiffLayout(parse_header(tiff)[0].order)
    return PREFIX + layout.header_bytes(8) + pack_ifd(entries, layout, 8)


def write_tiff_exif(file: BinaryIO, exif: bytes) -> None:
    """Write an EXIF block's entries about the photo into a TIFF, in place of those it has.

    Parameters
    ----------
    file : see `burnish.photo.tiff_tags.insert`

    Raises
    ------
    BrokenTagsError : the block is damaged, or the file has no room left
    """
    block = exif.removeprefix(PREFIX)
    entries = [entry for entry in read_entries(block) if entry.tag in _PHOTO_TAGS]
    insert_entries(file, entries, parse_header(block)[0].order)
