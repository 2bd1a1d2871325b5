"""A picture file, opened but not decoded: what it is, how large, and whether burnish takes it."""

import errno
import stat
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from burnish.errors import PhotoError
from burnish.photo import codepoints
from burnish.photo.formats import READABLE, SEQUENCES, Format, sniff
from burnish.photo.origin import Depth
from burnish.photo.tags import Block, is_camera_raw

# The most pixels of a picture unless asked otherwise: 1 gigapixel, 12 GB as float32. A file of a
# few kilobytes can claim far more than any memory holds.
MAX_PIXELS = 1_000_000_000

# Sample kind -> depth, type, and the number that stands for 1.
SAMPLES: dict[str, tuple[Depth, type[np.generic], int]] = {
    "uchar": (8, np.uint8, 255),
    "ushort": (16, np.uint16, 65535),
    "float": (32, np.float32, 1),
}
_COLOURS = {"b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband"}
# Bytes that tell every format from the others.
_HEAD = 32


def content(source: str | Path | bytes) -> tuple[str, bytes]:
    """Return what to call a source in messages, and its bytes; of no picture only the first.

    Raises
    ------
    PhotoError : a file that cannot be read
    """
    if isinstance(source, bytes):
        return "picture", source
    try:
        if stat.S_ISFIFO(Path(source).stat().st_mode):
            raise OSError(errno.EINVAL, "a pipe")  # to open it would wait for its writer
        with Path(source).open("rb") as file:
            head = file.read(_HEAD)
            return str(source), head + file.read() if sniff(head) else head
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def size(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return a picture's width and height once it is upright; of a file only the header is read.

    Raises
    ------
    PhotoError : no picture, or one that burnish does not take
    """
    if isinstance(source, bytes):
        where, data = content(source)
        return _upright_size(opened(data, known(data, where), where, max_pixels))
    where = str(source)
    try:
        with Path(source).open("rb") as file:
            format = known(file.read(_HEAD), where)
            with mmap(file.fileno(), 0, access=ACCESS_READ) as view:
                stream = pyvips.Source.new_from_descriptor(file.fileno())
                return _upright_size(opened(view, format, where, max_pixels, stream))
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def known(data: bytes, where: str) -> Format:
    """Tell the format from a file's first bytes.

    Raises
    ------
    PhotoError : none that burnish reads
    """
    format = sniff(data)
    if format is None:
        raise PhotoError(
            where,
            expected=f"a picture ({READABLE})",
            got="an empty file" if not data else "something else",
            remedy="convert it to one of these formats first",
        )
    return format


def opened(
    data: Block,
    format: Format,
    where: str,
    max_pixels: int,
    stream: pyvips.Source | None = None,
) -> pyvips.Image:
    """Open without decoding, and refuse what would be lost.

    Parameters
    ----------
    stream : where libvips reads from, if not from `data`

    Raises
    ------
    PhotoError : a broken file, or a picture that burnish does not take
    """
    try:
        image = pyvips.Operation.call(
            f"{format.codec}load_{'source' if stream else 'buffer'}",
            stream or data,
            access="sequential",
            # JPEG decoders only *warn* when they fill damaged parts with garbage; for the other
            # formats a warning is about an unknown tag or the like.
            fail_on="warning" if format.name == "jpeg" else "error",
        )
    except pyvips.Error as error:
        raise broken(format, where, error) from error
    _refuse_what_would_be_lost(image, data, format, where, max_pixels)
    return image


def broken(format: Format, where: str, error: pyvips.Error) -> PhotoError:
    """Say in words what libvips says of a file."""
    # Its last line but for a plain 'load error' is the reason.
    lines = [line.strip() for line in str(error.detail).splitlines()]
    telling = [line for line in lines if line and not line.endswith("load error")]
    return PhotoError(
        where,
        expected=f"a whole {format.name} file",
        got=f"a broken or unsupported one ({telling[-1] if telling else 'no reason given'})",
        remedy="open it elsewhere and save it again, or fetch the original",
    )


def field(image: pyvips.Image, name: str) -> Any:
    """Return what the file says under this name, or None."""
    return image.get(name) if image.get_typeof(name) else None


def orientation(image: pyvips.Image) -> int:
    """Return how the picture lies in its file, as EXIF counts: 1 is upright, 5 to 8 on its side."""
    return field(image, "orientation") or 1


def _upright_size(image: pyvips.Image) -> tuple[int, int]:
    on_its_side = orientation(image) >= 5
    return (image.height, image.width) if on_its_side else (image.width, image.height)


def _unreadable(source: str | Path, error: OSError | ValueError) -> PhotoError:
    return PhotoError(
        str(source),
        expected="a picture file",
        got=(getattr(error, "strerror", None) or str(error)).lower(),
        remedy="check the path and its permissions",
    )


def _refuse_what_would_be_lost(
    image: pyvips.Image, data: Block, format: Format, where: str, max_pixels: int
) -> None:
    expected = got = remedy = ""
    if image.width * image.height > max_pixels:
        expected = f"at most {max_pixels:,} pixels"
        got = f"{image.width} x {image.height}"
        remedy = "scale it down first, or in Python: Photo.open(..., max_pixels=...)"
    elif format.name == "tiff" and is_camera_raw(data):
        expected = "a finished picture"
        got = "a camera's raw file, or a TIFF that starts with a preview"
        remedy = "develop or convert it to a plain TIFF first"
    elif (pages := _pages(image, data, format)) != 1:
        expected = "one picture in the file"
        got = f"{pages or 'several'} pages or frames"
        remedy = "split it into single pictures first"
    elif (encoding := codepoints.hdr(data, format)) is not None:
        expected = "a picture of standard dynamic range"
        got = f"high dynamic range ({encoding})"
        remedy = "convert it to sRGB first"
    elif image.interpretation not in _COLOURS or image.bands > 4:
        expected = "grey or RGB, with or without alpha"
        got = f"{image.interpretation} with {image.bands} channels"
        # Its separation into inks would be lost, and no RGB file is its equal in print.
        remedy = "convert it to RGB first, with the profile of your choice"
    elif image.format not in SAMPLES:
        expected = "8- or 16-bit integers or 32-bit floats"
        got = f"samples of the kind {image.format}"
        remedy = "convert it to 16 bits a channel first"
    if expected:
        raise PhotoError(where, expected=expected, got=got, remedy=remedy)


def _pages(image: pyvips.Image, data: Block, format: Format) -> int:
    """Count the pages; 0 is an animation of unknown length."""
    # Of these two libvips reads one frame without a word.
    animated_png = format.name == "png" and data.find(b"acTL", 0, data.find(b"IDAT")) >= 0
    animated_heif = format.codec == "heif" and data[8:12] in SEQUENCES
    if animated_png or animated_heif:
        return 0
    return field(image, "n-pages") or 1
