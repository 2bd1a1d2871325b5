"""Lists of tagged entries, which TIFF files and EXIF blocks are made of: read, pack, insert."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap

# What lists are read from: a block or file in memory, or a file of which only parts are touched.
Block = bytes | bytearray | mmap

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
# Which entries point to a further list, by how deep the list is that they stand in.
_POINTERS: tuple[tuple[int, ...], ...] = ((EXIF, GPS), (INTEROP,), ())
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612

# Type -> bytes of one value, and bytes of what is swapped between byte orders.
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
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


def header(block: Block) -> tuple[str, int]:
    """Return the byte order, in struct's notation, and the address of the first list.

    Raises
    ------
    BrokenTagsError : no TIFF header; BigTIFF's is none

    Examples
    --------
    >>> header(b"MM" + bytes([0, 42, 0, 0, 0, 8]))
    ('>', 8)
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None or len(block) < 8:
        raise BrokenTagsError("no TIFF header")
    return order, struct.unpack_from(f"{order}I", block, 4)[0]


def read(block: Block) -> list[Entry]:
    """Read the first list of a TIFF or EXIF block, and EXIF's lists below it.

    Raises
    ------
    BrokenTagsError : the block is damaged
    """
    order, offset = header(block)
    try:
        return _Reader(block, order, 2 * len(block)).read(offset, depth=0)
    except struct.error as error:
        raise BrokenTagsError(str(error)) from error


@dataclass
class _Reader:
    """Reads the lists of one block, at most `room` bytes of entries and values in all.

    Addresses are free to lead to the same place again and again; without a limit a small file
    would take hours, or fill the memory. Twice the block's length leaves room for honest entries
    that share a value.
    """

    block: Block
    order: str
    room: int

    def read(self, offset: int, depth: int) -> list[Entry]:
        entries = []
        followed = set()
        (count,) = struct.unpack_from(f"{self.order}H", self.block, offset)
        for at in range(offset + 2, offset + 2 + 12 * count, 12):
            self._take(12)
            tag, kind, number, address = struct.unpack_from(f"{self.order}HHII", self.block, at)
            if tag in (EXIF, GPS, INTEROP):
                if tag in _POINTERS[depth] and tag not in followed:
                    followed.add(tag)
                    below = tuple(self.read(address, depth + 1))
                    entries += [Entry(tag, 4, 1, b"", below)] if below else []
            elif kind in _SIZE:
                size = number * _SIZE[kind]
                value = self._value(at + 8 if size <= 4 else address, size)
                entries.append(Entry(tag, kind, number, value))
        return entries

    def _value(self, start: int, size: int) -> bytes:
        self._take(size)
        if start + size > len(self.block):
            raise BrokenTagsError("a value leads out of the file")
        return bytes(self.block[start : start + size])

    def _take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise BrokenTagsError("more entries and values than the file has room for")


def pack(entries: Iterable[Entry], order: str, at: int) -> bytes:
    """Write one list for the address `at`, and behind it what does not fit into its entries."""
    entries = sorted(entries, key=lambda entry: entry.tag)
    heads, tail = bytearray(), bytearray()
    tail_at = at + 2 + 12 * len(entries) + 4
    for entry in entries:
        here = tail_at + len(tail)
        value = entry.value
        if entry.below:
            value = struct.pack(f"{order}I", here)
            tail += pack(entry.below, order, here)
        elif len(value) > 4:
            value = struct.pack(f"{order}I", here)
            tail += entry.value
        tail += b"\0" * (len(tail) % 2)
        heads += struct.pack(f"{order}HHI", entry.tag, entry.kind, entry.count)
        heads += value.ljust(4, b"\0")
    return struct.pack(f"{order}H", len(entries)) + bytes(heads) + b"\0\0\0\0" + bytes(tail)


def insert(tiff: bytes, entries: Iterable[Entry], order: str) -> bytes:
    """Put entries, whose values have the byte order `order`, into a TIFF in place of its own.

    Raises
    ------
    BrokenTagsError : not a classic TIFF
    """
    own_order = header(tiff)[0]
    new = {entry.tag: entry if order == own_order else _swap(entry) for entry in entries}
    merged = {entry.tag: entry for entry in read(tiff)} | new
    tiff += b"\0" * (len(tiff) % 2)
    head = tiff[:4] + struct.pack(f"{own_order}I", len(tiff))
    return head + tiff[8:] + pack(merged.values(), own_order, len(tiff))


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
        order, _ = header(tiff)
        entries = {entry.tag: entry.value for entry in read(tiff)}
    except BrokenTagsError:
        return False
    subfile = entries.get(_SUBFILE_TYPE, b"\0")
    reduced = int.from_bytes(subfile, "little" if order == "<" else "big") & 1
    return bool(reduced) or _DNG_VERSION in entries
