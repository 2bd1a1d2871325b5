"""IPTC, the press agencies' captions: bare records in TIFF, wrapped in a Photoshop block in JPEG.

Here it always travels wrapped, as it lies in a JPEG, with whatever Photoshop put beside it.
"""

import struct
from typing import BinaryIO

from burnish.photo.byte_view import Bytes
from burnish.photo.tiff_tags import Entry, insert_entries, read_entries

_PREFIX = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _UNDEFINED = 0x83BB, 7


def wrap(records: bytes) -> bytes:
    """Wrap bare records into a Photoshop block.

    Examples
    --------
    >>> unwrap(wrap(b"records"))
    b'records'
    """
    padding = b"\0" * (len(records) % 2)
    return (
        _PREFIX
        + struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(records))
        + records
        + padding
    )


def unwrap(block: bytes) -> bytes | None:
    """Find the records in a Photoshop block; None where it has none or is damaged."""
    offset = len(_PREFIX)
    while block[offset : offset + 4] == b"8BIM" and offset + 7 <= len(block):
        (resource,) = struct.unpack_from(">H", block, offset + 4)
        # A name with its length before it, both together of even length.
        offset += 6 + (block[offset + 6] + 2) // 2 * 2
        size = int.from_bytes(block[offset : offset + 4], "big")
        content = block[offset + 4 : offset + 4 + size]
        if resource == _IPTC_RESOURCE:
            return content if content and len(content) == size else None
        offset += 4 + (size + 1) // 2 * 2
    return None


def read_tiff_iptc(tiff: Bytes) -> bytes | None:
    """Return a TIFF's records, wrapped; None where there are none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    records = [
        entry.value for entry in read_entries(tiff) if entry.tag == _IPTC_TAG and entry.value
    ]
    return wrap(records[0]) if records else None


def write_tiff_iptc(file: BinaryIO, block: bytes) -> None:
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
        insert_entries(file, [Entry(_IPTC_TAG, _UNDEFINED, len(records), records)], "<")
