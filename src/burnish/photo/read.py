"""Read an image file into float32 sRGB pixels, alpha and metadata."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, join_and, warn
from burnish.photo import colour
from burnish.photo.blocks import get_field, has_resolution, read_blocks
from burnish.photo.container import Bytes, is_non_srgb
from burnish.photo.formats import Format
from burnish.photo.header import (
    MAX_PIXELS,
    SAMPLE_TYPES,
    ImageHeader,
    decode,
    exif_orientation,
    open_image,
    read_bytes,
)
from burnish.photo.jpeg_metadata import chroma_subsampling
from burnish.photo.metadata import SourceMetadata
from burnish.types import Pixels

# Floats this far outside [0, 1] are clipped. Sharpening and enlarging overshoot by as much.
_OVERSHOOT = 0.2


def read(
    source: str | Path | bytes, max_pixels: int = MAX_PIXELS
) -> tuple[Pixels, Pixels | None, SourceMetadata]:
    """Read an image file.

    Parameters
    ----------
    source : a path, or the content of a file
    max_pixels : an image that declares more pixels is rejected before it is decoded

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1], read-only
    alpha : H x W in [0, 1], read-only; or None
    metadata : all other properties of the file

    Raises
    ------
    PhotoError : not an image, a damaged one, or one that burnish does not accept
    """
    return convert_codes(*read_codes(source, max_pixels))


def read_codes(
    source: str | Path | bytes, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[Any], SourceMetadata]:
    """Read the stored codes of an image file, and its metadata without `out_of_gamut`.

    The codes are upright, H x W x bands, alpha last; for the rest, see `read`.
    """
    header = open_image(*read_bytes(source), max_pixels)
    codes = decode(header, _read_codes)
    if codes.dtype.kind == "f":
        check_float_range(float(codes.min()), float(codes.max()), header.where)
    metadata = read_metadata(header)
    return apply_orientation(codes, exif_orientation(header.image)), metadata


def _read_codes(image: pyvips.Image) -> NDArray[Any]:
    flat = np.frombuffer(image.write_to_memory(), SAMPLE_TYPES[image.format][1])
    return flat.reshape(image.height, image.width, image.bands)


def apply_orientation(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an upright view of H x W x bands that are stored with an EXIF orientation."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    return stored


def check_float_range(low: float, high: float, where: str) -> None:
    """Check that the smallest and the largest float of an image are in [0, 1], or close to it.

    Raises
    ------
    PhotoError : a value is far outside [0, 1] or not finite

    Warns
    -----
    UserWarning : a value is a little outside; `to_srgb_float` clips it
    """
    if low >= 0 and high <= 1:
        return
    # Far outside, the values may be linear light, so that neither clipping nor scaling is safe.
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):
        finite = np.isfinite([low, high]).all()
        raise PhotoError(
            where,
            expected="floats from 0 to 1",
            got=f"{low:g} to {high:g}" if finite else "infinite or undefined values",
            remedy="bring them into that range first (sRGB-encoded, not linear light)",
        )
    warn(f"{where}: values from {low:g} to {high:g} are clipped to 0 to 1")


def read_metadata(header: ImageHeader) -> SourceMetadata:
    """Return a file's properties other than its pixels, without `out_of_gamut`.

    Warns
    -----
    UserWarning : as for `Photo.open`
    """
    image, data, format, where = header.image, header.data, header.format, header.where
    if format.name == "raw":
        from burnish.photo.raw import with_metadata

        image = with_metadata(image, where, data)
    profile = get_field(image, "icc-profile-data")
    if profile is None and is_non_srgb(data, format):
        warn(
            f"{where}: the file declares colours other than sRGB (by cICP, gAMA or nclx) but has "
            "no profile; the colours are taken as sRGB"
        )
    blocks, dropped = read_blocks(image, data, format, header.size)
    if dropped:
        warn(f"{where}: {join_and(dropped)} cannot be kept and will be left out")
    return SourceMetadata(
        format=_format_name(image, format),
        depth=SAMPLE_TYPES[image.format][0],
        grey=image.bands < 3,
        profile=_usable_profile(profile, 1 if image.bands < 3 else 3, where),
        resolution=(image.xres, image.yres) if has_resolution(blocks) else None,
        subsampling=chroma_subsampling(data) if format.name == "jpeg" else None,
        lossless=format.name == "webp" and _is_lossless(data),
        **vars(blocks),
    )


def convert_codes(
    codes: NDArray[Any], metadata: SourceMetadata
) -> tuple[Pixels, Pixels | None, SourceMetadata]:
    """Return what `read` does, for the codes of an image or of a part of it."""
    pixels, alpha, out_of_gamut = to_srgb_float(codes, metadata.profile)
    for array in (pixels, alpha):
        if array is not None:
            array.flags.writeable = False
    return pixels, alpha, replace(metadata, out_of_gamut=out_of_gamut)


def to_srgb_float(
    codes: NDArray[Any], profile: bytes | None
) -> tuple[Pixels, Pixels | None, Pixels | None]:
    """Convert the stored codes of an image, or of a part of it, to sRGB.

    Parameters
    ----------
    codes : H x W x bands, alpha last: uint8, uint16, or float32, clipped to [0, 1]
    profile : as in `SourceMetadata`

    Returns
    -------
    pixels : H x W x 3, RGB, sRGB-encoded, in [0, 1]
    alpha : H x W in [0, 1], or None
    out_of_gamut : as in `SourceMetadata`
    """
    colours = 1 if codes.shape[2] < 3 else 3
    if codes.dtype.kind == "f":
        codes = np.clip(codes, 0, 1)
    max_code = 1 if codes.dtype.kind == "f" else np.iinfo(codes.dtype).max
    # Division rounds correctly, so that every code is restored; multiplying by 1/255 does not.
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
    """Return the profile if it is usable for an image with this number of colour channels."""
    channels = 3 if profile is None else colour.channel_count(profile)
    if channels is None or channels < colours:
        warn(
            f"{where}: the embedded colour profile is broken or does not fit; "
            "it is left out and the colours are taken as sRGB"
        )
        return None
    return profile


def _is_lossless(webp: Bytes) -> bool:
    from burnish.photo.webp_metadata import is_lossless_webp

    return is_lossless_webp(webp)


def _format_name(image: pyvips.Image, format: Format) -> str:
    """Return the format's name; AVIF and HEIC share a container and differ by the codec."""
    if format.codec != "heif":
        return format.name
    return "avif" if get_field(image, "heif-compression") == "av1" else "heic"
