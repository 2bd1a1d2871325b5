"""Properties of a file other than its pixels: format, depth, profile, and blocks of metadata.

- EXIF: TIFF keeps EXIF's entries among its own; the other formats embed a block.
- IPTC: Photoshop's resources hold the records in JPEG, and in PNG as text. TIFF has them bare, too.
- XMP: JPEG splits a packet that is longer than a segment.
"""

import hashlib
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Literal

from burnish.photo.xmp import merge_extension
from burnish.types import Pixels

Depth = Literal[8, 16, 32]

# Numbers of Photoshop's resources.
_IPTC, _IPTC_DIGEST = 0x0404, 0x0425
IPTC_RESOURCES, THUMBNAIL_RESOURCES = (_IPTC,), (0x0409, 0x040C)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of metadata as they are in a file, for an upright image without thumbnail.

    Parameters
    ----------
    exif : a TIFF structure, without the prefix that JPEG puts before it
    xmp : an XMP packet
    extended_xmp : the part of XMP that the packet of a JPEG refers to
    photoshop : Photoshop's image resources, IPTC among them
    iptc : bare IPTC records
    native : JPEG segments or PNG chunks without a counterpart in other formats: type and content
    """

    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    extended_xmp: bytes | None = field(default=None, repr=False)
    photoshop: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    native: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class SourceMetadata(Blocks):
    """Format, depth, profile and metadata of a file. The defaults are for images made in memory.

    Parameters
    ----------
    format : "jpeg", "png", "tiff", "webp", "avif", "heic" or "gif"
    depth : bits a channel: 8 or 16 (integers), or 32 (float)
    grey : one colour channel in the file, and again when it is written
    profile : the embedded ICC profile if burnish can use it; None means sRGB
    out_of_gamut : H x W x channels of the profile: the file's own values minus those that the sRGB
        pixels convert back to, added again when writing; None if sRGB holds all colours
    resolution : horizontal and vertical, pixels per millimetre; None if the file states none
    subsampling : chroma subsampling of a JPEG, such as "4:2:0"
    lossless : a lossless WebP
    """

    format: str = "png"
    depth: Depth = 8
    grey: bool = False
    profile: bytes | None = field(default=None, repr=False)
    out_of_gamut: Pixels | None = field(default=None, repr=False)
    resolution: tuple[float, float] | None = None
    subsampling: str | None = None
    lossless: bool = False


def without_blocks(metadata: SourceMetadata) -> SourceMetadata:
    """Return the properties that belong to the pixels, without the blocks of metadata."""
    properties = {
        name: value for name, value in vars(metadata).items() if name not in vars(Blocks())
    }
    return SourceMetadata(**properties)


def whole_xmp(blocks: Blocks) -> tuple[bytes | None, list[str]]:
    """Return a packet that includes the extended XMP, and the name of it if it cannot."""
    if blocks.xmp is None or blocks.extended_xmp is None:
        return blocks.xmp, []
    merged = merge_extension(blocks.xmp, blocks.extended_xmp)
    return (blocks.xmp, ["extended XMP"]) if merged is None else (merged, [])


def wrap_iptc(records: bytes) -> bytes:
    """Wrap bare IPTC records as a resource of Photoshop.

    Examples
    --------
    >>> unwrap_iptc(wrap_iptc(b"records"))
    b'records'
    """
    head = struct.pack(">4sHHI", b"8BIM", _IPTC, 0, len(records))
    return head + records + b"\0" * (len(records) % 2)


def unwrap_iptc(photoshop: bytes) -> bytes | None:
    """Return the IPTC records among Photoshop's resources, or None if there are none."""
    contents = (content for number, content, _ in _resources(photoshop) if number == _IPTC)
    return next(filter(None, contents), None)


def photoshop_with_iptc(blocks: Blocks) -> bytes | None:
    """Return Photoshop's resources, with the bare IPTC records if they have none."""
    photoshop, iptc = blocks.photoshop or b"", blocks.iptc
    if iptc and unwrap_iptc(photoshop) is None:
        photoshop += wrap_iptc(iptc)
    return photoshop or None


def replace_iptc(photoshop: bytes, iptc: bytes) -> bytes:
    """Return Photoshop's resources with other IPTC records; all other bytes are kept.

    Photoshop stores a digest of the records, to find out whether another program changed them. A
    digest that is right stays so.
    """
    position, parts, is_replaced = 0, [], False
    old = hashlib.md5(unwrap_iptc(photoshop) or b"", usedforsecurity=False).digest()
    new = hashlib.md5(iptc, usedforsecurity=False).digest()
    for number, content, resource in _resources(photoshop):
        position = resource.stop
        if number == _IPTC and content and not is_replaced:
            parts.append(wrap_iptc(iptc))
            is_replaced = True
        elif number == _IPTC_DIGEST and content == old:
            parts.append(photoshop[resource].replace(old, new))
        else:
            parts.append(photoshop[resource])
    parts += [] if is_replaced else [wrap_iptc(iptc)]
    return b"".join(parts) + photoshop[position:]


def drop_resources(photoshop: bytes, numbers: Container[int]) -> bytes:
    """Return Photoshop's resources without those of some numbers; a damaged part is kept."""
    position, kept = 0, b""
    for number, _, resource in _resources(photoshop):
        position = resource.stop
        if number not in numbers:
            kept += photoshop[resource]
    return kept + photoshop[position:]


def _resources(photoshop: bytes) -> Iterator[tuple[int, bytes, slice]]:
    """Yield number, content and position of each resource, up to the first damaged one."""
    start = 0
    while start + 12 <= len(photoshop) and photoshop[start : start + 4].isalnum():
        number, name_length = struct.unpack_from(">HB", photoshop, start + 4)
        # A Pascal string, padded to an even length, precedes the size.
        position = start + 6 + (name_length + 2) // 2 * 2
        size = int.from_bytes(photoshop[position : position + 4], "big")
        content = photoshop[position + 4 : position + 4 + size]
        if len(content) < size or position + 4 > len(photoshop):
            return
        end = position + 4 + size + size % 2
        yield number, content, slice(start, end)
        start = end
