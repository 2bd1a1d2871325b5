"""EXIF blocks: TIFF structures that the other formats embed.

A block is kept byte for byte. Only the orientation changes, in place, so that all offsets stay
valid, those in a maker's notes included.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

from burnish.photo.tiff_tags import (
    EXIF,
    BrokenTagsError,
    Entry,
    TiffLayout,
    pack_ifd,
    parse_header,
    read_entries,
)

PREFIX = b"Exif\0\0"
_ORIENTATION, _MAKER_NOTE = 0x0112, 0x927C
# Tags of the horizontal and vertical resolution, and of its unit.
RESOLUTION = (0x011A, 0x011B, 0x0128)
# A maker's note keeps its offset up to this one, in bytes. A block is filled up to it.
MAX_NOTE_ADDRESS = 1 << 20
# Tags of the width and the height of the image: in the first IFD, and in EXIF's own.
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
# The name of what is lost if maker's notes move.
MOVED_NOTE = "the addresses inside the maker's notes"
# Types of one-byte, two-byte and four-byte integers, in struct's notation.
_INTEGERS = {1: "B", 3: "H", 4: "I"}
# Beginnings of maker's notes whose offsets do not depend on their position.
_RELOCATABLE_NOTES = (
    *(b"Nikon\0\x02", b"Apple iOS", b"FUJIFILM", b"OLYMPUS\0", b"OM SYSTEM\0", b"PENTAX \0"),
    *(b"LEICA CAMERA", b"HDRP"),
)


def exif_orientation(exif: bytes | None) -> int:
    """Return a block's orientation: 1 is upright, 5 to 8 are stored sideways."""
    try:
        values = [value for tag, value, _ in _fields(exif or b"") if tag == _ORIENTATION]
    except BrokenTagsError:
        return 1
    return next((value for value in values if 1 <= value <= 8), 1)


def has_exif_resolution(exif: bytes | None) -> bool:
    """Return whether a block states the size of the image's pixels, in inches or centimetres."""
    try:
        values = {tag: value for tag, value, _ in _fields(exif or b"")}
    except BrokenTagsError:
        return False
    return values.get(RESOLUTION[2]) in (2, 3)


def has_resolution_only(exif: bytes | None) -> bool:
    """Return whether a TIFF's block holds nothing but the resolution and the orientation."""
    try:
        entries = read_entries(exif or b"", unreadable=[])
    except BrokenTagsError:
        return False
    return {entry.tag for entry in entries} <= {*RESOLUTION, _ORIENTATION}


def byte_order(exif: bytes | None) -> str:
    """Return the byte order of a block, in struct's notation; "<" without one."""
    try:
        return parse_header(exif or b"")[0].order
    except BrokenTagsError:
        return "<"


def reset_exif_orientation(exif: bytes, size: tuple[int, int] | None = None) -> bytes:
    """Return a block for an upright image without thumbnail.

    The orientation becomes 1, and the thumbnail is unlinked and overwritten with zeros. If the
    image was stored sideways, its width and height change places. No byte is moved. A damaged
    block is kept as far as it is damaged.

    Parameters
    ----------
    size : width and height of the upright image
    """
    block = bytearray(exif)
    try:
        layout, first = parse_header(block)
    except BrokenTagsError:
        return exif
    if exif_orientation(exif) >= 5 and size is not None:
        _swap_sides(block, size)
    for tag, _, position in _fields(block):
        if tag == _ORIENTATION:
            _write_value(block, layout.order, position, 1)
    if (link := _next_ifd(block, layout.order, first)) is not None:
        (thumbnail_ifd,) = struct.unpack_from(f"{layout.order}I", block, link)
        values = {tag: value for tag, value, _ in _fields(block, thumbnail_ifd)}
        start, size_bytes = values.get(_THUMBNAIL, 0), values.get(_THUMBNAIL_BYTES, 0)
        thumbnail = slice(start, start + size_bytes)
        if block[thumbnail][:2] == b"\xff\xd8" and thumbnail.stop <= len(block):
            block[thumbnail] = bytes(size_bytes)
        struct.pack_into(f"{layout.order}I", block, link, 0)
    return bytes(block)


def _swap_sides(block: bytearray, size: tuple[int, int]) -> None:
    order = parse_header(block)[0].order
    fields = list(_fields(block))
    pointers = [value for tag, value, _ in fields if tag == EXIF]
    for ifd in (fields, list(_fields(block, pointers[0])) if pointers else []):
        sides = {tag: (value, position) for tag, value, position in ifd}
        for width_tag, height_tag in zip(_WIDTHS, _HEIGHTS, strict=True):
            width, height = sides.get(width_tag), sides.get(height_tag)
            # A size that is not the image's is kept.
            if width and height and (height[0], width[0]) == size:
                _write_value(block, order, width[1], size[0])
                _write_value(block, order, height[1], size[1])


