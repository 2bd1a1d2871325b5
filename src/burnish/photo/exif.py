"""EXIF blocks: reset the orientation, and convert to and from the entries of a TIFF.

libvips reads and writes EXIF blocks in every format but TIFF, which keeps EXIF's entries among
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
# Tags of an image file's first IFD that describe the photo and not the storage of its pixels:
# description, make, model, software, date, artist, ratings, copyright, Windows' texts, sub-IFDs.
_PHOTO_TAGS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_PHOTO_TAGS |= {*range(0x9C9B, 0x9CA0), EXIF, GPS}


def reset_exif_orientation(exif: bytes) -> bytes:
    """Set an EXIF block's orientation to 1 (upright) and unlink its thumbnail.

    No byte is moved, so that offsets in maker notes stay valid.

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
    """Return an EXIF block of a TIFF's entries about the photo, or None if it has none.

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
    """Replace a TIFF's entries about the photo by those of an EXIF block.

    Parameters
    ----------
    file : as for `burnish.photo.tiff_tags.insert_entries`

    Raises
    ------
    BrokenTagsError : the block is damaged, or the file would exceed its size limit
    """
    block = exif.removeprefix(PREFIX)
    entries = [entry for entry in read_entries(block) if entry.tag in _PHOTO_TAGS]
    insert_entries(file, entries, parse_header(block)[0].order)
