"""Metadata of a TIFF file: the tags that do not belong to its pixels."""

import os
import struct
from dataclasses import replace
from typing import BinaryIO

from burnish.photo.container import Bytes, FileBytes
from burnish.photo.exif import (
    MAX_NOTE_ADDRESS,
    MOVED_NOTE,
    RESOLUTION,
    byte_order,
    pack_exif,
    without_addresses,
)
from burnish.photo.metadata import (
    IPTC_RESOURCES,
    THUMBNAIL_RESOURCES,
    Blocks,
    SourceMetadata,
    drop_resources,
    unwrap_iptc,
    whole_xmp,
)
from burnish.photo.tiff_tags import (
    BrokenTagsError,
    Entry,
    TiffLayout,
    append_ifd,
    parse_header,
    read_entries,
    swap_bytes,
)

_PHOTOMETRIC, _STRIPS, _STRIP_BYTES, _ORIENTATION = 0x0106, 0x0111, 0x0117, 0x0112
_BITS_PER_SAMPLE, _TRANSFER_FUNCTION = 0x0102, 0x012D
_SUB_IFDS, _LAYERS = 0x014A, 0x935C
XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, _PROFILE = 0x02BC, 0x83BB, 0x8649, 0x8773
# Blocks that `Blocks` and `SourceMetadata` hold by themselves.
_BLOCK_TAGS = {XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, _PROFILE}
# Tags about the storage of the pixels, from TIFF 6.0 and its supplements: kind of image, size,
# samples, compression, photometry, strips and tiles, previews, fax, JPEG, inks and masks.
_STORAGE_TAGS = {0x00FE, 0x00FF, *range(0x0100, 0x0108), 0x0108, 0x0109, 0x010A, _STRIPS}
_STORAGE_TAGS |= {0x0115, 0x0116, _STRIP_BYTES, 0x0118, 0x0119, 0x011C, 0x0120, 0x0121}
_STORAGE_TAGS |= {*range(0x0122, 0x0126), 0x013D, *range(0x0140, 0x0149), _SUB_IFDS}
_STORAGE_TAGS |= {0x014C, 0x014D, 0x014E, 0x0150, *range(0x0152, 0x015C), *range(0x0190, 0x0196)}
_STORAGE_TAGS |= {*range(0x01B1, 0x01B4), *range(0x0200, 0x020A), 0x0212, 0x022F}
_STORAGE_TAGS |= {0x80E3, 0x80E4, 0x80E5, 0x80E6, _LAYERS, 0xC5F2}
# Tags about YCbCr, which belong to the storage in TIFF and to the photo in EXIF.
_YCBCR, _YCBCR_TAGS = 6, {0x0211, 0x0213, 0x0214}
# Names of the contents of tags that are not kept.
_DROPPED_NAMES = {_SUB_IFDS: "the images in sub-IFDs", _LAYERS: "Photoshop's layers"}

_BYTE, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 1, 3, 4, 5, 7
# Types that only BigTIFF has.
_BIG_TYPES = (16, 17, 18)


def read_tiff(tiff: Bytes) -> tuple[Blocks, list[str]]:
    """Return a TIFF's metadata, and the names of what cannot be kept."""
    unreadable: list[int] = []
    try:
        layout, _ = parse_header(tiff)
        without_values = _STORAGE_TAGS - {_PHOTOMETRIC} | {_PROFILE}
        entries = read_entries(tiff, without_values=without_values, unreadable=unreadable)
    except BrokenTagsError:
        return Blocks(), ["unreadable tags"]
    values = {entry.tag: entry.value for entry in reversed(entries)}
    dropped = [name for tag, name in _DROPPED_NAMES.items() if tag in values]
    unkept = _STORAGE_TAGS | _BLOCK_TAGS
    order = "little" if layout.order == "<" else "big"
    if int.from_bytes(values.get(_PHOTOMETRIC, b"")[:2], order) == _YCBCR:  # type: ignore[arg-type]
        unkept |= _YCBCR_TAGS
    kept = [entry for entry in entries if entry.tag not in unkept and entry.kind not in _BIG_TYPES]
    unreadable += [entry.tag for entry in entries if entry.kind in _BIG_TYPES]
    dropped += [f"the unreadable tag {tag:#06x}" for tag in unreadable if tag not in unkept]
    exif = None
    if kept:
        exif, intact = pack_exif(kept, layout.order, MAX_NOTE_ADDRESS)
        dropped += [] if intact else [MOVED_NOTE]
    return Blocks(
        exif=exif,
        xmp=values.get(XMP_TAG) or None,
        photoshop=drop_resources(values.get(PHOTOSHOP_TAG, b""), THUMBNAIL_RESOURCES) or None,
        iptc=in_byte_order(values.get(IPTC_TAG, b"")) or None,
    ), dropped


