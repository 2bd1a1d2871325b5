"""The chunks that a PNG is made of, for those that libvips drops or writes otherwise."""

import struct
import zlib
from collections.abc import Iterator

from burnish.photo.tags import Block

_SIGNATURE, _HEADER = 8, 25
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# EXIF, XMP and the like, which travel as what they are.
_NO_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type ")


def chunks(png: Block) -> Iterator[tuple[bytes, bytes]]:
    """Give the kind and content of each chunk; of a damaged file those before the damage."""
    at = _SIGNATURE
    while at + 8 <= len(png):
        size, kind = int.from_bytes(png[at : at + 4], "big"), bytes(png[at + 4 : at + 8])
        yield kind, bytes(png[at + 8 : at + 8 + size])
        at += 12 + size


def texts(png: Block) -> tuple[tuple[bytes, bytes], ...]:
    """Return the text chunks (title, author, copyright, comment ...) as they stand."""
    return tuple(
        (kind, content)
        for kind, content in chunks(png)
        if kind in _TEXTS and not content.startswith(_NO_TEXTS)
    )


def with_texts(png: bytes, found: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Put text chunks in after the header."""
    packed = b""
    for kind, content in found:
        body = kind + content
        packed += struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    after_header = _SIGNATURE + _HEADER
    return png[:after_header] + packed + png[after_header:]
