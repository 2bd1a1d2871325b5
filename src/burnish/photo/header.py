"""Open an image file without decoding it: its format, its size, and whether burnish accepts it."""

import errno
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import pyvips

from burnish.errors import PhotoError, join_or, read_error, warn
from burnish.photo.blocks import get_field, stored_orientation
from burnish.photo.container import Bytes, FileBytes, hdr_encoding, is_animation
from burnish.photo.formats import FORMATS, READABLE, Format, has_raw_extension, sniff
from burnish.photo.metadata import Depth
from burnish.photo.tiff_tags import is_camera_raw, parse_header

# Default limit: 1 gigapixel, 12 GB as float32. A file of a few kilobytes can declare far more
# pixels than fit into memory.
MAX_PIXELS = 1_000_000_000
# Photos with more pixels are edited on disk if the edit works on tiles; see `stored_photo`.
STREAMING_THRESHOLD = 50_000_000

# libvips' band format -> bits a channel and NumPy type.
SAMPLE_TYPES: dict[str, tuple[Depth, type[np.generic]]] = {
    "uchar": (8, np.uint8),
    "ushort": (16, np.uint16),
    "float": (32, np.float32),
}
_INTERPRETATIONS = {"b-w", "grey16", "srgb", "rgb16", "rgb", "scrgb", "multiband"}
# Bytes at the beginning of a file that identify its format.
_SIGNATURE_BYTES = 32
# libjpeg's warning about bytes that the image does not use; all of the image is there.
_EXTRANEOUS_BYTES = "extraneous bytes before marker"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """An image file that was checked and opened, but not decoded.

    Parameters
    ----------
    where : name of the file in messages
    data : its bytes
    format : detected from its first bytes, and for raw files also from its name
    image : the size, the type and the metadata of the image; `decode` reads its pixels
    file : the file's name; None if there are only bytes
    """

    where: str
    data: Bytes
    format: Format
    image: pyvips.Image
    file: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the upright image."""
        width, height = self.image.width, self.image.height
        sideways = exif_orientation(self.image) >= 5
        return (height, width) if sideways else (width, height)


def read_bytes(source: str | Path | bytes) -> tuple[str, bytes]:
    """Return a source's name for messages, and its bytes.

    If the file is not an image, only its first bytes are read.

    Raises
    ------
    PhotoError : the file cannot be read
    """
    if isinstance(source, bytes):
        return "image", source
    try:
        _reject_pipe(source)
        with Path(source).open("rb") as file:
            signature = file.read(_SIGNATURE_BYTES)
            is_image = sniff(signature) or has_raw_extension(Path(source))
            return str(source), signature + file.read() if is_image else signature
    except (OSError, ValueError) as error:
        raise read_error(source, error) from error


def image_size(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return the width and height of the upright image. Only the header of a file is read.

    Raises
    ------
    PhotoError : not an image, or one that burnish does not accept
    """
    if isinstance(source, bytes):
        return open_image(*read_bytes(source), max_pixels).size
    with open_header(source, max_pixels) as header:
        return header.size


@contextmanager
def open_header(source: str | Path, max_pixels: int = MAX_PIXELS) -> Iterator[ImageHeader]:
    """Open an image file while the block runs, reading only the parts that are used.

    Raises
    ------
    PhotoError : not an image, or one that burnish does not accept
    """
    with ExitStack() as files:
        try:
            _reject_pipe(source)
            # Opened twice: libvips and `FileBytes` each need a file position of their own.
            file = files.enter_context(Path(source).open("rb"))
            stream = files.enter_context(Path(source).open("rb"))
            header = open_image(str(source), FileBytes(file), max_pixels, stream)
        except (OSError, ValueError) as error:
            raise read_error(source, error) from error
        yield header


