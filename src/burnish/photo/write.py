"""Float32 sRGB pixels, and all that travels beside them, back into a file's content."""

import errno
import io
import os
import struct
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError, warn
from burnish.photo import colour, header, png
from burnish.photo.exif import exif_into_tiff
from burnish.photo.formats import FORMATS, Format, check_depth, name_one_of, writable
from burnish.photo.header import SAMPLES
from burnish.photo.iptc import iptc_into_tiff
from burnish.photo.source_metadata import Origin
from burnish.photo.tiff_tags import BrokenTagsError
from burnish.types import Pixels

# Lossy files are written so well that the operator, not the codec, is what one sees.
QUALITY = 95


# Bits a channel -> type.
TYPES: dict[int, type[np.generic]] = {8: np.uint8, 16: np.uint16, 32: np.float32}
# Sample kind -> how libvips calls grey and RGB pictures of it.
_KINDS = {"uchar": ("b-w", "srgb"), "ushort": ("grey16", "rgb16"), "float": ("b-w", "scrgb")}
# libvips' flags of what to write; without EXIF of the source's it would make up an empty one.
_KEEP_EXIF, _KEEP_OTHERS = 1, 2 | 4 | 8
# Rows rounded at a time.
_ROWS = 64
# What libvips writes: EXIF of nearly 64 KiB with some entries of its own, in any format but TIFF,
# where it is ours to write; XMP of this length into a JPEG.
_LONGEST_EXIF, _LONGEST_XMP = 65_300, 60_000
# Classic TIFF addresses 4 GiB; some is left for the tags.
_CLASSIC_TIFF = 2**32 - 2**24


def encode(
    pixels: Pixels,
    alpha: Pixels | None,
    origin: Origin,
    format: str,
    *,
    quality: int | None,
    depth: int | None,
    where: str = "picture",
) -> bytes:
    """Encode a photo as a file's content; `Photo.encode` tells what the arguments mean."""
    target = writable(format, where)
    size = pixels.shape[1], pixels.shape[0]
    check(size, target, quality, depth, where, alpha=alpha is not None)
    codes = coded(pixels, alpha, origin, bits_of(origin, target, depth))
    with io.BytesIO() as file:
        put(pyvips.Image.new_from_array(codes), origin, target, file, quality, where)
        return file.getvalue()


def bits_of(origin: Origin, target: Format, depth: int | None) -> int:
    """Return the bits a channel that a photo is written with where `depth` is asked for."""
    # A source of 32 bits goes into a format of at most 16 as 16.
    return depth or max(have for have in target.depths if have <= max(origin.depth, 8))


def coded(pixels: Pixels, alpha: Pixels | None, origin: Origin, bits: int) -> NDArray[Any]:
    """Convert a whole picture, or a part of it, to the codes that are stored.

    Parameters
    ----------
    pixels, alpha : as in `Photo`
    origin : its `beyond` is that of the same part

    Returns
    -------
    H x W x bands, alpha last: uint8, uint16 or float32
    """
    device = _device(pixels, origin)
    height, width, colours = device.shape
    codes = np.empty((height, width, colours + (alpha is not None)), TYPES[bits])
    _fill(codes[:, :, :colours], device, bits)
    if alpha is not None:
        _fill(codes[:, :, colours], alpha, bits)
    return codes


def put(
    image: pyvips.Image,
    origin: Origin,
    target: Format,
    file: BinaryIO,
    quality: int | None,
    where: str,
) -> None:
    """Write codes, and all that belongs to them, as a picture file.

    Parameters
    ----------
    image : of nothing but codes; taken from its first row to its last
    file : empty, open for reading and writing: in memory, or a file that libvips writes to itself

    Raises
    ------
    PhotoError : the format does not hold the picture
    OSError : the disk is full
    """
    _tell_what_stays_behind(origin, target, where)
    image = _with_companions(image, origin, target)
    at, between = _between(target, origin)
    # libvips writes from where the file stands: room is left for what comes after the first bytes.
    file.write(bytes(len(between)))
    try:
        _save(image, target, _options(target, origin, quality, image), origin, file)
    except pyvips.Error as error:
        if os.strerror(errno.ENOSPC) in error.detail:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise PhotoError(
            where,
            expected=f"a picture that {target.name} can hold",
            got=f"{image.width} x {image.height}, refused: {' '.join(error.detail.split()[-12:])}",
            remedy=name_one_of([FORMATS["png"], FORMATS["tiff"]]),
        ) from error
    if between:
        file.seek(len(between))
        first = file.read(at)
        file.seek(0)
        file.write(first + between)
    if target.name == "tiff":
        _tags_into_tiff(file, origin, where)


def check(
    size: tuple[int, int],
    target: Format,
    quality: int | None,
    depth: int | None,
    where: str,
    *,
    alpha: bool,
) -> None:
    """Refuse a picture that a format cannot hold.

    Parameters
    ----------
    size : width and height

    Raises
    ------
    PhotoError, UsageError : see `Photo.encode`
    """
    if alpha and not target.alpha:
        raise PhotoError(
            where,
            expected=f"a picture without transparency, as {target.name} has none",
            got="one with an alpha channel",
            remedy=name_one_of(other for other in FORMATS.values() if other.alpha and other.depths),
        )
    if max(size) > target.side:
        raise PhotoError(
            where,
            expected=f"at most {target.side} pixels a side, the most of {target.name}",
            got=f"{size[0]} x {size[1]}",
            remedy=name_one_of([FORMATS["png"], FORMATS["tiff"]]),
        )
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(
            "quality", expected="1 to 100", got=f"{quality}", remedy="95 is the default"
        )
    check_depth(target, depth, where)


