"""Encode float32 sRGB pixels, alpha and metadata as an image file."""

import errno
import io
import os
import struct
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError, warn
from burnish.photo import colour, header
from burnish.photo.container import PNG_HEADER_BYTES, pack_chunks
from burnish.photo.formats import FORMATS, Format, check_depth, suggest_formats, writable_format
from burnish.photo.header import SAMPLE_TYPES
from burnish.photo.metadata import SourceMetadata, write_tiff_exif, write_tiff_iptc
from burnish.photo.tiff_tags import BrokenTagsError
from burnish.types import Pixels

# High enough that compression artefacts do not hide the operator's effect.
DEFAULT_QUALITY = 95

# Bits a channel -> NumPy type.
DTYPES: dict[int, type[np.generic]] = {8: np.uint8, 16: np.uint16, 32: np.float32}
# libvips' band format -> its interpretations for grey and RGB.
_INTERPRETATIONS = {
    "uchar": ("b-w", "srgb"),
    "ushort": ("grey16", "rgb16"),
    "float": ("b-w", "scrgb"),
}
# libvips' flags for the metadata to write. With the EXIF flag, it writes an EXIF block of its own
# if the image has none.
_KEEP_EXIF, _KEEP_OTHERS = 1, 2 | 4 | 8
# Rows rounded at a time.
_STRIP_ROWS = 64
# Limits of libvips: EXIF in all formats except TIFF, where burnish writes it; and XMP in JPEG.
_MAX_EXIF_BYTES, _MAX_XMP_BYTES = 65_300, 60_000
# Pixel bytes that fit into a classic TIFF of 4 GiB, with room for the tags.
_CLASSIC_TIFF_BYTES = 2**32 - 2**24


def encode(
    pixels: Pixels,
    alpha: Pixels | None,
    metadata: SourceMetadata,
    format: str,
    *,
    quality: int | None,
    depth: int | None,
    where: str = "image",
) -> bytes:
    """Encode a photo as the content of a file; `Photo.encode` describes the arguments."""
    target = writable_format(format, where)
    size = pixels.shape[1], pixels.shape[0]
    check_format(size, target, quality, depth, where, alpha=alpha is not None)
    codes = to_codes(pixels, alpha, metadata, bits_per_channel(metadata, target, depth))
    with io.BytesIO() as file:
        image = pyvips.Image.new_from_array(codes)
        write_image(image, metadata, target, file, quality, where)
        return file.getvalue()


def bits_per_channel(metadata: SourceMetadata, target: Format, depth: int | None) -> int:
    """Return `depth` [default: the format's largest one that does not exceed the source's]."""
    return depth or max(bits for bits in target.depths if bits <= max(metadata.depth, 8))


def to_codes(
    pixels: Pixels, alpha: Pixels | None, metadata: SourceMetadata, bits: int
) -> NDArray[Any]:
    """Convert an image, or a part of it, to the codes that are stored.

    Parameters
    ----------
    pixels, alpha : as in `Photo`
    metadata : with the `out_of_gamut` of the same part

    Returns
    -------
    H x W x bands, alpha last: uint8, uint16 or float32
    """
    device = _to_device(pixels, metadata)
    height, width, colours = device.shape
    codes = np.empty((height, width, colours + (alpha is not None)), DTYPES[bits])
    _quantise_into(codes[:, :, :colours], device, bits)
    if alpha is not None:
        _quantise_into(codes[:, :, colours], alpha, bits)
    return codes


def write_image(
    image: pyvips.Image,
    metadata: SourceMetadata,
    target: Format,
    file: BinaryIO,
    quality: int | None,
    where: str,
) -> None:
    """Write codes and metadata as an image file.

    Parameters
    ----------
    image : the codes without metadata; read sequentially
    file : empty, open for reading and writing: in memory, or with a descriptor for libvips

    Raises
    ------
    PhotoError : the format cannot store the image
    OSError : the disk is full
    """
    _warn_dropped_metadata(metadata, target, where)
    image = _attach_metadata(image, metadata, target)
    insert_at, extra = _extra_header(target, metadata)
    # libvips writes at the file's position. The extra bytes are inserted into the gap afterwards.
    file.write(bytes(len(extra)))
    try:
        _save(image, target, _save_options(target, metadata, quality, image), metadata, file)
    except pyvips.Error as error:
        if os.strerror(errno.ENOSPC) in error.detail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        reason = " ".join(error.detail.split()[-12:])
        raise PhotoError(
            where,
            f"{target.name} cannot store {image.width} x {image.height} pixels ({reason})",
            suggest_formats([FORMATS["png"], FORMATS["tiff"]]),
        ) from error
    if extra:
        file.seek(len(extra))
        start = file.read(insert_at)
        file.seek(0)
        file.write(start + extra)
    if target.name == "tiff":
        _write_tiff_metadata(file, metadata, where)


def check_format(
    size: tuple[int, int],
    target: Format,
    quality: int | None,
    depth: int | None,
    where: str,
    *,
    alpha: bool,
) -> None:
    """Check that a format can store an image.

    Parameters
    ----------
    size : width and height

    Raises
    ------
    PhotoError, UsageError : as for `Photo.encode`
    """
    if alpha and not target.alpha:
        others = (other for other in FORMATS.values() if other.alpha and other.depths)
        problem = f"{target.name} cannot store the photo's transparency"
        raise PhotoError(where, problem, suggest_formats(others))
    if max(size) > target.max_side:
        raise PhotoError(
            where,
            expected=f"at most {target.max_side} pixels a side in {target.name}",
            got=f"{size[0]} x {size[1]}",
            remedy=suggest_formats([FORMATS["png"], FORMATS["tiff"]]),
        )
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(
            "quality",
            expected="1 to 100",
            got=f"{quality}",
            remedy=f"choose a value in the range [default: {DEFAULT_QUALITY}]",
        )
    check_depth(target, depth, where)


