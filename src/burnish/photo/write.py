"""Float32 sRGB pixels, and all that travels beside them, back into a file's content."""

import struct
import warnings
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, UsageError
from burnish.photo import colour, png
from burnish.photo.exif import tiff_with_exif
from burnish.photo.formats import FORMATS, Format, check_depth, name_one_of, writable
from burnish.photo.iptc import tiff_with_iptc
from burnish.photo.origin import Origin
from burnish.photo.tags import BrokenTagsError

# Lossy files are written so well that the operator, not the codec, is what one sees.
QUALITY = 95

Pixels = NDArray[np.float32]

_TYPES: dict[int, type[np.generic]] = {8: np.uint8, 16: np.uint16, 32: np.float32}
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
    _check(alpha, target, quality, depth, where)
    _tell_what_stays_behind(origin, target, where)
    # A source of 32 bits goes into a format of at most 16 as 16.
    bits = depth or max(have for have in target.depths if have <= max(origin.depth, 8))
    image = _image(_device(pixels, origin), alpha, bits)
    image = _with_companions(image, origin, target)
    options = _options(target, origin, quality, bits, image)
    keep = _KEEP_OTHERS | (_KEEP_EXIF if origin.exif else 0)
    try:
        data: bytes = pyvips.Operation.call(
            f"{target.codec}save_buffer", image, keep=keep, **options
        )
    except pyvips.Error as error:
        raise PhotoError(
            where,
            expected=f"a picture that {target.name} can hold",
            got=f"{image.width} x {image.height}, refused: {' '.join(error.detail.split()[-12:])}",
            remedy=name_one_of([FORMATS["png"], FORMATS["tiff"]]),
        ) from error
    if target.name == "jpeg" and not origin.exif:
        return _jpeg_with_resolution(data, origin.resolution)
    if target.name == "png":
        return png.with_texts(data, origin.texts)
    return _tiff_with_tags(data, origin, where) if target.name == "tiff" else data


def _check(
    alpha: Pixels | None, target: Format, quality: int | None, depth: int | None, where: str
) -> None:
    if alpha is not None and not target.alpha:
        raise PhotoError(
            where,
            expected=f"a picture without transparency, as {target.name} has none",
            got="one with an alpha channel",
            remedy=name_one_of(other for other in FORMATS.values() if other.alpha and other.depths),
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
            warnings.warn(f"{where}: {block} is left out of the {target.name}", stacklevel=4)


def _device(pixels: Pixels, origin: Origin) -> Pixels:
    """Convert to the file's own values, H x W x channels."""
    device = pixels
    if origin.profile is not None and not colour.is_srgb(origin.profile):
        device = colour.from_srgb(pixels, origin.profile, origin.beyond)
    if origin.grey and device.shape[2] == 3:
        # In float64 the mean of three equal numbers is that number.
        device = device.mean(axis=2, dtype=np.float64, keepdims=True).astype(np.float32)
    return device


def _image(device: Pixels, alpha: Pixels | None, bits: int) -> pyvips.Image:
    height, width, colours = device.shape
    codes = np.empty((height, width, colours + (alpha is not None)), _TYPES[bits])
    _fill(codes[:, :, :colours], device, bits)
    if alpha is not None:
        _fill(codes[:, :, colours], alpha, bits)
    kinds = {8: ("b-w", "srgb"), 16: ("grey16", "rgb16"), 32: ("b-w", "scrgb")}
    return pyvips.Image.new_from_array(codes, interpretation=kinds[bits][colours == 3])


def _fill(codes: NDArray[Any], values: Pixels, bits: int) -> None:
    """Scale and round into `codes`, some rows at a time to spare a second float picture."""
    if bits == 32:
        codes[:] = values
        return
    for start in range(0, len(values), _ROWS):
        rows = slice(start, start + _ROWS)
        codes[rows] = np.rint(values[rows] * np.float32(2**bits - 1))


def _with_companions(image: pyvips.Image, origin: Origin, target: Format) -> pyvips.Image:
    image = image.copy(xres=origin.resolution[0], yres=origin.resolution[1])
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
    target: Format, origin: Origin, quality: int | None, bits: int, image: pyvips.Image
) -> dict[str, Any]:
    chosen = QUALITY if quality is None else quality
    match target.name:
        case "jpeg":
            # libvips has these two; anything between is written without loss of colour.
            mode = "on" if origin.subsampling == "4:2:0" else "off"
            return {"Q": chosen, "subsample_mode": mode, "optimize_coding": True}
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


def _tiff_with_tags(data: bytes, origin: Origin, where: str) -> bytes:
    try:
        if origin.exif:
            data = tiff_with_exif(data, origin.exif)
        if origin.iptc:
            data = tiff_with_iptc(data, origin.iptc)
    except BrokenTagsError as error:
        warnings.warn(f"{where}: EXIF or IPTC is left out of the TIFF ({error})", stacklevel=4)
    return data


def _jpeg_with_resolution(data: bytes, resolution: tuple[float, float]) -> bytes:
    """Write the header that libvips leaves out; where there is EXIF, that has the resolution."""
    across, down = (min(round(value * 25.4), 65535) for value in resolution)
    body = b"JFIF\0" + struct.pack(">BBBHHBB", 1, 2, 1, across, down, 0, 0)
    return data[:2] + struct.pack(">HH", 0xFFE0, len(body) + 2) + body + data[2:]
