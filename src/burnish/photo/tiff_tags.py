"""Image file directories (IFDs), of which TIFF files and EXIF blocks consist."""

import os
import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

from burnish.photo.container import Bytes

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
# Tags that point to a sub-IFD, by nesting depth.
_SUB_IFD_TAGS: tuple[tuple[int, ...], ...] = ((EXIF, GPS), (INTEROP,), ())
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612

# Type -> bytes of one value.
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZE |= {16: 8, 17: 8, 18: 8}  # BigTIFF's types
# Type -> bytes of a unit that is swapped between byte orders; rationals consist of two.
_SWAP_UNIT = _SIZE | {5: 4, 10: 4}


class BrokenTagsError(ValueError):
    """The IFDs are damaged, or do not fit into a file."""


@dataclass(frozen=True)
class Entry:
    """One entry of an IFD.

    Parameters
    ----------
    tag, kind, count : tag, type and number of values, as in TIFF 6.0
    value : the encoded values, in the byte order of the file
    sub_ifd : the entries of the IFD that this entry points to
    address : file offset of the values; None if they are in the entry itself, or not in a file yet
    """

    tag: int
    kind: int
    count: int
    value: bytes
    sub_ifd: "tuple[Entry, ...]" = ()
    address: int | None = None


@dataclass(frozen=True)
class TiffLayout:
    """Binary layout of IFDs: of classic TIFF and EXIF, or of BigTIFF, which has 64-bit offsets.

    Parameters
    ----------
    order : byte order, in struct's notation
    big : BigTIFF
    """

    order: str
    big: bool = False

    @property
    def count_format(self) -> str:
        """Struct format of an IFD's number of entries."""
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def offset_format(self) -> str:
        """Struct format of a file offset."""
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def entry_format(self) -> str:
        """Struct format of an entry: tag, type, count, and values or their offset."""
        return f"{self.order}HH{'QQ' if self.big else 'II'}"

    @property
    def inline_size(self) -> int:
        """Largest size in bytes of values that are stored in the entry itself."""
        return 8 if self.big else 4

    def header_bytes(self, first_ifd: int) -> bytes:
        """Return the header of a file whose first IFD is at this offset."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(f"{self.order}HHHQ", 43, 8, 0, first_ifd)
        return mark + struct.pack(f"{self.order}HI", 42, first_ifd)


def parse_header(block: Bytes) -> tuple[TiffLayout, int]:
    """Return the layout and the offset of the first IFD.

    Raises
    ------
    BrokenTagsError : no TIFF header

    Examples
    --------
    >>> parse_header(b"MM" + bytes([0, 42, 0, 0, 0, 8]))
    (TiffLayout(order='>', big=False), 8)
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    for layout in (TiffLayout(order or "<"), TiffLayout(order or "<", big=True)):
        prefix = block[: len(layout.header_bytes(0))]
        first = int.from_bytes(prefix[-layout.inline_size :], "little" if order == "<" else "big")
        if order and prefix == layout.header_bytes(first):
            return layout, first
    raise BrokenTagsError("no TIFF header")


