"""Lists of tagged entries, which TIFF files and EXIF blocks are made of: read, pack, insert."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from burnish.photo.byte_view import Bytes, FileBytes

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
# Which entries point to a further list, by how deep the list is that they stand in.
_SUB_IFD_TAGS: tuple[tuple[int, ...], ...] = ((EXIF, GPS), (INTEROP,), ())
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612

# Type -> bytes of one value, and bytes of what is swapped between byte orders.
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZE |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
_SWAP_UNIT = _SIZE | {5: 4, 10: 4}


class BrokenTagsError(ValueError):
    """The entries are not what a file can hold."""


@dataclass(frozen=True)
class Entry:
    """One entry; `value` is in its file's byte order, `sub_ifd` the list that it points to."""

    tag: int
    kind: int
    count: int
    value: bytes
    sub_ifd: "tuple[Entry, ...]" = ()


@dataclass(frozen=True)
class TiffLayout:
    """How lists are laid out: classic TIFF's and EXIF's, or BigTIFF's, whose addresses are longer.

    Parameters
    ----------
    order : byte order, in struct's notation
    big : BigTIFF
    """

    order: str
    big: bool = False

    @property
    def count_format(self) -> str:
        """How a list's number of entries is written."""
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def offset_format(self) -> str:
        """How an address is written."""
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def entry_format(self) -> str:
        """How an entry is written: tag, kind, count, and a value or its address."""
        return f"{self.order}HH{'QQ' if self.big else 'II'}"

    @property
    def inline_size(self) -> int:
        """Bytes that an entry itself has room for."""
        return 8 if self.big else 4

    def header_bytes(self, first_ifd: int) -> bytes:
        """Return what a file begins with whose first list lies at an address."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(f"{self.order}HHHQ", 43, 8, 0, first_ifd)
        return mark + struct.pack(f"{self.order}HI", 42, first_ifd)


def parse_header(block: Bytes) -> tuple[TiffLayout, int]:
    """Return the layout and the address of the first list.

    Raises
    ------
    BrokenTagsError : no TIFF header

    Examples
    --------
    >>> parse_header(b"MM" + bytes([0, 42, 0, 0, 0, 8]))
    (Layout(order='>', big=False), 8)
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    for layout in (TiffLayout(order or "<"), TiffLayout(order or "<", big=True)):
        prefix = block[: len(layout.header_bytes(0))]
        first = int.from_bytes(prefix[-layout.inline_size :], "little" if order == "<" else "big")
        if order and prefix == layout.header_bytes(first):
            return layout, first
    raise BrokenTagsError("no TIFF header")


