"""Colours stated by numbers rather than by a profile: PNG's cICP and gAMA, AVIF's and HEIC's nclx.

The numbers are those of ITU-T H.273, https://www.itu.int/rec/T-REC-H.273.
"""

from burnish.photo import png
from burnish.photo.byte_view import Block
from burnish.photo.formats import Format

# Transfer functions of high dynamic range: 1 in such a file is far brighter than white.
_HDR = {16: "PQ", 18: "HLG"}
# Primaries and transfer functions that mean sRGB, or that nothing is stated. The transfer functions
# of BT.709 and BT.601 (1, 6) are what encoders write for pictures made in sRGB.
_SRGB_PRIMARIES = (1, 2)
_SRGB_TRANSFERS = (1, 2, 6, 13)
# PNG's gamma for sRGB, in hundred-thousandths.
_SRGB_GAMMA = range(45000, 46000)


def hdr(data: Block, format: Format) -> str | None:
    """Name the high-dynamic-range encoding that a file states; None where it states none."""
    points = _points(data, format)
    return _HDR.get(points[1]) if points else None


def other_than_srgb(data: Block, format: Format) -> bool:
    """Tell whether a file without a profile states colours that are not sRGB's."""
    points = _points(data, format)
    if points:
        return points[0] not in _SRGB_PRIMARIES or points[1] not in _SRGB_TRANSFERS
    if format.name != "png" or _chunk(data, b"sRGB") is not None:
        return False
    gamma = _chunk(data, b"gAMA")
    return gamma is not None and int.from_bytes(gamma[:4], "big") not in _SRGB_GAMMA


def _points(data: Block, format: Format) -> tuple[int, int] | None:
    """Return the numbers of primaries and transfer function."""
    if format.name == "png":
        chunk = _chunk(data, b"cICP")
        return (chunk[0], chunk[1]) if chunk and len(chunk) >= 2 else None
    at = data.find(b"colrnclx") if format.codec == "heif" else -1
    if at < 0:
        return None
    stated = data[at + 8 : at + 12]
    return int.from_bytes(stated[:2], "big"), int.from_bytes(stated[2:4], "big")


def _chunk(data: Block, name: bytes) -> bytes | None:
    """Return the content of one of a PNG's chunks before its pixels."""
    for kind, place in png.chunks(data):
        if kind in (name, b"IDAT"):
            return bytes(data[place]) if kind == name else None
    return None