def open_image(
    where: str, data: Bytes, max_pixels: int = MAX_PIXELS, stream: BinaryIO | None = None
) -> ImageHeader:
    """Open an image without decoding it, and reject one that cannot be kept without loss.

    Parameters
    ----------
    stream : a file to decode from [default: `data`]

    Raises
    ------
    PhotoError : not an image, a damaged file, or an image that burnish does not accept
    """
    format = _detect(where, data)
    file = None if stream is None else str(stream.name)
    if format.name == "raw":
        from burnish.photo.raw import open_raw

        image = open_raw(where, data, file)
    else:
        try:
            image = _load(format, stream or bytes(data[:]))
        except pyvips.Error as error:
            raise decode_error(format, where, error) from error
    _reject_unsupported(image, data, format, where, max_pixels)
    if (orientation := stored_orientation(image, data, format)) is not None:
        image = pyvips.Operation.call("copy", image)
        image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return ImageHeader(where, data, format, image, file)


def _detect(where: str, data: Bytes) -> Format:
    """Return the format of a file.

    Raises
    ------
    PhotoError : the file is not an image that burnish reads
    """
    format = sniff(bytes(data[:_SIGNATURE_BYTES]))
    is_tiff = format is not None and format.name == "tiff"
    if (format is None or is_tiff) and len(data) and has_raw_extension(Path(where)):
        return FORMATS["raw"]
    if is_tiff and is_camera_raw(data):
        return FORMATS["raw"]
    if not len(data):
        raise PhotoError(where, "the file is empty", "get the original again")
    if format is None:
        problem = "not an image that burnish reads"
        raise PhotoError(where, problem, f"convert it to {join_or(READABLE)} first")
    return format


def _load(format: Format, source: BinaryIO | bytes, *, fail_on: str | None = None) -> pyvips.Image:
    # A JPEG decoder only warns when it fills missing parts with grey; see `decode`. In the other
    # formats a warning is about an unknown tag or the like.
    fail_on = fail_on or ("warning" if format.name == "jpeg" else "error")
    operation = f"{format.codec}load_"
    if isinstance(source, bytes):
        return pyvips.Operation.call(
            operation + "buffer", source, access="sequential", fail_on=fail_on
        )
    stream = pyvips.Source.new_from_descriptor(source.fileno())
    return pyvips.Operation.call(operation + "source", stream, access="sequential", fail_on=fail_on)


def decode(header: ImageHeader, read: Callable[[pyvips.Image], T]) -> T:
    """Return the result of `read` for the image of a file, which it decodes.

    Parameters
    ----------
    read : called again, with another image of the same size, if a JPEG has to be repaired

    Raises
    ------
    PhotoError : the file is damaged

    Warns
    -----
    UserWarning : the file breaks the rules of its format, but the image is complete
    """
    if header.format.name == "raw":
        from burnish.photo.raw import develop

        return read(develop(header.where, header.data, header.file))
    try:
        if header.format.name == "jpeg" and header.data[-2:] != b"\xff\xd9":
            _check_jpeg_end(bytes(header.data[:]))
        return read(header.image)
    except pyvips.Error as error:
        if get_field(header.image, "heif-compression") == "hevc":
            from burnish.photo.hevc import decode_hevc

            return read(decode_hevc(header.where, bytes(header.data[:]), header.image.bands))
        try:
            result = _decode_repaired(header, read)
        except pyvips.Error:
            raise decode_error(header.format, header.where, error) from error
        reason = _reason(error)
    warn(f"{header.where}: the decoder warns ({reason}), but no part of the image is missing")
    return result


def _check_jpeg_end(jpeg: bytes) -> None:
    from burnish.photo.jpeg_repair import has_end

    if not has_end(jpeg):
        raise pyvips.Error("no end marker", "the end marker is missing")


def _decode_repaired(header: ImageHeader, read: Callable[[pyvips.Image], T]) -> T:
    """Repair a JPEG and decode it.

    Raises
    ------
    pyvips.Error : a part of the image is missing, or the file is not a JPEG
    """
    from burnish.photo.jpeg_repair import repair_jpeg

    repaired = repair_jpeg(bytes(header.data[:])) if header.format.name == "jpeg" else None
    if repaired is None:
        raise pyvips.Error("not repaired", "a part of the image is missing")
    try:
        return read(_load(header.format, repaired))
    except pyvips.Error as error:
        if _EXTRANEOUS_BYTES not in _reason(error):
            raise
        return read(_load(header.format, repaired, fail_on="truncated"))


