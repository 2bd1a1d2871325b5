"""Change XMP and IPTC in the bytes of an image file, and keep all other bytes.

The pixels are not decoded. JPEG and TIFF get both blocks, PNG and WebP get XMP, which is the only
one of the two that they have a place for.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from burnish.photo.container import png_chunks
from burnish.photo.exif import PREFIX as EXIF_PREFIX
from burnish.photo.jpeg_metadata import (
    APP0,
    APP1,
    APP2,
    APP13,
    EXTENDED_XMP_NAME,
    MAX_SEGMENT,
    MAX_XMP_BYTES,
    MULTI_PICTURE_NAME,
    PHOTOSHOP_NAME,
    START_OF_SCAN,
    XMP_NAME,
    jpeg_segments,
    pack_segments,
    read_jpeg,
    xmp_segments,
)
from burnish.photo.metadata import replace_iptc, unwrap_iptc
from burnish.photo.png_metadata import XMP_KEYWORD, pack_chunks, read_png, xmp_chunk
from burnish.photo.tiff_metadata import IPTC_TAG, PHOTOSHOP_TAG, XMP_TAG, in_byte_order
from burnish.photo.tiff_tags import parse_header, read_entries
from burnish.photo.webp_metadata import webp_chunks
from burnish.photo.xmp import BrokenXmpError
from burnish.photo.xmp_keywords import read_keywords

# The names of the formats whose files can be changed.
FORMATS_IN_PLACE = ("jpeg", "png", "tiff", "webp")
_MP_ENTRIES, _MP_ENTRY_BYTES, _MP_OFFSET = 0xB002, 16, 8
_BYTE, _UNDEFINED = 1, 7
_VP8X_XMP, _VP8X_ALPHA = 4, 16


@dataclass(frozen=True)
class Changes:
    """Functions from a block to the block that replaces it.

    Parameters
    ----------
    xmp : receives None if the file has no packet, and may raise BrokenXmpError
    iptc : receives bare records, which are empty if the file has none
    """

    xmp: Callable[[bytes | None], bytes]
    iptc: Callable[[bytes], bytes]


# The start and the stop of a part of a file, and the bytes that replace it.
_Edit = tuple[int, int, bytes]


def change_blocks(data: bytes, format_name: str, changes: Changes) -> bytes:
    """Return the bytes of a file with other XMP and IPTC.

    Raises
    ------
    BrokenXmpError : the XMP cannot be changed
    ValueError, IndexError, struct.error, StopIteration : the file is damaged
    """
    edit_format = {"jpeg": _jpeg, "png": _png, "tiff": _tiff, "webp": _webp}[format_name]
    parts, position = [], 0
    for start, stop, replacement in sorted(edit_format(data, changes)):
        parts += [data[position:start], replacement]
        position = stop
    return b"".join([*parts, data[position:]])


def _jpeg(data: bytes, changes: Changes) -> Iterator[_Edit]:
    # New segments follow JFIF and EXIF, which readers expect first.
    position = 2
    packets, extensions, resources = [], [], []
    multi_picture = None
    for marker, content in jpeg_segments(data):
        if marker == START_OF_SCAN:
            break
        kind, head = bytes([marker]), data[content.start : content.start + 40]
        segment = slice(content.start - 4, content.stop)
        is_exif = kind == APP1 and head.startswith(EXIF_PREFIX)
        if (kind == APP0 or is_exif) and segment.start == position:
            position = segment.stop
        elif kind == APP1 and head.startswith(XMP_NAME):
            packets.append(segment)
        elif kind == APP1 and head.startswith(EXTENDED_XMP_NAME):
            extensions.append(segment)
        elif kind == APP13 and head.startswith(PHOTOSHOP_NAME):
            resources.append(segment)
        elif kind == APP2 and head.startswith(MULTI_PICTURE_NAME):
            multi_picture = slice(content.start + len(MULTI_PICTURE_NAME), content.stop)
    edits = [*_jpeg_xmp(data, packets, extensions, position, changes)]
    edits += _jpeg_iptc(data, resources, position, changes)
    yield from edits
    if multi_picture is not None:
        growth = sum(
            len(replacement) - (stop - start)
            for start, stop, replacement in edits
            if start >= multi_picture.start
        )
        yield from _move_pictures(data, multi_picture, growth)


def _jpeg_xmp(
    data: bytes, packets: list[slice], extensions: list[slice], position: int, changes: Changes
) -> Iterator[_Edit]:
    extension = read_jpeg(data)[0].extended_xmp
    if read_keywords(extension):
        raise BrokenXmpError("its keywords are in extended XMP")
    place = packets[0] if packets else slice(position, position)
    old = data[place][4 + len(XMP_NAME) :] if packets else None
    new = changes.xmp(old)
    if new == old:
        return
    if len(new) > MAX_XMP_BYTES:
        yield from ((segment.start, segment.stop, b"") for segment in extensions)
        segments = xmp_segments(new, extension)
    else:
        segments = [(APP1, XMP_NAME + new)]
    yield place.start, place.stop, pack_segments(segments)


def _jpeg_iptc(
    data: bytes, resources: list[slice], position: int, changes: Changes
) -> Iterator[_Edit]:
    old = b"".join(data[segment][4 + len(PHOTOSHOP_NAME) :] for segment in resources)
    records = unwrap_iptc(old) or b""
    new = changes.iptc(records)
    if new == records:
        return
    photoshop = replace_iptc(old, new)
    size = MAX_SEGMENT - len(PHOTOSHOP_NAME)
    parts = [photoshop[start : start + size] for start in range(0, len(photoshop), size)]
    place, *rest = resources or [slice(position, position)]
    yield place.start, place.stop, pack_segments((APP13, PHOTOSHOP_NAME + p) for p in parts)
    yield from ((segment.start, segment.stop, b"") for segment in rest)


def _move_pictures(data: bytes, index: slice, growth: int) -> Iterator[_Edit]:
    """Correct the positions of further images, which count from the index of a multi-picture file.

    The index is corrected byte by byte, so that the segment keeps its size.
    """
    block = data[index]
    order = parse_header(block)[0].order
    for entry in read_entries(block, unreadable=[]):
        if not growth or entry.tag != _MP_ENTRIES or entry.address is None:
            continue
        for start in range(entry.address + _MP_OFFSET, entry.address + entry.count, 16):
            (offset,) = struct.unpack_from(f"{order}I", block, start)
            if offset:
                moved = struct.pack(f"{order}I", offset + growth)
                yield index.start + start, index.start + start + 4, moved


def _png(data: bytes, changes: Changes) -> Iterator[_Edit]:
    place = first_pixels = None
    for kind, content in png_chunks(data):
        if kind == b"IDAT" and first_pixels is None:
            first_pixels = content.start - 8
        if kind == b"iTXt" and data[content].startswith(XMP_KEYWORD + b"\0"):
            place = slice(content.start - 8, content.stop + 4)
    if first_pixels is None:
        raise ValueError("the PNG has no pixels")
    place = place or slice(first_pixels, first_pixels)
    packet = changes.xmp(read_png(data)[0].xmp)
    yield place.start, place.stop, pack_chunks([xmp_chunk(packet)])


def _tiff(data: bytes, changes: Changes) -> Iterator[_Edit]:
    """Append the blocks and a copy of the first IFD, whose entries point to them."""
    layout, first = parse_header(data)
    blocks = {
        entry.tag: entry.value
        for entry in reversed(read_entries(data, follow=False, unreadable=[]))
        if entry.tag in (XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG)
    }
    new = {XMP_TAG: (_BYTE, changes.xmp(blocks.get(XMP_TAG)))}
    photoshop = blocks.get(PHOTOSHOP_TAG, b"")
    in_photoshop = unwrap_iptc(photoshop)
    if in_photoshop is not None:
        new[PHOTOSHOP_TAG] = (_BYTE, replace_iptc(photoshop, changes.iptc(in_photoshop)))
    if IPTC_TAG in blocks or in_photoshop is None:
        iptc = in_byte_order(blocks.get(IPTC_TAG, b""))
        new[IPTC_TAG] = (_UNDEFINED, changes.iptc(iptc))
    size, start = struct.calcsize(layout.entry_format), struct.calcsize(layout.count_format)
    (count,) = struct.unpack_from(layout.count_format, data, first)
    end = first + start + size * count
    entries = [data[at : at + size] for at in range(first + start, end, size)]
    next_ifd = data[end : end + layout.inline_size]
    tail = bytes(-len(data) % 8)
    for tag, (kind, block) in new.items():
        entries = [e for e in entries if struct.unpack(f"{layout.order}H", e[:2])[0] != tag]
        if not block:
            continue
        # Values of this size are never stored in the entry itself.
        address = len(data) + len(tail)
        tail += block.ljust(layout.inline_size + 1, b"\0")
        tail += bytes(-len(tail) % 8)
        length = max(len(block), layout.inline_size + 1)
        entries.append(struct.pack(layout.entry_format, tag, kind, length, address))
    entries.sort(key=lambda entry: int(struct.unpack(f"{layout.order}H", entry[:2])[0]))
    ifd = len(data) + len(tail)
    tail += struct.pack(layout.count_format, len(entries)) + b"".join(entries) + next_ifd
    header = layout.header_bytes(ifd)
    yield 0, len(header), header
    yield len(data), len(data), tail


def _webp(data: bytes, changes: Changes) -> Iterator[_Edit]:
    chunks = list(webp_chunks(data))
    kinds = dict(reversed(chunks))
    old = data[kinds[b"XMP "]] if b"XMP " in kinds else None
    packet = changes.xmp(old)
    if packet == old:
        return
    chunk = _riff_chunk(b"XMP ", packet)
    end = 8 + int.from_bytes(data[4:8], "little")
    start, stop = end, end
    if b"XMP " in kinds:
        content = kinds[b"XMP "]
        start, stop = content.start - 8, content.stop + (content.stop - content.start) % 2
    growth = len(chunk) - (stop - start)
    if b"VP8X" in kinds:
        flags = kinds[b"VP8X"].start
        yield flags, flags + 1, bytes([data[flags] | _VP8X_XMP])
    else:
        header = _riff_chunk(b"VP8X", _vp8x(data, *chunks[0]))
        growth += len(header)
        yield 12, 12, header
    yield 4, 8, struct.pack("<I", end - 8 + growth)
    yield start, stop, chunk


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(content)) + content + bytes(len(content) % 2)


def _vp8x(data: bytes, kind: bytes, content: slice) -> bytes:
    """Return the content of the header that a WebP with metadata has, from that of its pixels."""
    start = content.start
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, start + 1)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, start + 6))
        width, height, alpha = width - 1, height - 1, 0
    else:
        raise ValueError("the WebP has no pixels")
    flags = _VP8X_XMP | (_VP8X_ALPHA if alpha else 0)
    head = struct.pack("<I", flags)
    return head + int(width).to_bytes(3, "little") + int(height).to_bytes(3, "little")
