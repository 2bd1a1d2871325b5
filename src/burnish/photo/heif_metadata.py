"""Metadata in the boxes of AVIF and HEIC files (ISO 23008-12): their names, and new EXIF."""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from burnish.photo.container import Bytes, FileBytes
from burnish.photo.exif import PREFIX as EXIF_PREFIX
from burnish.photo.trailing import GAIN_MAP, VIDEO

_CREDENTIALS_ID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# Marks in the table of a file's items -> name.
_ITEMS = {
    b"aux:hdrgainmap": GAIN_MAP,
    b"tmap": GAIN_MAP,
    b"auxid:2": "the depth map",
    b"aux:portraiteffectsmatte": "the portrait matte",
    b"aux:semantic": "the segmentation mattes",
}


def describe_boxes(heif: Bytes) -> list[str]:
    """Return the names of what a file has beside the image and its EXIF and XMP."""
    names = []
    for kind, content in _boxes(heif, slice(0, len(heif))):
        if kind == b"meta":
            table = bytes(heif[content])
            names += [name for mark, name in _ITEMS.items() if mark in table]
        elif kind == b"mpvd":
            names.append(VIDEO)
        elif kind == b"sefd":
            names.append("Samsung's trailer")
        elif kind == b"uuid" and heif[content.start : content.start + 16] == _CREDENTIALS_ID:
            names.append("Content Credentials (C2PA)")
    return names


def replace_exif(file: BinaryIO, exif: bytes) -> None:
    """Replace the EXIF item that libvips has written by a block.

    The block is appended, and the table of items points to it, so that nothing has to be moved.

    Raises
    ------
    ValueError : the file has no EXIF item of the usual kind
    """
    heif = FileBytes(file)
    meta = dict(_boxes(heif, slice(0, len(heif)))).get(b"meta", slice(0, 0))
    inside = dict(_boxes(heif, slice(meta.start + 4, meta.stop)))
    if not {b"iloc", b"iinf"} <= inside.keys():
        raise ValueError("no table of items")
    base, position = _location(heif, inside[b"iloc"], _exif_item(heif, inside[b"iinf"]))
    item = struct.pack(">I", len(EXIF_PREFIX)) + EXIF_PREFIX + exif
    start = file.seek(0, os.SEEK_END)
    file.write(struct.pack(">I4s", len(item) + 8, b"mdat") + item)
    file.seek(base.start)
    file.write(bytes(base.stop - base.start))
    file.seek(position)
    file.write(struct.pack(">II", start + 8, len(item)))


def _boxes(heif: Bytes, inside: slice) -> Iterator[tuple[bytes, slice]]:
    """Yield the type and the content's position of each box."""
    position = inside.start
    while position + 8 <= inside.stop:
        size, kind = struct.unpack(">I4s", heif[position : position + 8])
        head = 8
        if size == 1:
            size, head = int.from_bytes(heif[position + 8 : position + 16], "big"), 16
        end = position + size if size else inside.stop
        if end < position + head or end > inside.stop:
            return
        yield kind, slice(position + head, end)
        position = end


def _exif_item(heif: Bytes, table: slice) -> int:
    count_bytes = 4 if heif[table.start] else 2
    for kind, content in _boxes(heif, slice(table.start + 4 + count_bytes, table.stop)):
        entry = bytes(heif[content])
        if kind == b"infe" and entry[0] == 2 and entry[8:12] == b"Exif":
            return int.from_bytes(entry[4:6], "big")
    raise ValueError("no EXIF item")


def _location(heif: Bytes, table: slice, item: int) -> tuple[slice, int]:
    """Return the positions of an item's base, and of its offset from that and its length.

    Offset and length have four bytes each.
    """
    version, sizes = heif[table.start], bytes(heif[table.start + 4 : table.start + 6])
    base_bytes = sizes[1] >> 4
    if version > 1 or sizes[0] != 0x44 or sizes[1] & 0x0F:
        raise ValueError("an unusual table of locations")
    fixed_bytes = (4 if version == 0 else 6) + base_bytes
    position = table.start + 8
    for _ in range(int.from_bytes(heif[table.start + 6 : table.start + 8], "big")):
        number, extents = (
            int.from_bytes(heif[start : start + 2], "big")
            for start in (position, position + fixed_bytes)
        )
        position += fixed_bytes + 2
        if number == item and extents == 1:
            return slice(position - 2 - base_bytes, position - 2), position
        position += 8 * extents
    raise ValueError("no location of the EXIF item")
