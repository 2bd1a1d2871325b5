"""Metadata of a GIF file: the blocks (GIF89a) that do not belong to its pixels."""

from collections.abc import Iterator

from burnish.photo.container import Bytes
from burnish.photo.jpeg_metadata import COM
from burnish.photo.metadata import Blocks
from burnish.photo.trailing import describe_trailing

_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF
_APPLICATION_BYTES = 11
# XMP is not split into blocks. These bytes behind it lead decoders to its end.
_XMP_END = bytes(range(0xFF, 0, -1))


def read_gif(gif: Bytes) -> tuple[Blocks, list[str]]:
    """Return a GIF's metadata, and the names of what cannot be kept."""
    xmp, comments, dropped = None, [], []
    end = len(gif)
    for label, block in _blocks(gif):
        content = bytes(gif[block])
        if label == _END:
            end = block.stop
        elif label == _COMMENT:
            comments.append((COM, _join(content)))
        elif content[1:].startswith(b"XMP DataXMP"):
            xmp = content[1 + _APPLICATION_BYTES :].partition(b"\1" + _XMP_END)[0]
        elif content[1:].startswith(b"ICCRGBG1012"):
            dropped.append("the colour profile")
    dropped += describe_trailing(gif, end)
    return Blocks(xmp=xmp, native=tuple(comments)), dropped


def _blocks(gif: Bytes) -> Iterator[tuple[int, slice]]:
    """Yield the label and the position of each comment, application extension, and the end."""
    position = 13 + _palette_bytes(gif[10])
    while position + 1 < len(gif) and gif[position] in (_EXTENSION, _IMAGE):
        label = gif[position + 1] if gif[position] == _EXTENSION else _IMAGE
        position += 2
        if label == _IMAGE:
            # The descriptor, its palette, and the size of a code precede the data.
            position += 8
            position += _palette_bytes(int.from_bytes(gif[position - 1 : position], "big")) + 1
        start = position
        while position < len(gif) and (size := gif[position]):
            position += 1 + size
        position += 1
        if label in (_COMMENT, _APPLICATION):
            yield label, slice(start, position)
    if position < len(gif) and gif[position] == _END:
        yield _END, slice(position, position + 1)


def _palette_bytes(flags: int) -> int:
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _join(blocks: bytes) -> bytes:
    """Join the contents of sub-blocks."""
    joined, position = b"", 0
    while position < len(blocks) and (size := blocks[position]):
        joined += blocks[position + 1 : position + 1 + size]
        position += 1 + size
    return joined
