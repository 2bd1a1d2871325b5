"""Lists of tagged entries, which TIFF files and EXIF blocks are made of: read, pack, insert."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from burnish.photo.byte_view import Block, FileBlock

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
# Which entries point to a further list, by how deep the list is that they stand in.
_POINTERS: tuple[tuple[int, ...], ...] = ((EXIF, GPS), (INTEROP,), ())
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612

# Type -> bytes of one value, and bytes of what is swapped between byte orders.
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZE |= {16: 8, 17: 8, 18: 8}  # BigTIFF's
_SWAPPED = _SIZE | {5: 4, 10: 4}


class BrokenTagsError(ValueError):
    """The entries are not what a file can hold."""


@dataclass(frozen=True)
class Entry:
    """One entry; `value` is in its file's byte order, `below` the list that it points to."""

    tag: int
    kind: int
    count: int
    value: bytes
    below: "tuple[Entry, ...]" = ()


@dataclass(frozen=True)
class Layout:
    """How lists are laid out: classic TIFF's and EXIF's, or BigTIFF's, whose addresses are longer.

    Parameters
    ----------
    order : byte order, in struct's notation
    big : BigTIFF
    """

    order: str
    big: bool = False

    @property
    def count(self) -> str:
        """How a list's number of entries is written."""
        return f"{self.order}{'Q' if self.big else 'H'}"

    @property
    def address(self) -> str:
        """How an address is written."""
        return f"{self.order}{'Q' if self.big else 'I'}"

    @property
    def entry(self) -> str:
        """How an entry is written: tag, kind, count, and a value or its address."""
        return f"{self.order}HH{'QQ' if self.big else 'II'}"

    @property
    def room(self) -> int:
        """Bytes that an entry itself has room for."""
        return 8 if self.big else 4

    def head(self, first: int) -> bytes:
        """Return what a file begins with whose first list lies at an address."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(f"{self.order}HHHQ", 43, 8, 0, first)
        return mark + struct.pack(f"{self.order}HI", 42, first)


def header(block: Block) -> tuple[Layout, int]:
    """Return the layout and the address of the first list.

    Raises
    ------
    BrokenTagsError : no TIFF header

    Examples
    --------
    >>> header(b"MM" + bytes([0, 42, 0, 0, 0, 8]))
    (Layout(order='>', big=False), 8)
    """
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    for layout in (Layout(order or "<"), Layout(order or "<", big=True)):
        found = block[: len(layout.head(0))]
        first = int.from_bytes(found[-layout.room :], "little" if order == "<" else "big")
        if order and found == layout.head(first):
            return layout, first
    raise BrokenTagsError("no TIFF header")


def read(block: Block) -> list[Entry]:
    """Read the first list of a TIFF or EXIF block, and EXIF's lists below it.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    layout, offset = header(block)
    return _Reader(block, layout, 2 * len(block)).read(offset, depth=0)


@dataclass
class _Reader:
    """Reads the lists of one block, at most `room` bytes of entries and values in all.

    Addresses are free to lead to the same place again and again; without a limit a small file
    would take hours, or fill the memory. Twice the block's length leaves room for honest entries
    that share a value.
    """

    block: Block
    layout: Layout
    room: int

    def read(self, offset: int, depth: int) -> list[Entry]:
        entries = []
        followed = set()
        layout = self.layout
        size, start = struct.calcsize(layout.entry), struct.calcsize(layout.count)
        (count,) = struct.unpack(layout.count, self._value(offset, start))
        for at in range(offset + start, offset + start + size * count, size):
            packed = self._value(at, size)
            tag, kind, number, address = struct.unpack(layout.entry, packed)
            if tag in (EXIF, GPS, INTEROP):
                if layout.big and kind in (4, 13):  # An address of four bytes in a place of eight.
                    (address,) = struct.unpack(f"{layout.order}I", packed[-8:-4])
                if tag in _POINTERS[depth] and tag not in followed:
                    followed.add(tag)
                    below = tuple(self.read(address, depth + 1))
                    entries += [Entry(tag, 4, 1, b"", below)] if below else []
            elif kind in _SIZE:
                length = number * _SIZE[kind]
                value = (
                    packed[-layout.room :][:length]
                    if length <= layout.room
                    else self._value(address, length)
                )
                entries.append(Entry(tag, kind, number, value))
        return entries

    def _value(self, start: int, size: int) -> bytes:
        self.room -= size
        if self.room < 0:
            raise BrokenTagsError("more entries and values than the file has room for")
        if start + size > len(self.block):
            raise BrokenTagsError("a value leads out of the file")
        return bytes(self.block[start : start + size])