def decode_error(format: Format, where: str, error: pyvips.Error) -> PhotoError:
    """Return the error to raise when libvips cannot decode a file.

    libvips keeps one error text for the whole process, and pyvips clears it when it looks up an
    operation as a method of an image. Code that may run while a photo is opened therefore uses
    `pyvips.Operation.call`.
    """
    return PhotoError(
        where,
        f"the {format.name} file is broken or unsupported ({_reason(error)})",
        "open it elsewhere and save it again, or get the original",
    )


def _reason(error: pyvips.Error) -> str:
    """Return the last line of libvips' error text that is not a plain "load error"."""
    lines = [line.strip() for line in str(error.detail).splitlines()]
    reasons = [line for line in lines if line and not line.endswith("load error")]
    return reasons[-1].removeprefix("VipsJpeg: ") if reasons else "no reason given"


def exif_orientation(image: pyvips.Image) -> int:
    """Return the EXIF orientation: 1 is upright, 5 to 8 are stored sideways."""
    return get_field(image, "orientation") or 1


def _reject_pipe(source: str | Path) -> None:
    if stat.S_ISFIFO(Path(source).stat().st_mode):
        raise OSError(errno.EINVAL, "a pipe")  # opening it would wait for its writer


def _reject_unsupported(
    image: pyvips.Image, data: Bytes, format: Format, where: str, max_pixels: int
) -> None:
    if image.width * image.height > max_pixels:
        raise PhotoError(
            where,
            expected=f"at most {max_pixels:,} pixels",
            got=f"{image.width} x {image.height}",
            remedy="scale it down first, or in Python: Photo.open(..., max_pixels=...)",
        )
    pages = 0 if is_animation(data, format) else get_field(image, "n-pages") or 1
    if pages > 1 and format.name == "tiff":
        pages = _count_full_pages(data)
    problem = remedy = ""
    if pages != 1 and format.name != "heic":
        problem = f"the file has {pages or 'several'} pages or frames"
        remedy = "split it into single images first"
    elif (encoding := hdr_encoding(data, format)) is not None:
        problem = f"high dynamic range ({encoding}) is not supported"
        remedy = "convert it to sRGB first"
    elif image.interpretation not in _INTERPRETATIONS or image.bands > 4:
        problem = f"not grey or RGB, but {image.interpretation} with {image.bands} channels"
        # CMYK is not converted: its separation into inks would be lost.
        remedy = "convert it to RGB first, with the profile of your choice"
    elif image.format not in SAMPLE_TYPES:
        problem = f"samples of type {image.format} are not supported"
        remedy = "convert it to 16 bits a channel first"
    if problem:
        raise PhotoError(where, problem, remedy)


def _count_full_pages(tiff: Bytes) -> int:
    """Return the number of pages of a TIFF that are not smaller copies of another page."""
    layout, offset = parse_header(tiff)
    size, start = struct.calcsize(layout.entry_format), struct.calcsize(layout.count_format)
    offsets = set()
    pages = 0
    while offset and offset not in offsets:
        offsets.add(offset)
        (count,) = struct.unpack(layout.count_format, tiff[offset : offset + start])
        end = offset + start + size * count
        entries = bytes(tiff[offset + start : end])
        is_reduced = False
        for position in range(0, len(entries), size):
            tag, kind = struct.unpack_from(f"{layout.order}HH", entries, position)
            value_format = layout.order + ("H" if kind == 3 else "I")
            value_offset = position + size - layout.inline_size
            (value,) = struct.unpack_from(value_format, entries, value_offset)
            # NewSubfileType is a set of bits, and the older SubfileType a number.
            is_reduced |= (tag == 254 and bool(value & 1)) or (tag == 255 and value == 2)
        pages += not is_reduced
        (offset,) = struct.unpack(layout.offset_format, tiff[end : end + layout.inline_size])
    return pages
