"""IPTC, the press agencies' captions: bare records in TIFF, wrapped in a Photoshop block in JPEG.

Here it always travels wrapped, as it lies in a JPEG, with whatever Photoshop put beside it.
"""

import struct
from typing import BinaryIO

from burnish.photo.byte_view import Block
from burnish.photo.tiff_tags import Entry, insert, read

_PREFIX = b"Photoshop 3.0\0"
_RECORDS = 0x0404
_TAG, _UNDEFINED = 0x83BB, 7


def wrap(records: bytes) -> bytes:
    """Wrap bare records into a Photoshop block.

    Examples
    --------
    >>> unwrap(wrap(b"records"))
    b'records'
    """
    padding = b"\0" * (len(records) % 2)
    return _PREFIX + struct.pack(">4sHHI", b"8BIM", _RECORDS, 0, len(records)) + records + padding


def unwrap(block: bytes) -> bytes | None:
    """Find the records in a Photoshop block; None where it has none or is damaged."""
    at = len(_PREFIX)
    while block[at : at + 4] == b"8BIM" and at + 7 <= len(block):
        (number,) = struct.unpack_from(">H", block, at + 4)
        # A name with its length before it, both together of even length.
        at += 6 + (block[at + 6] + 2) // 2 * 2
        size = int.from_bytes(block[at : at + 4], "big")
        content = block[at + 4 : at + 4 + size]
        if number == _RECORDS:
            return content if content and len(content) == size else None
        at += 4 + (size + 1) // 2 * 2
    return None


def iptc_of_tiff(tiff: Block) -> bytes | None:
    """Return a TIFF's records, wrapped; None where there are none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    found = [entry.value for entry in read(tiff) if entry.tag == _TAG and entry.value]
    return wrap(found[0]) if found else None


def iptc_into_tiff(file: BinaryIO, block: bytes) -> None:
    """Write a Photoshop block's records into a TIFF.

    Parameters
    ----------
    file : see `burnish.photo.tiff_tags.insert`

    Raises
    ------
    BrokenTagsError : the file has no room left
    """
    records = unwrap(block)
    if records:
        insert(file, [Entry(_TAG, _UNDEFINED, len(records), records)], "<")