def in_byte_order(iptc: bytes) -> bytes:
    """Return IPTC records that some programs store as 32-bit numbers, and so with swapped bytes."""
    if iptc[3:4] != b"\x1c" or iptc[:1] == b"\x1c":
        return iptc
    return b"".join(iptc[start : start + 4][::-1] for start in range(0, len(iptc), 4))


def add_tags(file: BinaryIO, metadata: SourceMetadata) -> list[str]:
    """Add metadata to a TIFF that libvips has written, and return the names of what is left out.

    The EXIF block becomes the start of the file, so that all offsets in it stay valid, those in a
    maker's note included. It determines the byte order, in which the pixels have to be already.

    Parameters
    ----------
    file : open for reading and writing
    """
    tiff = FileBytes(file)
    layout, _ = parse_header(tiff)
    entries = [
        replace(entry, address=None) for entry in read_entries(tiff) if entry.tag != _ORIENTATION
    ]
    dropped: list[str] = []
    added: list[Entry] = []
    if metadata.exif is not None:
        try:
            if layout.big:
                added = _converted_entries(metadata.exif, layout, dropped)
            else:
                exif = _without_damage(metadata.exif, dropped)
                added = [
                    entry
                    for entry in read_entries(exif, follow=False)
                    if entry.tag not in _STORAGE_TAGS | _BLOCK_TAGS
                ]
                entries = _move_strips(file, entries, len(exif), layout)
                file.seek(0)
                file.write(exif)
        except BrokenTagsError:
            dropped.append("damaged EXIF")
    order = byte_order(metadata.exif)
    if order != layout.order and not layout.big:
        entries = [swap_bytes(entry) for entry in entries]
        layout = TiffLayout(order)
    damaged = [entry.tag for entry in added if not _is_valid(entry, layout)]
    dropped += [f"the damaged tag {tag:#06x}" for tag in damaged]
    added = [
        entry
        for entry in added
        if entry.tag not in damaged and _fits_samples(entry, entries, layout)
    ]
    entries = _with_resolution(entries, added, metadata, layout)
    append_ifd(file, [*entries, *added, *_block_entries(metadata, dropped)], layout)
    return dropped


def _without_damage(exif: bytes, dropped: list[str]) -> bytes:
    """Return a block without entries whose values would lie outside of it, among the pixels."""
    unreadable: list[int] = []
    entries = read_entries(exif, unreadable=unreadable)
    if not unreadable:
        return exif
    dropped += [f"the unreadable tag {tag:#06x}" for tag in unreadable]
    return pack_exif(entries, byte_order(exif), MAX_NOTE_ADDRESS)[0]


def _converted_entries(exif: bytes, layout: TiffLayout, dropped: list[str]) -> list[Entry]:
    """Return a block's entries for a BigTIFF, whose sub-IFDs have another layout."""
    order = byte_order(exif)
    unreadable: list[int] = []
    entries = read_entries(exif, unreadable=unreadable)
    _, intact = pack_exif(entries, order, limit=0)
    dropped += [] if intact else [MOVED_NOTE]
    dropped += [f"the unreadable tag {tag:#06x}" for tag in unreadable]
    entries = [entry for entry in entries if entry.tag not in _STORAGE_TAGS | _BLOCK_TAGS]
    entries = list(without_addresses(entries))
    return entries if order == layout.order else [swap_bytes(entry) for entry in entries]


