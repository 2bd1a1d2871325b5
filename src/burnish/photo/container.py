"""Details of image files that libvips does not report, read from the bytes of the files."""

import os
from collections.abc import Iterator
from typing import BinaryIO, overload

from burnish.photo.formats import SEQUENCE_BRANDS, Format

# Bytes of a file searched at a time.
_SEARCH_BYTES = 1 << 20

_PNG_SIGNATURE_BYTES = 8

# Transfer functions of high dynamic range in ITU-T H.273, https://www.itu.int/rec/T-REC-H.273.
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Primaries and transfer functions of H.273 that mean sRGB or "unspecified". Encoders write the
# transfer functions of BT.709 and BT.601 (1, 6) for images in sRGB.
_SRGB_PRIMARIES = (1, 2)
_SRGB_TRANSFERS = (1, 2, 6, 13)
# Values of PNG's gAMA chunk, in 1/100,000, that mean sRGB.
_SRGB_GAMMA = range(45000, 46000)


class FileBytes:
    """The bytes of a file, read on demand by index, slice and search.

    A memory map would count as memory of the process, and the process would end with a bus error
    if another program cuts the file short.

    Parameters
    ----------
    file : open for reading; its position changes

    Examples
    --------
    >>> from io import BytesIO
    >>> data = FileBytes(BytesIO(b"II*and so on"))
    >>> len(data), data[0:3], data[-2:], data.find(b"so"), data.find(b"so", 0, 8)
    (12, b'II*', b'on', 7, -1)
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            return self[key : key + 1 or None][0]
        start, stop, _ = key.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(0, stop - start))

    def find(self, pattern: bytes, start: int = 0, end: int | None = None) -> int:
        """Return the lowest index of `pattern` between start and end, or -1, like `bytes.find`."""
        start, end, _ = slice(start, end).indices(self._size)
        while start + len(pattern) <= end:
            # Chunks overlap, so that a match across their border is found.
            index = self[start : min(end, start + _SEARCH_BYTES + len(pattern) - 1)].find(pattern)
            if index >= 0:
                return start + index
            start += _SEARCH_BYTES
        return -1


Bytes = bytes | bytearray | FileBytes


def png_chunks(png: Bytes) -> Iterator[tuple[bytes, slice]]:
    """Yield the type and the content's position of each chunk, up to the first damaged one."""
    offset = _PNG_SIGNATURE_BYTES
    while offset + 8 <= len(png):
        head = bytes(png[offset : offset + 8])
        size = int.from_bytes(head[:4], "big")
        yield head[4:], slice(offset + 8, offset + 8 + size)
        offset += 12 + size


def is_animation(data: Bytes, format: Format) -> bool:
    """Return whether a file is an animated PNG or an HEIF image sequence.

    libvips reads one frame of these without a warning.
    """
    if format.name == "png":
        return data.find(b"acTL", 0, data.find(b"IDAT")) >= 0
    return format.codec == "heif" and data[8:12] in SEQUENCE_BRANDS


def hdr_encoding(data: Bytes, format: Format) -> str | None:
    """Return the high-dynamic-range encoding that a file declares, "PQ" or "HLG", or None."""
    code_points = _code_points(data, format)
    return _HDR_TRANSFERS.get(code_points[1]) if code_points else None


def is_non_srgb(data: Bytes, format: Format) -> bool:
    """Return whether a file without a profile declares colours other than sRGB.

    PNG declares them in cICP and gAMA chunks, AVIF and HEIC in nclx boxes.
    """
    code_points = _code_points(data, format)
    if code_points:
        return code_points[0] not in _SRGB_PRIMARIES or code_points[1] not in _SRGB_TRANSFERS
    if format.name != "png" or _chunk(data, b"sRGB") is not None:
        return False
    gamma = _chunk(data, b"gAMA")
    return gamma is not None and int.from_bytes(gamma[:4], "big") not in _SRGB_GAMMA


def _code_points(data: Bytes, format: Format) -> tuple[int, int] | None:
    """Return the H.273 code points of primaries and transfer function."""
    if format.name == "png":
        chunk = _chunk(data, b"cICP")
        return (chunk[0], chunk[1]) if chunk and len(chunk) >= 2 else None
    offset = data.find(b"colrnclx") if format.codec == "heif" else -1
    if offset < 0:
        return None
    fields = data[offset + 8 : offset + 12]
    return int.from_bytes(fields[:2], "big"), int.from_bytes(fields[2:4], "big")


def _chunk(png: Bytes, name: bytes) -> bytes | None:
    """Return the content of a chunk that precedes the pixels of a PNG, or None."""
    for kind, content in png_chunks(png):
        if kind in (name, b"IDAT"):
            return bytes(png[content]) if kind == name else None
    return None
