"""A picture file, opened but not decoded: what it is, how large, and whether burnish takes it."""

import errno
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips

from burnish.errors import PhotoError
from burnish.photo import cicp as codepoints
from burnish.photo.byte_view import Bytes, FileBytes
from burnish.photo.formats import READABLE, SEQUENCE_BRANDS, Format, sniff
from burnish.photo.source_metadata import Depth
from burnish.photo.tiff_tags import is_camera_raw

# The most pixels of a picture unless asked otherwise: 1 gigapixel, 12 GB as float32. A file of a
# few kilobytes can claim far more than any memory holds.
MAX_PIXELS = 1_000_000_000
# A picture of more pixels is edited on the disk if possible; see `photo.disk_photo`.
STREAMING_THRESHOLD = 50_000_000

# Sample kind -> depth and type.
SAMPLE_TYPES: dict[str, tuple[Depth, type[np.generic]]] = {
    "uchar": (8, np.uint8),
    "ushort": (16, np.uint16),
    "float": (32, np.float32),
}
_INTERPRETATIONS = {"b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband"}
# Bytes that tell every format from the others.
_SIGNATURE_BYTES = 32


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """A picture file that is known and taken, but not decoded.

    Parameters
    ----------
    where : what to call it in messages
    data : its bytes, to look things up in
    format : told from its first bytes
    image : what decodes it, from its first row to its last
    """

    where: str
    data: Bytes
    format: Format
    image: pyvips.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, once it is upright."""
        sideways = exif_orientation(self.image) >= 5
        width, height = self.image.width, self.image.height
        return (height, width) if sideways else (width, height)


def read_bytes(source: str | Path | bytes) -> tuple[str, bytes]:
    """Return what to call a source in messages, and its bytes; of no picture only the first.

    Raises
    ------
    PhotoError : a file that cannot be read
    """
    if isinstance(source, bytes):
        return "picture", source
    try:
        _reject_pipe(source)
        with Path(source).open("rb") as file:
            signature = file.read(_SIGNATURE_BYTES)
            return str(source), signature + file.read() if sniff(signature) else signature
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def image_size(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return a picture's width and height once it is upright; of a file only the header is read.

    Raises
    ------
    PhotoError : no picture, or one that burnish does not take
    """
    if isinstance(source, bytes):
        return open_image(*read_bytes(source), max_pixels).size
    with open_header(source, max_pixels) as header:
        return header.size


@contextmanager
def open_header(source: str | Path, max_pixels: int = MAX_PIXELS) -> Iterator[ImageHeader]:
    """Open a picture file while the block runs; no more of it is read than what is asked for.

    Raises
    ------
    PhotoError : no picture, or one that burnish does not take
    """
    with ExitStack() as files:
        try:
            _reject_pipe(source)
            # Opened twice, as each reader moves its own place in the file.
            file = files.enter_context(Path(source).open("rb"))
            stream = files.enter_context(Path(source).open("rb"))
            header = open_image(str(source), FileBytes(file), max_pixels, stream)
        except (OSError, ValueError) as error:
            raise _unreadable(source, error) from error
        yield header


def detect_format(head: bytes, where: str) -> Format:
    """Tell the format from a file's first bytes.

    Raises
    ------
    PhotoError : none that burnish reads
    """
    format = sniff(head)
    if format is None:
        raise PhotoError(
            where,
            expected=f"a picture ({READABLE})",
            got="an empty file" if not head else "something else",
            remedy="convert it to one of these formats first",
        )
    return format


