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
from burnish.photo.byte_view import Bytes
from burnish.photo.exif import read_tiff_exif, reset_exif_orientation
from burnish.photo.formats import Format
from burnish.photo.header import (
    MAX_PIXELS,
    SAMPLE_TYPES,
    ImageHeader,
    decode_error,
    exif_orientation,
    get_field,
    open_image,
    read_bytes,
)
from burnish.photo.iptc import read_tiff_iptc
from burnish.photo.source_metadata import SourceMetadata
from burnish.photo.tiff_tags import BrokenTagsError
from burnish.photo.xmp import reset_xmp_orientation
from burnish.types import Pixels


def read(
    source: str | Path | bytes, max_pixels: int = MAX_PIXELS
) -> tuple[Pixels, Pixels | None, SourceMetadata]:
    """Read a picture file.

    Parameters
    ----------
    source : a path, or a file's content
    max_pixels : a picture that claims more is refused before it is decoded

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1]
    alpha : H x W in [0, 1], or None
    metadata : everything else

    Raises
    ------
    PhotoError : no picture, a broken one, or one that burnish does not take
    """
    header = open_image(*read_bytes(source), max_pixels)
    image = header.image
    try:
        flat = np.frombuffer(image.write_to_memory(), SAMPLE_TYPES[image.format][1])
    except pyvips.Error as error:
        raise decode_error(header.format, header.where, error) from error
    stored = flat.reshape(image.height, image.width, image.bands)
    if stored.dtype.kind == "f":
        check_float_range(float(stored.min()), float(stored.max()), header.where)
    metadata = read_metadata(header)
    pixels, alpha, out_of_gamut = to_srgb_float(
        apply_orientation(stored, exif_orientation(image)), metadata.profile
    )
    for array in (pixels, alpha):
        if array is not None:
            array.flags.writeable = False
    return pixels, alpha, replace(metadata, out_of_gamut=out_of_gamut)


def apply_orientation(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn H x W x bands upright that lie as EXIF's orientation `orientation` says."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def check_float_range(low: float, high: float, where: str) -> None:
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


def read_metadata(header: ImageHeader) -> SourceMetadata:
    """Tell all but the pixels of a picture.

    Warns
    -----
    UserWarning : see `Photo.open`
    """
    image, data, format, where = header.image, header.data, header.format, header.where
    embedded = get_field(image, "icc-profile-data")
    if embedded is None and codepoints.is_non_srgb(data, format):
        warn(
            f"{where}: its colours are stated by numbers (cICP, gAMA or nclx) that are not sRGB's; "
            "without a profile they are taken as sRGB"
        )
    return SourceMetadata(
        format=_format_name(image, format),
        depth=SAMPLE_TYPES[image.format][0],
        grey=image.bands < 3,
        profile=_usable_profile(embedded, 1 if image.bands < 3 else 3, where),
        texts=png.text_chunks(data) if format.name == "png" else (),
        **_metadata_blocks(image, data, format, where),
        subsampling=_chroma_subsampling(data) if format.name == "jpeg" else None,
        lossless=format.name == "webp" and _is_lossless_webp(data),
    )


def to_srgb_float(
    codes: NDArray[Any], profile: bytes | None
) -> tuple[Pixels, Pixels | None, Pixels | None]:
    """Convert codes as they are stored, of a whole picture or a part of it.

    Parameters
    ----------
    codes : H x W x bands, alpha last: uint8, uint16, or float32 in [0, 1]
    profile : as in `SourceMetadata`

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1]
    alpha : H x W in [0, 1], or None
    out_of_gamut : as in `SourceMetadata`
    """
    colours = 1 if codes.shape[2] < 3 else 3
    max_code = 1 if codes.dtype.kind == "f" else np.iinfo(codes.dtype).max
    # A division rounds correctly, so that every code comes back; a factor 1/255 would not.
    device = np.ascontiguousarray(np.divide(codes[:, :, :colours], max_code, dtype=np.float32))
    alpha = None
    if codes.shape[2] > colours:
        alpha = np.ascontiguousarray(np.divide(codes[:, :, colours], max_code, dtype=np.float32))
    if colours < 3 and (profile is None or colour.channel_count(profile) == 3):
        device = np.repeat(device, 3, axis=2)
    if profile is None or colour.is_srgb(profile):
        return device, alpha, None
    pixels, out_of_gamut = colour.to_srgb(device, profile)
    return pixels, alpha, out_of_gamut


def _usable_profile(profile: bytes | None, colours: int, where: str) -> bytes | None:
    """Return the profile, if it is one for pictures of so many colours."""
    count = 3 if profile is None else colour.channel_count(profile)
    if count is None or count < colours:
        warn(
            f"{where}: the embedded colour profile is broken or does not fit; "
            "it is left out and the colours are taken as sRGB"
        )
        return None
    return profile


def _metadata_blocks(
    image: pyvips.Image, data: Bytes, format: Format, where: str
) -> dict[str, Any]:
    blocks: dict[str, Any] = {}
    try:
        if format.name == "tiff":
            exif = read_tiff_exif(data)
            blocks["iptc"] = read_tiff_iptc(data)
        else:
            exif = get_field(image, "exif-data")
            blocks["iptc"] = get_field(image, "iptc-data")
        blocks["exif"] = reset_exif_orientation(exif) if exif else None
    except BrokenTagsError as error:
        warn(f"{where}: unreadable EXIF is left out ({error})")
    if xmp := get_field(image, "xmp-data"):
        blocks["xmp"] = reset_xmp_orientation(xmp)
        if b"hdrgm:" in xmp:
            warn(f"{where}: the HDR gain map is left out; this is the standard-range picture")
    # libvips' way of saying that the file says nothing.
    if (image.xres, image.yres) != (1, 1):
        blocks["resolution"] = (image.xres, image.yres)
    return blocks


def _format_name(image: pyvips.Image, format: Format) -> str:
    """AVIF and HEIC share a container; the codec tells them apart."""
    if format.codec != "heif":
        return format.name
    return "avif" if get_field(image, "heif-compression") == "av1" else "heic"


def _chroma_subsampling(jpeg: Bytes) -> str | None:
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


def _is_lossless_webp(data: Bytes) -> bool:
    at = 12
    while at + 8 <= len(data) and data[at : at + 4] != b"VP8 ":
        if data[at : at + 4] == b"VP8L":
            return True
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False