def _fields(block: bytes | bytearray, offset: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield tag, value and position of the integers in an IFD [default: the first one].

    Raises
    ------
    BrokenTagsError : no TIFF header
    """
    layout, first = parse_header(block)
    offset = first if offset is None else offset
    if layout.big or offset + 2 > len(block):
        return
    (count,) = struct.unpack_from(f"{layout.order}H", block, offset)
    last = min(offset + 2 + 12 * count, len(block) - 11)
    for position in range(offset + 2, last, 12):
        tag, kind = struct.unpack_from(f"{layout.order}HH", block, position)
        if kind in _INTEGERS:
            (value,) = struct.unpack_from(f"{layout.order}{_INTEGERS[kind]}", block, position + 8)
            yield tag, value, position


def _write_value(block: bytearray, order: str, position: int, value: int) -> None:
    (kind,) = struct.unpack_from(f"{order}H", block, position + 2)
    size = struct.calcsize(_INTEGERS[kind])
    if value < 256**size:
        struct.pack_into(f"{order}{_INTEGERS[kind]}", block, position + 8, value)


def _next_ifd(block: bytearray, order: str, offset: int) -> int | None:
    """Return the position of the pointer to the second IFD, or None if it is cut off."""
    if offset + 2 > len(block):
        return None
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    position = offset + 2 + 12 * count
    return position if position + 4 <= len(block) else None


def pack_exif(entries: Sequence[Entry], order: str, limit: int) -> tuple[bytes, bool]:
    """Encode entries as a block.

    Parameters
    ----------
    order : byte order, in struct's notation
    limit : bytes; in a larger block, a maker's note does not keep its `Entry.address`

    Returns
    -------
    block
    intact : whether the offsets in a maker's note stay valid
    """
    layout = TiffLayout(order)
    header_bytes = len(layout.header_bytes(0))
    notes = [inner for entry in entries for inner in entry.sub_ifd if inner.tag == _MAKER_NOTE]
    note = notes[0] if notes and notes[0].address is not None else None
    if note is not None and note.address is not None and header_bytes <= note.address <= limit:
        pinned = without_addresses(entries, note)
        before = pack_ifd(pinned, layout, header_bytes)
        end = note.address + len(note.value)
        if header_bytes + len(before) <= note.address:
            block = layout.header_bytes(header_bytes) + before
            block = block.ljust(note.address, b"\0") + note.value
        else:
            start = end + end % 2
            block = layout.header_bytes(start).ljust(note.address, b"\0") + note.value
            block = block.ljust(start, b"\0") + pack_ifd(pinned, layout, start)
        if len(block) <= limit:
            return block, True
    packed = pack_ifd(without_addresses(entries), layout, header_bytes)
    intact = all(
        len(note.value) <= layout.inline_size or note.value.startswith(_RELOCATABLE_NOTES)
        for note in notes
    )
    return layout.header_bytes(header_bytes) + packed, intact


def without_addresses(entries: Sequence[Entry], note: Entry | None = None) -> tuple[Entry, ...]:
    """Return entries without addresses, except the note's, so that `pack_ifd` encodes them."""
    return tuple(
        entry
        if entry is note
        else replace(entry, address=None, sub_ifd=without_addresses(entry.sub_ifd, note))
        for entry in entries
    )


def fit_exif(exif: bytes, limit: int) -> tuple[bytes | None, list[str]]:
    """Return a block of at most `limit` bytes, and the names of the parts that do not fit."""
    if len(exif) <= limit:
        return exif, []
    try:
        entries = read_entries(exif)
        order = parse_header(exif)[0].order
        dropped: list[str] = []
        while True:
            block, intact = pack_exif(entries, order, limit)
            if len(block) <= limit:
                return block, dropped + ([] if intact else [MOVED_NOTE])
            entries, tag = _without_largest(entries)
            dropped.append("the maker's notes" if tag == _MAKER_NOTE else f"EXIF tag {tag:#06x}")
    except BrokenTagsError:
        return None, ["EXIF"]


def _without_largest(entries: Sequence[Entry]) -> tuple[list[Entry], int]:
    """Return the entries without the one with the longest value, and its tag."""
    values = [entry for outer in entries for entry in (outer, *outer.sub_ifd)]
    largest = max(values, key=lambda entry: len(entry.value))
    kept = [
        replace(entry, sub_ifd=tuple(inner for inner in entry.sub_ifd if inner is not largest))
        for entry in entries
        if entry is not largest
    ]
    return kept, largest.tag