def _tell_what_stays_behind(origin: Origin, target: Format, where: str) -> None:
    left_out = {
        "a text such as title or comment": origin.texts and target.name != "png",
        "IPTC": origin.iptc and target.name not in ("jpeg", "tiff"),
        "XMP": len(origin.xmp or b"") > _LONGEST_XMP and target.name == "jpeg",
        "EXIF, or part of it,": len(origin.exif or b"") > _LONGEST_EXIF and target.name != "tiff",
    }
    for block, behind in left_out.items():
        if behind:
            warn(f"{where}: {block} is left out of the {target.name}")


def _device(pixels: Pixels, origin: Origin) -> Pixels:
    """Convert to the file's own values, H x W x channels."""
    device = pixels
    if origin.profile is not None and not colour.is_srgb(origin.profile):
        device = colour.from_srgb(pixels, origin.profile, origin.beyond)
    if origin.grey and device.shape[2] == 3:
        # In float64 the mean of three equal numbers is that number.
        device = device.mean(axis=2, dtype=np.float64, keepdims=True).astype(np.float32)
    return device


def _fill(codes: NDArray[Any], values: Pixels, bits: int) -> None:
    """Scale and round into `codes`, some rows at a time to spare a second float picture."""
    if bits == 32:
        codes[:] = values
        return
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        codes[rows] = np.rint(values[rows] * np.float32(2**bits - 1))


def _with_companions(image: pyvips.Image, origin: Origin, target: Format) -> pyvips.Image:
    colours = 3 if image.bands >= 3 else 1
    image = pyvips.Operation.call(
        "copy",
        image,
        interpretation=_KINDS[image.format][colours == 3],
        xres=origin.resolution[0],
        yres=origin.resolution[1],
    )
    blobs = {
        "icc-profile-data": origin.profile,
        "exif-data": origin.exif,
        "xmp-data": origin.xmp,
        # libvips writes a quarter of it into a TIFF.
        "iptc-data": origin.iptc if target.name != "tiff" else None,
    }
    for name, blob in blobs.items():
        if blob is not None:
            image.set_type(pyvips.GValue.blob_type, name, blob)
    return image


def _options(
    target: Format, origin: Origin, quality: int | None, image: pyvips.Image
) -> dict[str, Any]:
    bits = SAMPLES[image.format][0]
    chosen = QUALITY if quality is None else quality
    match target.name:
        case "jpeg":
            # libvips has these two; anything between is written without loss of colour.
            mode = "on" if origin.subsampling == "4:2:0" else "off"
            # Some hundredths smaller, but all of it in memory, several bytes a pixel.
            optimize = image.width * image.height <= header.HUGE
            return {"Q": chosen, "subsample_mode": mode, "optimize_coding": optimize}
        case "webp":
            lossless = origin.lossless and quality is None
            # exact: the colour under full transparency stays.
            return {"Q": chosen, "lossless": lossless, "exact": True, "smart_subsample": True}
        case "avif":
            return {"Q": chosen, "compression": "av1", "bitdepth": 8 if bits == 8 else 12}
        case "png":
            return {"bitdepth": bits, "filter": "all"}
        case _:
            size = image.width * image.height * image.bands * bits // 8
            return {
                "compression": "deflate",
                # A predictor for floats exists, but few programs read it.
                "predictor": "none" if bits == 32 else "horizontal",
                "bigtiff": size > _CLASSIC_TIFF,
            }


def _between(target: Format, origin: Origin) -> tuple[int, bytes]:
    """Return what libvips leaves out near a file's beginning, and after how many bytes it goes."""
    if target.name == "png":
        return png.HEADER, png.packed(origin.texts)
    if target.name == "jpeg" and not origin.exif:  # Where there is EXIF, that has the resolution.
        across, down = (min(round(value * 25.4), 65535) for value in origin.resolution)
        body = b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, 1, across, down, 0, 0)
        return 2, struct.pack(">HH", 0xFFE0, len(body) + 2) + body
    return 0, b""


def _save(
    image: pyvips.Image, target: Format, options: dict[str, Any], origin: Origin, file: BinaryIO
) -> None:
    options["keep"] = _KEEP_OTHERS | (_KEEP_EXIF if origin.exif else 0)
    if isinstance(file, io.BytesIO):
        file.write(pyvips.Operation.call(f"{target.codec}save_buffer", image, **options))
        return
    file.flush()
    to = pyvips.Target.new_to_descriptor(file.fileno())
    pyvips.Operation.call(f"{target.codec}save_target", image, to, **options)


def _tags_into_tiff(file: BinaryIO, origin: Origin, where: str) -> None:
    try:
        if origin.exif:
            exif_into_tiff(file, origin.exif)
        if origin.iptc:
            iptc_into_tiff(file, origin.iptc)
    except BrokenTagsError as error:
        warn(f"{where}: EXIF or IPTC is left out of the TIFF ({error})")
