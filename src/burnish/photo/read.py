"""Any picture file to float32 sRGB pixels, and all that travels beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, warn
from burnish.photo import cicp as codepoints
from burnish.photo import colour, png
from burnish.photo.byte_view import Block
from burnish.photo.exif import exif_of_tiff, upright
from burnish.photo.formats import Format
from burnish.photo.header import (
    MAX_PIXELS,
    SAMPLES,
    Opened,
    broken,
    content,
    field,
    opened,
    orientation,
)
from burnish.photo.iptc import iptc_of_tiff
from burnish.photo.source_metadata import Origin
from burnish.photo.tiff_tags import BrokenTagsError
from burnish.photo.xmp import upright_xmp
from burnish.types import Pixels


def read(
    source: str | Path | bytes, max_pixels: int = MAX_PIXELS
) -> tuple[Pixels, Pixels | None, Origin]:
    """Read a picture file.

    Parameters
    ----------
    source : a path, or a file's content
    max_pixels : a picture that claims more is refused before it is decoded

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1]
    alpha : H x W in [0, 1], or None
    origin : everything else

    Raises
    ------
    PhotoError : no picture, a broken one, or one that burnish does not take
    """
    found = opened(*content(source), max_pixels)
    image = found.image
    try:
        flat = np.frombuffer(image.write_to_memory(), SAMPLES[image.format][1])
    except pyvips.Error as error:
        raise broken(found.format, found.where, error) from error
    stored = flat.reshape(image.height, image.width, image.bands)
    if stored.dtype.kind == "f":
        check_range(float(stored.min()), float(stored.max()), found.where)
    origin = describe(found)
    pixels, alpha, beyond = decoded(turned(stored, orientation(image)), origin.profile)
    for array in (pixels, alpha):
        if array is not None:
            array.flags.writeable = False
    return pixels, alpha, replace(origin, beyond=beyond)


def turned(stored: NDArray[Any], lie: int) -> NDArray[Any]:
    """Turn H x W x bands upright that lie as EXIF's orientation `lie` says."""
    if lie >= 5:
        stored = stored.swapaxes(0, 1)
    if lie in (3, 4, 7, 8):
        stored = stored[::-1]
    if lie in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def check_range(low: float, high: float, where: str) -> None:
    """See that floats, of which the least and the largest are given, are in [0, 1].

    Raises
    ------
    PhotoError : they are not
    """
    # Neither clipping nor stretching is a guess to make for somebody: it may be linear light.
    if not (low >= 0 and high <= 1):
        finite = np.isfinite([low, high]).all()
        raise PhotoError(
            where,
            expected="floats from 0 to 1",
            got=f"{low:g} to {high:g}" if finite else "infinite or undefined ones",
            remedy="bring it to that range first (sRGB-encoded, not linear light)",
        )


def describe(found: Opened) -> Origin:
    """Tell all but the pixels of a picture.

    Warns
    -----
    UserWarning : see `Photo.open`
    """
    image, data, format, where = found.image, found.data, found.format, found.where
    embedded = field(image, "icc-profile-data")
    if embedded is None and codepoints.other_than_srgb(data, format):
        warn(
            f"{where}: its colours are stated by numbers (cICP, gAMA or nclx) that are not sRGB's; "
            "without a profile they are taken as sRGB"
        )
    return Origin(
        format=_codec(image, format),
        depth=SAMPLES[image.format][0],
        grey=image.bands < 3,
        profile=_usable(embedded, 1 if image.bands < 3 else 3, where),
        texts=png.texts(data) if format.name == "png" else (),
        **_metadata(image, data, format, where),
        subsampling=_subsampling(data) if format.name == "jpeg" else None,
        lossless=format.name == "webp" and _is_lossless_webp(data),
    )


def decoded(
    codes: NDArray[Any], profile: bytes | None
) -> tuple[Pixels, Pixels | None, Pixels | None]:
    """Convert codes as they are stored, of a whole picture or a part of it.

    Parameters
    ----------
    codes : H x W x bands, alpha last: uint8, uint16, or float32 in [0, 1]
    profile : as in `Origin`

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1]
    alpha : H x W in [0, 1], or None
    beyond : as in `Origin`
    """
    colours = 1 if codes.shape[2] < 3 else 3
    top = 1 if codes.dtype.kind == "f" else np.iinfo(codes.dtype).max
    # A division rounds correctly, so that every code comes back; a factor 1/255 would not.
    device = np.ascontiguousarray(np.divide(codes[:, :, :colours], top, dtype=np.float32))
    alpha = None
    if codes.shape[2] > colours:
        alpha = np.ascontiguousarray(np.divide(codes[:, :, colours], top, dtype=np.float32))
    if colours < 3 and (profile is None or colour.channels(profile) == 3):
        device = np.repeat(device, 3, axis=2)
    if profile is None or colour.is_srgb(profile):
        return device, alpha, None
    pixels, beyond = colour.to_srgb(device, profile)
    return pixels, alpha, beyond


def _usable(profile: bytes | None, colours: int, where: str) -> bytes | None:
    """Return the profile, if it is one for pictures of so many colours."""
    count = 3 if profile is None else colour.channels(profile)
    if count is None or count < colours:
        warn(
            f"{where}: the embedded colour profile is broken or does not fit; "
            "it is left out and the colours are taken as sRGB"
        )
        return None
    return profile


def _metadata(image: pyvips.Image, data: Block, format: Format, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        if format.name == "tiff":
            exif = exif_of_tiff(data)
            found["iptc"] = iptc_of_tiff(data)
        else:
            exif = field(image, "exif-data")
            found["iptc"] = field(image, "iptc-data")
        found["exif"] = upright(exif) if exif else None
    except BrokenTagsError as error:
        warn(f"{where}: unreadable EXIF is left out ({error})")
    if xmp := field(image, "xmp-data"):
        found["xmp"] = upright_xmp(xmp)
        if b"hdrgm:" in xmp:
            warn(f"{where}: the HDR gain map is left out; this is the standard-range picture")
    # libvips' way of saying that the file says nothing.
    if (image.xres, image.yres) != (1, 1):
        found["resolution"] = (image.xres, image.yres)
    return found


def _codec(image: pyvips.Image, format: Format) -> str:
    """AVIF and HEIC share a container; the codec tells them apart."""
    if format.codec != "heif":
        return format.name
    return "avif" if field(image, "heif-compression") == "av1" else "heic"


def _subsampling(jpeg: Block) -> str | None:
    """Read the chroma subsampling from the frame header; libvips knows 4:2:0 and 4:4:4 only."""
    at = 2
    while jpeg[at : at + 1] == b"\xff" and at + 4 <= len(jpeg):
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        # Frame headers, but for the three numbers among theirs that mean something else.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            names = {0x11: "4:4:4", 0x21: "4:2:2", 0x22: "4:2:0", 0x12: "4:4:0", 0x41: "4:1:1"}
            return names.get(jpeg[at + 11]) if jpeg[at + 9] == 3 else None
        at += 2 + size
    return None


def _is_lossless_webp(data: Block) -> bool:
    at = 12
    while at + 8 <= len(data) and data[at : at + 4] != b"VP8 ":
        if data[at : at + 4] == b"VP8L":
            return True
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False
