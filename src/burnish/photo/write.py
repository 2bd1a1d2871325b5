"""Encode float32 sRGB pixels, alpha and metadata as an image file."""

import errno
import io
import os
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError, join_and, warn
from burnish.photo import colour, header, jpeg_metadata, png_metadata
from burnish.photo.exif import byte_order, has_resolution_only
from burnish.photo.formats import FORMATS, Format, check_depth, suggest_formats, writable_format
from burnish.photo.header import SAMPLE_TYPES
from burnish.photo.metadata import (
    IPTC_RESOURCES,
    SourceMetadata,
    drop_resources,
    photoshop_with_iptc,
    unwrap_iptc,
    whole_xmp,
)
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
# libvips' flags for the metadata to write. With the EXIF flag, it writes an EXIF block of its own,
# which marks the place of the photo's block: libvips would write that anew and lose parts of it.
_KEEP_EXIF, _KEEP_XMP, _KEEP_PROFILE = 1, 2, 8
# Rows rounded at a time.
_STRIP_ROWS = 64
# Bytes of libvips' own metadata that the photo's replaces: PNG's chunk for the resolution.
_REPLACED_BYTES = {"png": 21}
# Bytes at the beginning of a file without metadata that surely hold the beginning of the pixels.
_HEAD_BYTES = 4096
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
    metadata, dropped = _drop_other_formats(metadata, target)
    start = _leading_metadata(image, metadata, target, dropped)
    image, options = _prepare(image, metadata, target, quality)
    # libvips writes at the file's position. The metadata is put into the gap afterwards.
    gap = max(0, len(start) - _REPLACED_BYTES.get(target.name, 0))
    file.write(bytes(gap))
    try:
        _save(image, target, options, file)
    except pyvips.Error as error:
        if os.strerror(errno.ENOSPC) in error.detail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        reason = " ".join(error.detail.split()[-12:])
        raise PhotoError(
            where,
            f"{target.name} cannot store {image.width} x {image.height} pixels ({reason})",
            suggest_formats([FORMATS["png"], FORMATS["tiff"]]),
        ) from error
    _add_metadata(file, metadata, target, gap, start, dropped)
    if dropped:
        names = join_and(list(dict.fromkeys(dropped)))
        warn(f"{where}: {names} cannot be kept in {target.name} and will be left out")


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


def _drop_other_formats(
    metadata: SourceMetadata, target: Format
) -> tuple[SourceMetadata, list[str]]:
    """Return the metadata that a format can hold, and the names of the rest."""
    dropped: list[str] = []
    if target.name != metadata.format:
        name_part = (
            png_metadata.name_chunk if metadata.format == "png" else jpeg_metadata.name_segment
        )
        comments: list[tuple[bytes, bytes]] = []
        for part in metadata.native:
            if (comment := _convert_comment(part, target)) is not None:
                comments.append(comment)
            elif name := name_part(*part):
                dropped.append(name)
        metadata = replace(metadata, native=tuple(comments))
    if target.name in ("webp", "avif"):
        xmp, xmp_dropped = whole_xmp(metadata)
        photoshop = photoshop_with_iptc(metadata) or b""
        if unwrap_iptc(photoshop):
            xmp_dropped.append("IPTC")
        if drop_resources(photoshop, IPTC_RESOURCES):
            xmp_dropped.append("Photoshop's image resources")
        metadata = replace(metadata, xmp=xmp, extended_xmp=None, photoshop=None, iptc=None)
        dropped += xmp_dropped
    if metadata.format == "tiff" != target.name and has_resolution_only(metadata.exif):
        metadata = replace(metadata, exif=None)
    return metadata, dropped


def _convert_comment(part: tuple[bytes, bytes], target: Format) -> tuple[bytes, bytes] | None:
    """Return a comment of a JPEG or GIF as a text of a PNG, or the reverse; None for all else."""
    kind, content = part
    if kind == jpeg_metadata.COM and target.name in ("jpeg", "png"):
        return png_metadata.pack_comment(content) if target.name == "png" else part
    comment = png_metadata.read_comment(kind, content) if target.name == "jpeg" else None
    if comment is None or len(comment) > jpeg_metadata.MAX_SEGMENT:
        return None
    return jpeg_metadata.COM, comment


