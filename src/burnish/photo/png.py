"""The chunks that a PNG is made of, for those that libvips drops or writes otherwise."""

import struct
import zlib
from collections.abc import Iterator

from burnish.photo.byte_view import Bytes

_SIGNATURE = 8
# Where the chunk that must come first ends.
HEADER_END = _SIGNATURE + 25
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
# EXIF, XMP and the like, which travel as what they are.
_METADATA_PREFIXES = (b"XML:com.adobe.xmp\0", b"Raw profile type ")


def chunks(png: Bytes) -> Iterator[tuple[bytes, slice]]:
    """Give each chunk's kind and the place of its content; of a damaged file those before that."""
    at = _SIGNATURE
    while at + 8 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), bytes(png[at + 4 : at + 8])
        yield kind, slice(at + 8, at + 8 + size)
        at += 12 + size


def text_chunks(png: Bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the text chunks (title, author, copyright, comment ...) as they stand."""
    items = [(kind, bytes(png[place])) for kind, place in chunks(png) if kind in _TEXT_CHUNKS]
    return tuple((kind, text) for kind, text in items if not text.startswith(_METADATA_PREFIXES))


def pack_chunks(items: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return chunks as they stand in a file."""
    output = b""
    for kind, content in items:
        body = kind + content
        output += struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return output