def pack(entries: Iterable[Entry], layout: Layout, at: int) -> bytes:
    """Write one list for the address `at`, and behind it what does not fit into its entries.

    Raises
    ------
    BrokenTagsError : an address has no room for where something would lie
    """
    entries = sorted(entries, key=lambda entry: entry.tag)
    heads, tail = bytearray(), bytearray()
    tail_at = at + struct.calcsize(layout.count) + struct.calcsize(layout.entry) * len(entries)
    tail_at += layout.room
    for entry in entries:
        here = tail_at + len(tail)
        value = entry.value
        if entry.below:
            value = _address(layout, here)
            tail += pack(entry.below, layout, here)
        elif len(value) > layout.room:
            value = _address(layout, here)
            tail += entry.value
        tail += b"\0" * (len(tail) % 2)
        kind = 16 if entry.below and layout.big else entry.kind
        heads += struct.pack(layout.entry, entry.tag, kind, entry.count, 0)[: -layout.room]
        heads += value.ljust(layout.room, b"\0")
    last = bytes(layout.room)  # No list follows.
    return struct.pack(layout.count, len(entries)) + bytes(heads) + last + bytes(tail)


def _address(layout: Layout, place: int) -> bytes:
    try:
        return struct.pack(layout.address, place)
    except struct.error as error:
        raise BrokenTagsError("no room for more in a file of 4 GiB") from error


def insert(file: BinaryIO, entries: Iterable[Entry], order: str) -> None:
    """Put entries, whose values have the byte order `order`, into a TIFF in place of its own.

    Parameters
    ----------
    file : open for reading and writing. A new list is written at its end, whatever its size

    Raises
    ------
    BrokenTagsError : not a TIFF, or one that has no room left
    """
    tiff = FileBlock(file)
    layout, _ = header(tiff)
    new = {entry.tag: entry if order == layout.order else _swap(entry) for entry in entries}
    merged = {entry.tag: entry for entry in read(tiff)} | new
    padding = -len(tiff) % 8  # BigTIFF's lists start on multiples of eight.
    at = len(tiff) + padding
    packed, head = pack(merged.values(), layout, at), layout.head(0)[: -layout.room]
    head += _address(layout, at)
    file.seek(0, os.SEEK_END)
    file.write(bytes(padding) + packed)
    # Last, so that what a failure leaves is the file as it was.
    file.seek(0)
    file.write(head)


def _swap(entry: Entry) -> Entry:
    unit = _SWAPPED[entry.kind]
    swapped = (entry.value[at : at + unit][::-1] for at in range(0, len(entry.value), unit))
    below = tuple(_swap(inner) for inner in entry.below)
    return Entry(entry.tag, entry.kind, entry.count, b"".join(swapped), below)


def is_camera_raw(tiff: Block) -> bool:
    """Tell whether a TIFF's first picture is only the preview of a camera's raw data."""
    if tiff[8:10] == b"CR":
        return True
    try:
        layout, _ = header(tiff)
        entries = {entry.tag: entry.value for entry in read(tiff)}
    except BrokenTagsError:
        return False
    subfile = entries.get(_SUBFILE_TYPE, b"\0")
    reduced = int.from_bytes(subfile, "little" if layout.order == "<" else "big") & 1
    return bool(reduced) or _DNG_VERSION in entries
