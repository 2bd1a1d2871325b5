"""IFDs: round trips, and hostile ones, whose reading must end soon."""

import io
import struct

import pytest

from burnish.photo.exif import without_addresses
from burnish.photo.tiff_tags import (
    EXIF,
    GPS,
    INTEROP,
    BrokenTagsError,
    Entry,
    TiffLayout,
    append_ifd,
    pack_ifd,
    read_entries,
)

MAKE, NOTE = 0x010F, 0x927C
HEADER = b"II*\0\x08\0\0\0"


def entry_list(*entries: tuple[int, int, int, int]) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + b"\0\0\0\0"


def pointer(tag: int, address: int) -> tuple[int, int, int, int]:
    return tag, 4, 1, address


def tree(entries: list[Entry] | tuple[Entry, ...]) -> list:
    return [(entry.tag, tree(entry.sub_ifd)) for entry in entries]


@pytest.mark.parametrize("order", ["<", ">"])
def test_read_entries_of_packed_ifd_returns_them(order):
    note = Entry(NOTE, 7, 9, b"nine byte")
    inner = Entry(EXIF, 4, 1, b"", (note, Entry(INTEROP, 4, 1, b"", (Entry(1, 2, 4, b"R98\0"),))))
    entries = [Entry(MAKE, 2, 4, b"Abc\0"), inner, Entry(GPS, 4, 1, b"", (Entry(1, 2, 2, b"N\0"),))]
    for big in (False, True):
        layout = TiffLayout(order, big)
        start = len(layout.header_bytes(0))
        packed = layout.header_bytes(start) + pack_ifd(entries, layout, start)
        assert without_addresses(read_entries(packed)) == tuple(entries)
        file = io.BytesIO(layout.header_bytes(start) + pack_ifd([], layout, start))
        append_ifd(file, entries, layout)
        assert without_addresses(read_entries(file.getvalue())) == tuple(entries)


def test_read_entries_follows_repeated_pointer_once():
    # Followed each time, three such IFDs would take hours: 200 x 200 x 200 entries.
    count = 200
    size = len(entry_list(*[(MAKE, 2, 1, 0)] * count))
    second, third = 8 + size, 8 + 2 * size
    block = HEADER + entry_list(*[pointer(EXIF, second)] * count)
    block += entry_list(*[pointer(INTEROP, third)] * count)
    block += entry_list(*[(MAKE, 2, 1, 0)] * count)
    assert tree(read_entries(block)) == [(EXIF, [(INTEROP, [(MAKE, [])] * count)])]


def test_read_entries_beyond_budget_raises():
    # Each pointer points back to this IFD, which is therefore read four times.
    pointers = [pointer(tag, 8) for tag in (EXIF, GPS, INTEROP)]
    block = HEADER + entry_list(*pointers, *[(MAKE, 2, 1, 0)] * 100)
    with pytest.raises(BrokenTagsError, match="exceed"):
        read_entries(block)
    assert len(read_entries(block + bytes(3 * len(block)))) == 102


def test_read_entries_counts_values_in_budget():
    block = HEADER + entry_list(*[(MAKE, 2, 60_000, 0)] * 5000)
    with pytest.raises(BrokenTagsError, match="exceed"):
        read_entries(block)


def test_read_entries_accepts_shared_value():
    block = HEADER + entry_list((MAKE, 2, 100, 38), (NOTE, 2, 100, 38)) + b"x" * 100
    assert [entry.value for entry in read_entries(block)] == [b"x" * 100] * 2


def test_read_entries_value_outside_file_raises():
    with pytest.raises(BrokenTagsError, match="outside"):
        read_entries(HEADER + entry_list((MAKE, 2, 20, 1000)) + b"\0" * 100)


def test_read_entries_loop_of_ifds_ends():
    loop = struct.pack("<HHHIII", 1, EXIF, 4, 1, 8, 0)
    block = b"II*\0\x08\0\0\0" + loop
    assert read_entries(block) == []


def test_read_entries_names_unreadable_ones():
    entries = [(MAKE, 2, 20, 1000), (0x0110, 99, 1, 0), (NOTE, 2, 2, 0)]
    unreadable: list[int] = []
    (note,) = read_entries(HEADER + entry_list(*entries), unreadable=unreadable)
    assert note.tag == NOTE
    assert unreadable == [MAKE, 0x0110]


def test_read_entries_of_cut_off_ifd_returns_its_beginning():
    block = HEADER + entry_list((MAKE, 2, 2, 0), (NOTE, 2, 2, 0))
    unreadable: list[int] = []
    assert [entry.tag for entry in read_entries(block[:-8], unreadable=unreadable)] == [MAKE]
    assert unreadable


def test_read_entries_without_following_returns_offsets():
    block = HEADER + entry_list(pointer(EXIF, 26), (NOTE, 2, 1, 0)) + bytes(10)
    assert read_entries(block, follow=False)[0].value == bytes([26, 0, 0, 0])
    assert read_entries(block, without_values={NOTE})[-1].value == b""
