"""Any picture file to float32 sRGB pixels, and all that travels beside them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish import photo_colour, photo_exif, photo_iptc, photo_tags
from burnish.errors import PhotoError
from burnish.photo_formats import READABLE, SEQUENCES, Format, sniff
from burnish.photo_origin import Depth, Origin

# The most pixels of a picture unless asked otherwise: 1 gigapixel, 12 GB as float32. A file of a
# few kilobytes can claim far more than any memory holds.
MAX_PIXELS = 1_000_000_000

Pixels = NDArray[np.float32]

# Sample kind -> depth, type, and the number that stands for 1.
_DEPTHS: dict[str, tuple[Depth, type[np.generic], int]] = {
    "uchar": (8, np.uint8, 255),
    "ushort": (16, np.uint16, 65535),
    "float": (32, np.float32, 1),
}
_COLOURS = {"b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband"}


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
    where, data = _content(source)
    format = sniff(data)
    if format is None:
        raise PhotoError(
            where,
            expected=f"a picture ({READABLE})",
            got="an empty file" if not data else "something else",
            remedy="convert it to one of these formats first",
        )
    try:
        image = _header(data, format)
        _refuse_what_would_be_lost(image, data, format, where, max_pixels)
        codes = _codes(image)
    except pyvips.Error as error:
        raise PhotoError(
            where,
            expected=f"a whole {format.name} file",
            got=f"a broken or unsupported one ({_last_words(error)})",
            remedy="open it elsewhere and save it again, or fetch the original",
        ) from error
    device, alpha = _scaled(codes, _DEPTHS[image.format][2], where)
    pixels, profile, beyond = _in_srgb(device, _field(image, "icc-profile-data"), where)
    origin = Origin(
        format=_codec(image, format),
        depth=_DEPTHS[image.format][0],
        grey=image.bands < 3,
        profile=profile,
        beyond=beyond,
        **_metadata(image, data, format, where),
        subsampling=_subsampling(data) if format.name == "jpeg" else None,
        lossless=format.name == "webp" and _is_lossless_webp(data),
    )
    for array in (pixels, alpha):
        if array is not None:
            array.flags.writeable = False
    return pixels, alpha, origin


def _content(source: str | Path | bytes) -> tuple[str, bytes]:
    """Return what to call it in a message, and its bytes; of a stranger only the first."""
    if isinstance(source, bytes):
        return "picture", source
    path = Path(source)
    try:
        with path.open("rb") as file:
            head = file.read(32)
            return str(path), head + file.read() if sniff(head) else head
    except (OSError, ValueError) as error:
        raise PhotoError(
            str(path),
            expected="a picture file",
            got=(getattr(error, "strerror", None) or str(error)).lower(),
            remedy="check the path and its permissions",
        ) from error


def _header(data: bytes, format: Format) -> pyvips.Image:
    """Open without decoding.

    JPEG decoders only *warn* when they fill damaged parts with garbage; for the other formats a
    warning is about an unknown tag or the like.
    """
    return pyvips.Operation.call(
        format.loader,
        data,
        access="sequential",
        fail_on="warning" if format.name == "jpeg" else "error",
    )


def _refuse_what_would_be_lost(
    image: pyvips.Image, data: bytes, format: Format, where: str, max_pixels: int
) -> None:
    expected = got = remedy = ""
    if image.width * image.height > max_pixels:
        expected = f"at most {max_pixels:,} pixels"
        got = f"{image.width} x {image.height}"
        remedy = "raise the limit (max_pixels) if you trust the file"
    elif format.name == "tiff" and photo_tags.is_camera_raw(data):
        expected = "a finished picture"
        got = "a camera's raw file, or a TIFF that starts with a preview"
        remedy = "develop or convert it to a plain TIFF first"
    elif (pages := _pages(image, data, format)) != 1:
        expected = "one picture in the file"
        got = f"{pages or 'several'} pages or frames"
        remedy = "split it into single pictures first"
    elif image.interpretation not in _COLOURS or image.bands > 4:
        expected = "grey or RGB, with or without alpha"
        got = f"{image.interpretation} with {image.bands} channels"
        # Its separation into inks would be lost, and no RGB file is its equal in print.
        remedy = "convert it to RGB first, with the profile of your choice"
    elif image.format not in _DEPTHS:
        expected = "8- or 16-bit integers or 32-bit floats"
        got = f"samples of the kind {image.format}"
        remedy = "convert it to 16 bits a channel first"
    if expected:
        raise PhotoError(where, expected=expected, got=got, remedy=remedy)


def _pages(image: pyvips.Image, data: bytes, format: Format) -> int:
    """Count the pages; 0 is an animation of unknown length."""
    # Of these two libvips reads one frame without a word.
    animated_png = format.name == "png" and data.find(b"acTL", 0, data.find(b"IDAT")) >= 0
    animated_heif = format.loader == "heifload_buffer" and data[8:12] in SEQUENCES
    if animated_png or animated_heif:
        return 0
    return _field(image, "n-pages") or 1


def _codes(image: pyvips.Image) -> NDArray[Any]:
    """Decode to H x W x bands as stored, turned upright."""
    flat = np.frombuffer(image.write_to_memory(), _DEPTHS[image.format][1])
    stored = flat.reshape(image.height, image.width, image.bands)
    orientation = _field(image, "orientation") or 1
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    if orientation in (2, 3, 6, 7):
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
    count = 3 if profile is None else photo_colour.channels(profile)
    if count is None or count < device.shape[2]:
        warnings.warn(
            f"{where}: the embedded colour profile is broken or does not fit; "
            "it is left out and the colours are taken as sRGB",
            stacklevel=4,
        )
        profile, count = None, 3
    if device.shape[2] < count:
        device = np.repeat(device, 3, axis=2)
    if profile is None or photo_colour.is_srgb(profile):
        return device, profile, None
    pixels, beyond = photo_colour.to_srgb(device, profile)
    return pixels, profile, beyond


def _metadata(image: pyvips.Image, data: bytes, format: Format, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        if format.name == "tiff":
            exif = photo_exif.exif_of_tiff(data)
            found["iptc"] = photo_iptc.iptc_of_tiff(data)
        else:
            exif = _field(image, "exif-data")
            found["iptc"] = _field(image, "iptc-data")
        found["exif"] = photo_exif.upright(exif) if exif else None
    except photo_tags.BrokenTagsError as error:
        warnings.warn(f"{where}: unreadable EXIF is left out ({error})", stacklevel=4)
    if xmp := _field(image, "xmp-data"):
        found["xmp"] = photo_exif.upright_xmp(xmp)
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
    if format.loader != "heifload_buffer":
        return format.name
    return "avif" if _field(image, "heif-compression") == "av1" else "heic"


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


def _field(image: pyvips.Image, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _last_words(error: pyvips.Error) -> str:
    """Pick the reason out of libvips' message: its last line but for a plain 'load error'."""
    lines = [line.strip() for line in str(error.detail).splitlines()]
    telling = [line for line in lines if line and not line.endswith("load error")]
    return telling[-1] if telling else "no reason given"
