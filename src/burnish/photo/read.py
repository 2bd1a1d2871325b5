"""Any picture file to float32 sRGB pixels, and all that travels beside them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError
from burnish.photo import codepoints, colour, png
from burnish.photo.exif import exif_of_tiff, upright
from burnish.photo.formats import Format
from burnish.photo.header import (
    MAX_PIXELS,
    SAMPLES,
    broken,
    content,
    field,
    known,
    opened,
    orientation,
)
from burnish.photo.iptc import iptc_of_tiff
from burnish.photo.origin import Origin
from burnish.photo.tags import BrokenTagsError
from burnish.photo.xmp import upright_xmp

Pixels = NDArray[np.float32]


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
    where, data = content(source)
    format = known(data, where)
    image = opened(data, format, where, max_pixels)
    try:
        codes = _codes(image)
    except pyvips.Error as error:
        raise broken(format, where, error) from error
    depth, _, top = SAMPLES[image.format]
    device, alpha = _scaled(codes, top, where)
    embedded = field(image, "icc-profile-data")
    if embedded is None and codepoints.other_than_srgb(data, format):
        warnings.warn(
            f"{where}: its colours are stated by numbers (cICP, gAMA or nclx) that are not sRGB's; "
            "without a profile they are taken as sRGB",
            stacklevel=3,
        )
    pixels, profile, beyond = _in_srgb(device, embedded, where)
    origin = Origin(
        format=_codec(image, format),
        depth=depth,
        grey=image.bands < 3,
        profile=profile,
        beyond=beyond,
        texts=png.texts(data) if format.name == "png" else (),
        **_metadata(image, data, format, where),
        subsampling=_subsampling(data) if format.name == "jpeg" else None,
        lossless=format.name == "webp" and _is_lossless_webp(data),
    )
    for array in (pixels, alpha):
        if array is not None:
            array.flags.writeable = False
    return pixels, alpha, origin


def _codes(image: pyvips.Image) -> NDArray[Any]:
    """Decode to H x W x bands as stored, turned upright."""
    flat = np.frombuffer(image.write_to_memory(), SAMPLES[image.format][1])
    stored = flat.reshape(image.height, image.width, image.bands)
    lie = orientation(image)
    if lie >= 5:
        stored = stored.swapaxes(0, 1)
    if lie in (3, 4, 7, 8):
        stored = stored[::-1]
    if lie in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def _scaled(codes: NDArray[Any], top: int, where: str) -> tuple[Pixels, Pixels | None]:
    """Scale to [0, 1] and split the alpha off."""
    colours = 1 if codes.shape[2] < 3 else 3
    if codes.dtype == np.float32:
        low, high = float(codes.min()), float(codes.max())
        # Neither clipping nor stretching is a guess to make for somebody: it may be linear light.
        if not (low >= 0 and high <= 1):
            raise PhotoError(
                where,
                expected="floats from 0 to 1",
                got="infinite or undefined ones"
                if not np.isfinite(codes).all()
                else f"{low:g} to {high:g}",
                remedy="bring it to that range first (sRGB-encoded, not linear light)",
            )
    # A division rounds correctly, so that every code comes back; a factor 1/255 would not.
    device = np.ascontiguousarray(np.divide(codes[:, :, :colours], top, dtype=np.float32))
    if codes.shape[2] == colours:
        return device, None
    return device, np.ascontiguousarray(np.divide(codes[:, :, colours], top, dtype=np.float32))


def _in_srgb(
    device: Pixels, profile: bytes | None, where: str
) -> tuple[Pixels, bytes | None, Pixels | None]:
    """Convert the file's own values to sRGB; also return the profile, if usable, and the rest."""
    count = 3 if profile is None else colour.channels(profile)
    if count is None or count < device.shape[2]:
        warnings.warn(
            f"{where}: the embedded colour profile is broken or does not fit; "
            "it is left out and the colours are taken as sRGB",
            stacklevel=4,
        )
        profile, count = None, 3
    if device.shape[2] < count:
        device = np.repeat(device, 3, axis=2)
    if profile is None or colour.is_srgb(profile):
        return device, profile, None
    pixels, beyond = colour.to_srgb(device, profile)
    return pixels, profile, beyond


def _metadata(image: pyvips.Image, data: bytes, format: Format, where: str) -> dict[str, Any]:
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
        warnings.warn(f"{where}: unreadable EXIF is left out ({error})", stacklevel=4)
    if xmp := field(image, "xmp-data"):
        found["xmp"] = upright_xmp(xmp)
        if b"hdrgm:" in xmp:
            warnings.warn(
                f"{where}: the HDR gain map is left out; this is the standard-range picture",
                stacklevel=4,
            )
    # libvips' way of saying that the file says nothing.
    if (image.xres, image.yres) != (1, 1):
        found["resolution"] = (image.xres, image.yres)
    return found


def _codec(image: pyvips.Image, format: Format) -> str:
    """AVIF and HEIC share a container; the codec tells them apart."""
    if format.codec != "heif":
        return format.name
    return "avif" if field(image, "heif-compression") == "av1" else "heic"


def _subsampling(jpeg: bytes) -> str | None:
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


def _is_lossless_webp(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data) and data[at : at + 4] != b"VP8 ":
        if data[at : at + 4] == b"VP8L":
            return True
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False