def _move_strips(
    file: BinaryIO, entries: list[Entry], size: int, layout: TiffLayout
) -> list[Entry]:
    """Move the pixels in the first `size` bytes of a file to its end."""
    tags = {entry.tag: entry for entry in entries}
    starts, counts = (_integers(tags[tag], layout) for tag in (_STRIPS, _STRIP_BYTES))
    end = file.seek(0, os.SEEK_END)
    for index, (start, count) in enumerate(zip(starts, counts, strict=True)):
        if start < size:
            file.seek(start)
            strip = file.read(count)
            end += end % 2
            starts[index] = max(end, size + size % 2)
            file.seek(starts[index])
            file.write(strip)
            end = starts[index] + count
    packed = struct.pack(f"{layout.order}{len(starts)}I", *starts)
    moved = Entry(_STRIPS, _LONG, len(starts), packed)
    return [moved if entry.tag == _STRIPS else entry for entry in entries]


def _integers(entry: Entry, layout: TiffLayout) -> list[int]:
    letter = "H" if entry.kind == _SHORT else "I"
    return list(struct.unpack(f"{layout.order}{entry.count}{letter}", entry.value))


def _is_valid(entry: Entry, layout: TiffLayout) -> bool:
    """Return whether a value is allowed; readers of TIFF reject files with other values."""
    if entry.tag in RESOLUTION[:2]:
        return (entry.kind, entry.count) == (_RATIONAL, 1)
    allowed = {_ORIENTATION: (1,), RESOLUTION[2]: (1, 2, 3)}.get(entry.tag)
    if allowed is None:
        return True
    return (entry.kind, entry.count) == (_SHORT, 1) and _integers(entry, layout)[0] in allowed


def _fits_samples(entry: Entry, entries: list[Entry], layout: TiffLayout) -> bool:
    """Return whether a transfer function has a value for each code of a sample."""
    samples = next(other for other in entries if other.tag == _BITS_PER_SAMPLE)
    codes = 1 << _integers(samples, layout)[0]
    return entry.tag != _TRANSFER_FUNCTION or entry.count in (codes, 3 * codes)


def _with_resolution(
    entries: list[Entry], added: list[Entry], metadata: SourceMetadata, layout: TiffLayout
) -> list[Entry]:
    """Return libvips' entries with the resolution that the photo has, if any."""
    tags = {entry.tag for entry in added}
    if tags.isdisjoint(RESOLUTION) and metadata.resolution is not None:
        return entries
    entries = [entry for entry in entries if entry.tag not in RESOLUTION]
    if tags.isdisjoint(RESOLUTION) and metadata.format != "tiff":
        # TIFF demands a resolution. Without a unit, it states that the pixels are square.
        one, no_unit = struct.pack(f"{layout.order}II", 1, 1), struct.pack(f"{layout.order}H", 1)
        entries += [Entry(tag, _RATIONAL, 1, one) for tag in RESOLUTION[:2]]
        entries.append(Entry(RESOLUTION[2], _SHORT, 1, no_unit))
    return entries


def _block_entries(metadata: SourceMetadata, dropped: list[str]) -> list[Entry]:
    xmp, xmp_dropped = whole_xmp(metadata)
    dropped += xmp_dropped
    photoshop, iptc = metadata.photoshop, metadata.iptc
    if metadata.format != "tiff" and photoshop:
        iptc = unwrap_iptc(photoshop) or iptc
        photoshop = drop_resources(photoshop, IPTC_RESOURCES)
    blocks = (
        (XMP_TAG, _BYTE, xmp),
        (IPTC_TAG, _UNDEFINED, iptc),
        (PHOTOSHOP_TAG, _BYTE, photoshop),
    )
    return [Entry(tag, kind, len(block), block) for tag, kind, block in blocks if block]
