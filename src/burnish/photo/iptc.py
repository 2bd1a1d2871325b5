"""IPTC captions: bare records in TIFF, wrapped in a Photoshop block in JPEG.

This package keeps them wrapped, as in a JPEG, together with Photoshop's other resources.
"""

import struct
from typing import BinaryIO

from burnish.photo.byte_view import Bytes
from burnish.photo.tiff_tags import Entry, insert_entries, read_entries

_PREFIX = b"Photoshop 3.0\0"
_IPTC_RESOURCE = 0x0404
_IPTC_TAG, _UNDEFINED = 0x83BB, 7


def wrap(records: bytes) -> bytes:
    """Wrap bare records in a Photoshop block.

    Examples
    --------
    >>> unwrap(wrap(b"records"))
    b'records'
    """
    padding = b"\0" * (len(records) % 2)
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(records))
    return _PREFIX + head + records + padding


def unwrap(block: bytes) -> bytes | None:
    """Return the records in a Photoshop block, or None if it has none or is damaged."""
    offset = len(_PREFIX)
    while block[offset : offset + 4] == b"8BIM" and offset + 7 <= len(block):
        (resource,) = struct.unpack_from(">H", block, offset + 4)
        # A Pascal string, padded to an even length, precedes the size.
        offset += 6 + (block[offset + 6] + 2) // 2 * 2
        size = int.from_bytes(block[offset : offset + 4], "big")
        content = block[offset + 4 : offset + 4 + size]
        if resource == _IPTC_RESOURCE:
            return content if content and len(content) == size else None
        offset += 4 + (size + 1) // 2 * 2
    return None


def read_tiff_iptc(tiff: Bytes) -> bytes | None:
    """Return a TIFF's records, wrapped, or None if it has none.

    Raises
    ------
    BrokenTagsError : the file's entries are damaged
    """
    values = (entry.value for entry in read_entries(tiff) if entry.tag == _IPTC_TAG)
    records = next(filter(None, values), None)
    return wrap(records) if records else None


def write_tiff_iptc(file: BinaryIO, block: bytes) -> None:
    """Write a Photoshop block's records into a TIFF.

    Parameters
    ----------
    file : as for `burnish.photo.tiff_tags.insert_entries`

    Raises
    ------
    BrokenTagsError : the file would exceed its size limit
    """
    records = unwrap(block)
    if records:
        insert_entries(file, [Entry(_IPTC_TAG, _UNDEFINED, len(records), records)], "<")