def open_image(
    where: str, data: Bytes, max_pixels: int = MAX_PIXELS, stream: BinaryIO | None = None
) -> ImageHeader:
    """Open without decoding, and refuse what would be lost.

    Parameters
    ----------
    stream : a file to decode from, if not from `data`

    Raises
    ------
    PhotoError : no picture, a broken file, or a picture that burnish does not take
    """
    format = detect_format(bytes(data[:_SIGNATURE_BYTES]), where)
    try:
        image = pyvips.Operation.call(
            f"{format.codec}load_{'source' if stream else 'buffer'}",
            pyvips.Source.new_from_descriptor(stream.fileno()) if stream else data,
            access="sequential",
            # JPEG decoders only *warn* when they fill damaged parts with garbage; for the other
            # formats a warning is about an unknown tag or the like.
            fail_on="warning" if format.name == "jpeg" else "error",
        )
    except pyvips.Error as error:
        raise decode_error(format, where, error) from error
    _reject_unsupported(image, data, format, where, max_pixels)
    return ImageHeader(where, data, format, image)


def decode_error(format: Format, where: str, error: pyvips.Error) -> PhotoError:
    """Say in words what libvips says of a file.

    It keeps one text for the whole process, and pyvips wipes that whenever it looks up an operation
    as an image's method. So nothing that may run while a photo is opened calls one that way.
    """
    # Its last line but for a plain 'load error' is the reason.
    lines = [line.strip() for line in str(error.detail).splitlines()]
    reasons = [line for line in lines if line and not line.endswith("load error")]
    return PhotoError(
        where,
        expected=f"a whole {format.name} file",
        got=f"a broken or unsupported one ({reasons[-1] if reasons else 'no reason given'})",
        remedy="open it elsewhere and save it again, or fetch the original",
    )


def get_field(image: pyvips.Image, name: str) -> Any:
    """Return what the file says under this name, or None."""
    return image.get(name) if image.get_typeof(name) else None


def exif_orientation(image: pyvips.Image) -> int:
    """Return how the picture lies in its file, as EXIF counts: 1 is upright, 5 to 8 on its side."""
    return get_field(image, "orientation") or 1


def _reject_pipe(source: str | Path) -> None:
    if stat.S_ISFIFO(Path(source).stat().st_mode):
        raise OSError(errno.EINVAL, "a pipe")  # to open it would wait for its writer


def _unreadable(source: str | Path, error: OSError | ValueError) -> PhotoError:
    return PhotoError(
        str(source),
        expected="a picture file",
        got=(getattr(error, "strerror", None) or str(error)).lower(),
        remedy="check the path and its permissions",
    )


def _reject_unsupported(
    image: pyvips.Image, data: Bytes, format: Format, where: str, max_pixels: int
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
    elif (pages := _page_count(image, data, format)) != 1:
        expected = "one picture in the file"
        got = f"{pages or 'several'} pages or frames"
        remedy = "split it into single pictures first"
    elif (encoding := codepoints.hdr_encoding(data, format)) is not None:
        expected = "a picture of standard dynamic range"
        got = f"high dynamic range ({encoding})"
        remedy = "convert it to sRGB first"
    elif image.interpretation not in _INTERPRETATIONS or image.bands > 4:
        expected = "grey or RGB, with or without alpha"
        got = f"{image.interpretation} with {image.bands} channels"
        # Its separation into inks would be lost, and no RGB file is its equal in print.
        remedy = "convert it to RGB first, with the profile of your choice"
    elif image.format not in SAMPLE_TYPES:
        expected = "8- or 16-bit integers or 32-bit floats"
        got = f"samples of the kind {image.format}"
        remedy = "convert it to 16 bits a channel first"
    if expected:
        raise PhotoError(where, expected=expected, got=got, remedy=remedy)


def _page_count(image: pyvips.Image, data: Bytes, format: Format) -> int:
    """Count the pages; 0 is an animation of unknown length."""
    # Of these two libvips reads one frame without a word.
    animated_png = format.name == "png" and data.find(b"acTL", 0, data.find(b"IDAT")) >= 0
    animated_heif = format.codec == "heif" and data[8:12] in SEQUENCE_BRANDS
    if animated_png or animated_heif:
        return 0
    return get_field(image, "n-pages") or 1
