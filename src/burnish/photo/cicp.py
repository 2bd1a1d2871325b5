"""Colours stated by numbers rather than by a profile: PNG's cICP and gAMA, AVIF's and HEIC's nclx.

The numbers are those of ITU-T H.273, https://www.itu.int/rec/T-REC-H.273.
"""

from burnish.photo import png
from burnish.photo.byte_view import Bytes
from burnish.photo.formats import Format

# Transfer functions of high dynamic range: 1 in such a file is far brighter than white.
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Primaries and transfer functions that mean sRGB, or that nothing is stated. The transfer functions
# of BT.709 and BT.601 (1, 6) are what encoders write for pictures made in sRGB.
_SRGB_PRIMARIES = (1, 2)
_SRGB_TRANSFERS = (1, 2, 6, 13)
# PNG's gamma for sRGB, in hundred-thousandths.
_SRGB_GAMMA = range(45000, 46000)


def hdr_encoding(data: Bytes, format: Format) -> str | None:
    """Name the high-dynamic-range encoding that a file states; None where it states none."""
    code_points = _code_points(data, format)
    return _HDR_TRANSFERS.get(code_points[1]) if code_points else None


def is_non_srgb(data: Bytes, format: Format) -> bool:
    """Tell whether a file without a profile states colours that are not sRGB's."""
    code_points = _code_points(data, format)
    if code_points:
        return code_points[0] not in _SRGB_PRIMARIES or code_points[1] not in _SRGB_TRANSFERS
    if format.name != "png" or _png_chunk(data, b"sRGB") is not None:
        return False
    gamma = _png_chunk(data, b"gAMA")
    return gamma is not None and int.from_bytes(gamma[:4], "big") not in _SRGB_GAMMA


def _code_points(data: Bytes, format: Format) -> tuple[int, int] | None:
    """Return the numbers of primaries and transfer function."""
    if format.name == "png":
        chunk = _png_chunk(data, b"cICP")
        return (chunk[0], chunk[1]) if chunk and len(chunk) >= 2 else None
    offset = data.find(b"colrnclx") if format.codec == "heif" else -1
    if offset < 0:
        return None
    fields = data[offset + 8 : offset + 12]
    return int.from_bytes(fields[:2], "big"), int.from_bytes(fields[2:4], "big")


def _png_chunk(data: Bytes, name: bytes) -> bytes | None:
    """Return the content of one of a PNG's chunks before its pixels."""
    for kind, content in png.chunks(data):
        if kind in (name, b"IDAT"):
            return bytes(data[content]) if kind == name else None
    return None