def _warn_dropped_metadata(metadata: SourceMetadata, target: Format, where: str) -> None:
    exif_size, xmp_size = len(metadata.exif or b""), len(metadata.xmp or b"")
    dropped = {
        "a text such as title or comment": metadata.texts and target.name != "png",
        "IPTC": metadata.iptc and target.name not in ("jpeg", "tiff"),
        "XMP": xmp_size > _MAX_XMP_BYTES and target.name == "jpeg",
        "EXIF, or part of it,": exif_size > _MAX_EXIF_BYTES and target.name != "tiff",
    }
    for label, is_dropped in dropped.items():
        if is_dropped:
            warn(f"{where}: {label} is left out of the {target.name}")


def _to_device(pixels: Pixels, metadata: SourceMetadata) -> Pixels:
    """Convert to the file's own values, H x W x channels."""
    device = pixels
    if metadata.profile is not None and not colour.is_srgb(metadata.profile):
        device = colour.from_srgb(pixels, metadata.profile, metadata.out_of_gamut)
    if metadata.grey and device.shape[2] == 3:
        # In float64 the mean of three equal float32 values is exact.
        device = device.mean(axis=2, dtype=np.float64, keepdims=True).astype(np.float32)
    return device


def _quantise_into(codes: NDArray[Any], values: Pixels, bits: int) -> None:
    """Scale and round into `codes`, in strips, to avoid a second float image."""
    if bits == 32:
        codes[:] = values
        return
    for start in range(0, len(values), _STRIP_ROWS):
        rows = slice(start, start + _STRIP_ROWS)
        codes[rows] = np.rint(values[rows] * np.float32(2**bits - 1))


def _attach_metadata(image: pyvips.Image, metadata: SourceMetadata, target: Format) -> pyvips.Image:
    image = pyvips.Operation.call(
        "copy",
        image,
        interpretation=_INTERPRETATIONS[image.format][image.bands >= 3],
        xres=metadata.resolution[0],
        yres=metadata.resolution[1],
    )
    blobs = {
        "icc-profile-data": metadata.profile,
        "exif-data": metadata.exif,
        "xmp-data": metadata.xmp,
        # libvips writes only a quarter of the IPTC block into a TIFF.
        "iptc-data": metadata.iptc if target.name != "tiff" else None,
    }
    for name, blob in blobs.items():
        if blob is not None:
            image.set_type(pyvips.GValue.blob_type, name, blob)
    return image


def _save_options(
    target: Format, metadata: SourceMetadata, quality: int | None, image: pyvips.Image
) -> dict[str, Any]:
    bits = SAMPLE_TYPES[image.format][0]
    effective_quality = DEFAULT_QUALITY if quality is None else quality
    match target.name:
        case "jpeg":
            # libvips writes 4:2:0 or 4:4:4. All other sources get 4:4:4, which loses no colour.
            mode = "on" if metadata.subsampling == "4:2:0" else "off"
            # Saves a few percent, but holds the whole image in memory at several bytes a pixel.
            optimize = image.width * image.height <= header.STREAMING_THRESHOLD
            return {"Q": effective_quality, "subsample_mode": mode, "optimize_coding": optimize}
        case "webp":
            return {
                "Q": effective_quality,
                "lossless": metadata.lossless and quality is None,
                "exact": True,  # keeps the colour of transparent pixels
                "smart_subsample": True,
            }
        case "avif":
            depth = 8 if bits == 8 else 12
            return {"Q": effective_quality, "compression": "av1", "bitdepth": depth}
        case "png":
            return {"bitdepth": bits, "filter": "all"}
        case _:
            size = image.width * image.height * image.bands * bits // 8
            return {
                "compression": "deflate",
                # Few programs read the predictor for floats.
                "predictor": "none" if bits == 32 else "horizontal",
                "bigtiff": size > _CLASSIC_TIFF_BYTES,
            }


def _extra_header(target: Format, metadata: SourceMetadata) -> tuple[int, bytes]:
    """Return bytes that libvips leaves out of a file's beginning, and their position in it."""
    if target.name == "png":
        return PNG_HEADER_BYTES, pack_chunks(metadata.texts)
    if target.name == "jpeg" and not metadata.exif:  # EXIF would contain the resolution.
        x_dpi, y_dpi = (min(round(value * 25.4), 65535) for value in metadata.resolution)
        body = b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, 1, x_dpi, y_dpi, 0, 0)
        return 2, struct.pack(">HH", 0xFFE0, len(body) + 2) + body
    return 0, b""


def _save(
    image: pyvips.Image,
    target: Format,
    options: dict[str, Any],
    metadata: SourceMetadata,
    file: BinaryIO,
) -> None:
    options["keep"] = _KEEP_OTHERS | (_KEEP_EXIF if metadata.exif else 0)
    if isinstance(file, io.BytesIO):
        file.write(pyvips.Operation.call(f"{target.codec}save_buffer", image, **options))
        return
    file.flush()
    output = pyvips.Target.new_to_descriptor(file.fileno())
    pyvips.Operation.call(f"{target.codec}save_target", image, output, **options)


def _write_tiff_metadata(file: BinaryIO, metadata: SourceMetadata, where: str) -> None:
    try:
        if metadata.exif:
            write_tiff_exif(file, metadata.exif)
        if metadata.iptc:
            write_tiff_iptc(file, metadata.iptc)
    except BrokenTagsError as error:
        warn(f"{where}: EXIF or IPTC is left out of the TIFF ({error})")