def read_entries(
    block: Bytes,
    *,
    without_values: Container[int] = (),
    follow: bool = True,
    unreadable: list[int] | None = None,
) -> list[Entry]:
    """Return the entries of the first IFD of a TIFF or EXIF block.

    Parameters
    ----------
    without_values : tags whose values are not read
    follow : read EXIF's sub-IFDs; otherwise their entries hold the offsets
    unreadable : receives the tags of damaged entries, which otherwise raise an error

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    layout, offset = parse_header(block)
    reader = _Reader(block, layout, 2 * len(block), without_values, follow, unreadable)
    return reader.read(offset, depth=0)


@dataclass
class _Reader:
    """Reads the IFDs of a block, at most `budget` bytes of entries and values in all.

    Offsets may point to the same position again and again. Without a limit, a small file could
    take hours to read or fill the memory. A budget of twice the block's size allows for entries
    that share a value.
    """

    block: Bytes
    layout: TiffLayout
    budget: int
    without_values: Container[int]
    follow: bool
    unreadable: list[int] | None

    def read(self, offset: int, depth: int) -> list[Entry]:
        entries: list[Entry] = []
        visited: set[int] = set()
        layout = self.layout
        size, start = struct.calcsize(layout.entry_format), struct.calcsize(layout.count_format)
        (count,) = struct.unpack(layout.count_format, self._read_bytes(offset, start))
        for position in range(offset + start, offset + start + size * count, size):
            tag = 0
            try:
                packed = self._read_bytes(position, size)
                tag, *_ = struct.unpack(layout.entry_format, packed)
                is_pointer = self.follow and tag in (EXIF, GPS, INTEROP)
                if not is_pointer:
                    entries += self._read_entry(packed)
                elif tag in _SUB_IFD_TAGS[depth] and tag not in visited:
                    visited.add(tag)
                    sub_ifd = tuple(self.read(self._pointer(packed), depth + 1))
                    entries += [Entry(tag, 4, 1, b"", sub_ifd)] if sub_ifd else []
            except BrokenTagsError:
                if self.unreadable is None:
                    raise
                self.unreadable.append(tag)
                if position + size > len(self.block) or self.budget < 0:
                    break
        return entries

    def _pointer(self, packed: bytes) -> int:
        layout = self.layout
        _, kind, _, address = struct.unpack(layout.entry_format, packed)
        if layout.big and kind in (4, 13):  # a 32-bit offset in a field of 8 bytes
            (address,) = struct.unpack(f"{layout.order}I", packed[-8:-4])
        return int(address)

    def _read_entry(self, packed: bytes) -> list[Entry]:
        """Return the entry, or nothing if its type is unknown."""
        inline_size = self.layout.inline_size
        tag, kind, number, address = struct.unpack(self.layout.entry_format, packed)
        if kind not in _SIZE:
            if self.unreadable is not None:
                self.unreadable.append(tag)
            return []
        length = number * _SIZE[kind]
        if tag in self.without_values:
            return [Entry(tag, kind, number, b"")]
        if length <= inline_size:
            return [Entry(tag, kind, number, packed[-inline_size:][:length])]
        return [Entry(tag, kind, number, self._read_bytes(address, length), address=address)]

    def _read_bytes(self, start: int, size: int) -> bytes:
        self.budget -= size
        if self.budget < 0:
            raise BrokenTagsError("entries and values exceed the size of the file")
        if start + size > len(self.block):
            raise BrokenTagsError("an offset points outside the file")
        return bytes(self.block[start : start + size])


def pack_ifd(entries: Iterable[Entry], layout: TiffLayout, offset: int) -> bytes:
    """Encode an IFD for a file offset, followed by the values that its entries cannot hold.

    Values with an address are already in the file.

    Raises
    ------
    BrokenTagsError : an offset exceeds the layout's limit
    """
    entries = sorted(entries, key=lambda entry: entry.tag)
    heads, tail = bytearray(), bytearray()
    size, start = struct.calcsize(layout.entry_format), struct.calcsize(layout.count_format)
    tail_offset = offset + start + size * len(entries) + layout.inline_size
    for entry in entries:
        value_offset = tail_offset + len(tail)
        value = entry.value
        if entry.sub_ifd:
            value = _pack_offset(layout, value_offset)
            tail += pack_ifd(entry.sub_ifd, layout, value_offset)
        elif entry.address is not None:
            value = _pack_offset(layout, entry.address)
        elif len(value) > layout.inline_size:
            value = _pack_offset(layout, value_offset)
            tail += entry.value
        tail += b"\0" * (len(tail) % 2)
        kind = 16 if entry.sub_ifd and layout.big else entry.kind
        head = struct.pack(layout.entry_format, entry.tag, kind, entry.count, 0)
        heads += head[: -layout.inline_size] + value.ljust(layout.inline_size, b"\0")
    no_next_ifd = bytes(layout.inline_size)
    return struct.pack(layout.count_format, len(entries)) + bytes(heads) + no_next_ifd + bytes(tail)


def _pack_offset(layout: TiffLayout, offset: int) -> bytes:
    try:
        return struct.pack(layout.offset_format, offset)
    except struct.error as error:
        raise BrokenTagsError("the file would exceed 4 GiB") from error


def append_ifd(file: BinaryIO, entries: Iterable[Entry], layout: TiffLayout) -> None:
    """Append an IFD to a TIFF, as its first and only one.

    Parameters
    ----------
    file : open for reading and writing
    entries : in the byte order of the layout

    Raises
    ------
    BrokenTagsError : the file would exceed 4 GiB
    """
    size = file.seek(0, os.SEEK_END)
    padding = -size % 8  # BigTIFF's IFDs start at multiples of 8.
    offset = size + padding
    packed = pack_ifd(entries, layout, offset)
    head = layout.header_bytes(0)[: -layout.inline_size] + _pack_offset(layout, offset)
    file.write(bytes(padding) + packed)
    # The header is written last, so that a failure before it leaves the old IFD in use.
    file.seek(0)
    file.write(head)


def swap_bytes(entry: Entry) -> Entry:
    """Return an entry in the other byte order."""
    unit = _SWAP_UNIT[entry.kind]
    swapped = (entry.value[i : i + unit][::-1] for i in range(0, len(entry.value), unit))
    return replace(
        entry,
        value=b"".join(swapped),
        sub_ifd=tuple(swap_bytes(inner) for inner in entry.sub_ifd),
    )


def is_camera_raw(tiff: Bytes) -> bool:
    """Return whether a TIFF's first image is only the preview of a camera's raw data."""
    if tiff[8:10] == b"CR":
        return True
    try:
        layout, _ = parse_header(tiff)
        tags = read_entries(tiff, follow=False, unreadable=[])
    except BrokenTagsError:
        return False
    entries = {entry.tag: entry.value for entry in tags}
    subfile_type = entries.get(_SUBFILE_TYPE, b"\0")
    is_reduced = int.from_bytes(subfile_type, "little" if layout.order == "<" else "big") & 1
    return bool(is_reduced) or _DNG_VERSION in entries
