"""Metadata in the chunks of a WebP file (RIFF): the names of unknown chunks, and new blocks."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from burnish.photo.container import Bytes, FileBytes

_KNOWN = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF")
_XMP_FLAG, _EXIF_FLAG = 4, 8
_FLAGS_OFFSET = 20


def is_lossless_webp(webp: Bytes) -> bool:
    """Return whether a WebP's image is in a lossless (VP8L) chunk."""
    return any(kind == b"VP8L" for kind, _ in webp_chunks(webp))


def describe_chunks(webp: Bytes) -> list[str]:
    """Return the names of chunks that cannot be kept."""
    kinds = (kind for kind, _ in webp_chunks(webp) if kind not in _KNOWN)
    return [f"WebP chunk {kind.decode('ascii', 'replace').strip()}" for kind in kinds]


def replace_blocks(file: BinaryIO, exif: bytes | None, xmp: bytes | None) -> None:
    """Replace the EXIF block that libvips has written behind the image by these blocks."""
    webp = FileBytes(file)
    end = next(content.start - 8 for kind, content in webp_chunks(webp) if kind == b"EXIF")
    flags = webp[_FLAGS_OFFSET] & ~(_EXIF_FLAG | _XMP_FLAG)
    file.seek(end)
    file.truncate()
    for kind, block, flag in ((b"EXIF", exif, _EXIF_FLAG), (b"XMP ", xmp, _XMP_FLAG)):
        if block is not None:
            file.write(struct.pack("<4sI", kind, len(block)) + block + bytes(len(block) % 2))
            flags |= flag
    size = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", size - 8))
    file.seek(_FLAGS_OFFSET)
    file.write(bytes([flags]))


def webp_chunks(webp: Bytes) -> Iterator[tuple[bytes, slice]]:
    """Yield the type and the content's position of each chunk."""
    position = 12
    while position + 8 <= len(webp):
        kind, size = struct.unpack("<4sI", webp[position : position + 8])
        yield kind, slice(position + 8, position + 8 + size)
        position += 8 + size + size % 2