def _leading_metadata(
    image: pyvips.Image, metadata: SourceMetadata, target: Format, dropped: list[str]
) -> bytes:
    """Return the metadata of a JPEG or PNG, which comes before the pixels."""
    bits = SAMPLE_TYPES[image.format][0]
    if target.name == "jpeg":
        start, names = jpeg_metadata.pack_metadata(metadata, image.bands)
    elif target.name == "png":
        start, names = png_metadata.pack_metadata(metadata, image.bands, bits)
    else:
        return b""
    dropped += names
    return start


def _add_metadata(
    file: BinaryIO,
    metadata: SourceMetadata,
    target: Format,
    gap: int,
    start: bytes,
    dropped: list[str],
) -> None:
    """Add metadata to a file that libvips has written behind a gap."""
    match target.name:
        case "jpeg" | "png":
            file.seek(gap)
            head = file.read(_HEAD_BYTES)
            module = jpeg_metadata if target.name == "jpeg" else png_metadata
            size, new_head = module.replace_head(head, start)
            _replace_start(file, gap + size, new_head)
        case "tiff":
            from burnish.photo.tiff_metadata import add_tags

            dropped += add_tags(file, metadata)
        case "webp":
            if metadata.exif or metadata.xmp:
                from burnish.photo.webp_metadata import replace_blocks

                replace_blocks(file, metadata.exif, metadata.xmp)
        case "avif":
            from burnish.photo.heif_metadata import replace_exif

            try:
                if metadata.exif:
                    replace_exif(file, metadata.exif)
            except ValueError:
                dropped.append("EXIF")


def _replace_start(file: BinaryIO, size: int, start: bytes) -> None:
    """Replace the first `size` bytes of a file."""
    rest = b""
    if size != len(start):
        file.seek(size)
        rest = file.read()
    file.seek(0)
    file.write(start + rest)
    if rest:
        file.truncate()


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


def _prepare(
    image: pyvips.Image, metadata: SourceMetadata, target: Format, quality: int | None
) -> tuple[pyvips.Image, dict[str, Any]]:
    """Return the image for libvips, and the options to save it with."""
    fields: dict[str, Any] = {"interpretation": _INTERPRETATIONS[image.format][image.bands >= 3]}
    if metadata.resolution is not None:
        fields |= {"xres": metadata.resolution[0], "yres": metadata.resolution[1]}
    options = _save_options(target, metadata, quality, image)
    image = pyvips.Operation.call("copy", image, **fields)
    swapped = target.name == "tiff" and byte_order(metadata.exif) == ">"
    if swapped and image.format != "uchar" and not options["bigtiff"]:
        # libvips writes in this machine's order, and the EXIF block determines the file's.
        image = pyvips.Operation.call("byteswap", image)
        options["predictor"] = "none"
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    keep = 0
    if metadata.profile is not None and target.name not in ("jpeg", "png"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", metadata.profile)
        keep |= _KEEP_PROFILE
    if metadata.xmp is not None and target.name == "avif":
        image.set_type(pyvips.GValue.blob_type, "xmp-data", metadata.xmp)
        keep |= _KEEP_XMP
    has_exif = metadata.exif is not None and target.name in ("webp", "avif")
    if has_exif or (metadata.xmp is not None and target.name == "webp"):
        keep |= _KEEP_EXIF
    return image, options | {"keep": keep}


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


def _save(
    image: pyvips.Image,
    target: Format,
    options: dict[str, Any],
    file: BinaryIO,
) -> None:
    if isinstance(file, io.BytesIO):
        file.write(pyvips.Operation.call(f"{target.codec}save_buffer", image, **options))
        return
    file.flush()
    output = pyvips.Target.new_to_descriptor(file.fileno())
    pyvips.Operation.call(f"{target.codec}save_target", image, output, **options)