def read_entries(block: Bytes) -> list[Entry]:
    """Read the first list of a TIFF or EXIF block, and EXIF's lists below it.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    layout, offset = parse_header(block)
    return _Reader(block, layout, 2 * len(block)).read(offset, depth=0)


@dataclass
class _Reader:
    """Reads the lists of one block, at most `budget` bytes of entries and values in all.

    Addresses are free to lead to the same place again and again; without a limit a small file
    would take hours, or fill the memory. Twice the block's length leaves room for honest entries
    that share a value.
    """

    block: Bytes
    layout: TiffLayout
    budget: int

    def read(self, offset: int, depth: int) -> list[Entry]:
        entries = []
        visited = set()
        layout = self.layout
        size, start = struct.calcsize(layout.entry_format), struct.calcsize(layout.count_format)
        (count,) = struct.unpack(layout.count_format, self._value(offset, start))
        for at in range(offset + start, offset + start + size * count, size):
            packed = self._value(at, size)
            tag, kind, number, address = struct.unpack(layout.entry_format, packed)
            if tag in (EXIF, GPS, INTEROP):
                if layout.big and kind in (4, 13):  # An address of four bytes in a place of eight.
                    (address,) = struct.unpack(f"{layout.order}I", packed[-8:-4])
                if tag in _SUB_IFD_TAGS[depth] and tag not in visited:
                    visited.add(tag)
                    sub_ifd = tuple(self.read(address, depth + 1))
                    entries += [Entry(tag, 4, 1, b"", sub_ifd)] if sub_ifd else []
            elif kind in _SIZE:
                length = number * _SIZE[kind]
                value = (
                    packed[-layout.inline_size :][:length]
                    if length <= layout.inline_size
                    else self._value(address, length)
                )
                entries.append(Entry(tag, kind, number, value))
        return entries

    def _value(self, start: int, size: int) -> bytes:
        self.budget -= size
        if self.budget < 0:
            raise BrokenTagsError("more entries and values than the file has room for")
        if start + size > len(self.block):
            raise BrokenTagsError("a value leads out of the file")
        return bytes(self.block[start : start + size])


def pack_ifd(entries: Iterable[Entry], layout: TiffLayout, offset: int) -> bytes:
    """Write one list for the address `offset`, and behind it what does not fit into its entries.

    Raises
    ------
    BrokenTagsError : an address has no room for where something would lie
    """
    entries = sorted(entries, key=lambda entry: entry.tag)
    heads, tail = bytearray(), bytearray()
    tail_at = (
        offset
        + struct.calcsize(layout.count_format)
        + struct.calcsize(layout.entry_format) * len(entries)
    )
    tail_at += layout.inline_size
    for entry in entries:
        value_offset = tail_at + len(tail)
        value = entry.value
        if entry.sub_ifd:
            value = _pack_offset(layout, value_offset)
            tail += pack_ifd(entry.sub_ifd, layout, value_offset)
        elif len(value) > layout.inline_size:
            value = _pack_offset(layout, value_offset)
            tail += entry.value
        tail += b"\0" * (len(tail) % 2)
        kind = 16 if entry.sub_ifd and layout.big else entry.kind
        heads += struct.pack(layout.entry_format, entry.tag, kind, entry.count, 0)[
            : -layout.inline_size
        ]
        heads += value.ljust(layout.inline_size, b"\0")
    last = bytes(layout.inline_size)  # No list follows.
    return struct.pack(layout.count_format, len(entries)) + bytes(heads) + last + bytes(tail)


def _pack_offset(layout: TiffLayout, offset: int) -> bytes:
    try:
        return struct.pack(layout.offset_format, offset)
    except struct.error as error:
        raise BrokenTagsError("no room for more in a file of 4 GiB") from error


def insert_entries(file: BinaryIO, entries: Iterable[Entry], order: str) -> None:
    """Put entries, whose values have the byte order `order`, into a TIFF in place of its own.

    Parameters
    ----------
    file : open for reading and writing. A new list is written at its end, whatever its size

    Raises
    ------
    BrokenTagsError : not a TIFF, or one that has no room left
    """
    tiff = FileBytes(file)
    layout, _ = parse_header(tiff)
    new = {entry.tag: entry if order == layout.order else _swap_bytes(entry) for entry in entries}
    merged = {entry.tag: entry for entry in read_entries(tiff)} | new
    padding = -len(tiff) % 8  # BigTIFF's lists start on multiples of eight.
    offset = len(tiff) + padding
    packed, head = (
        pack_ifd(merged.values(), layout, offset),
        layout.header_bytes(0)[: -layout.inline_size],
    )
    head += _pack_offset(layout, offset)
    file.seek(0, os.SEEK_END)
    file.write(bytes(padding) + packed)
    # Last, so that what a failure leaves is the file as it was.
    file.seek(0)
    file.write(head)


def _swap_bytes(entry: Entry) -> Entry:
    unit = _SWAP_UNIT[entry.kind]
    swapped = (entry.value[at : at + unit][::-1] for at in range(0, len(entry.value), unit))
    sub_ifd = tuple(_swap_bytes(inner) for inner in entry.sub_ifd)
    return Entry(entry.tag, entry.kind, entry.count, b"".join(swapped), sub_ifd)


def is_camera_raw(tiff: Bytes) -> bool:
    """Tell whether a TIFF's first picture is only the preview of a camera's raw data."""
    if tiff[8:10] == b"CR":
        return True
    try:
        layout, _ = parse_header(tiff)
        entries = {entry.tag: entry.value for entry in read_entries(tiff)}
    except BrokenTagsError:
        return False
    subfile = entries.get(_SUBFILE_TYPE, b"\0")
    reduced = int.from_bytes(subfile, "little" if layout.order == "<" else "big") & 1
    return bool(reduced) or _DNG_VERSION in entries
