"""Cameras' raw files, which LibRaw develops, and their EXIF and XMP.

LibRaw develops to sRGB with its defaults (AHD demosaicing, brightened until 1 % of the pixels are
white, highlights clipped), the camera's white balance, and sRGB's curve.
"""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import PhotoError, missing_library, warn
from burnish.photo.container import Bytes
from burnish.photo.exif import MAX_NOTE_ADDRESS, pack_exif
from burnish.photo.jpeg_metadata import read_jpeg_exif
from burnish.photo.tiff_tags import (
    EXIF,
    GPS,
    BrokenTagsError,
    Entry,
    parse_header,
    read_entries,
)

if TYPE_CHECKING:
    from rawpy import ImageSizes, RawPy

# Gamma, and slope near black, of sRGB's curve.
SRGB_CURVE = (2.4, 12.92)
# Messages that LibRaw prints to stderr for damaged data, even if it raises no error.
DAMAGE_MESSAGES = ("data corrupted at", "Unexpected end of file")
# Bits of LibRaw's `flip`.
MIRRORED, UPSIDE_DOWN, TRANSPOSED = 1, 2, 4
# stderr belongs to the process, so only one photo is developed at a time.
_STDERR_LOCK = Lock()

_XMP, _MAKER_NOTE, _DNG_PRIVATE, _PANASONIC_JPEG = 0x02BC, 0x927C, 0xC634, 0x002E
# Tags of the first IFD that describe the photo: description, make, model, software, date, artist,
# ratings, copyright, Windows' texts, sub-IFDs.
_PHOTO_TAGS = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x4749, 0x8298}
_PHOTO_TAGS |= {*range(0x9C9B, 0x9CA0), EXIF, GPS}


def open_raw(where: str, data: Bytes, file: str | None) -> pyvips.Image:
    """Return a black image with the size of a raw file.

    Parameters
    ----------
    file : name of the file, if there is one

    Raises
    ------
    PhotoError : LibRaw does not read the file
    MissingLibraryError : rawpy is not installed
    """
    with _imread(where, data, file) as raw:
        width, height = _size(raw.sizes)
    black = pyvips.Operation.call("black", width, height, bands=3)
    image = pyvips.Operation.call("cast", black, "ushort")
    return pyvips.Operation.call("copy", image, interpretation="rgb16")


def develop(where: str, data: Bytes, file: str | None) -> pyvips.Image:
    """Develop a raw file to 16 bits; the parameters are those of `open_raw`.

    The image is rotated upright and cropped to the DNG's DefaultCrop. LibRaw does not crop by
    itself, so that for FiveK's a0001, for example, an expert's version would be 16 pixels off. It
    moves the crop to the grid of the colour filter, by at most one pixel.

    Raises
    ------
    PhotoError : the file is not a raw file, or is damaged
    MissingLibraryError : rawpy is not installed
    """
    messages: list[str] = []
    with _capture_damage_messages(messages), _imread(where, data, file) as raw:
        sizes = raw.sizes  # before `postprocess`, which resets the orientation
        codes = raw.postprocess(use_camera_wb=True, gamma=SRGB_CURVE, output_bps=16, user_flip=0)
    if messages:  # the pixels may be damaged even if LibRaw raised no error
        raise _libraw_error(where, messages[0])
    upright = np.ascontiguousarray(apply_flip(_apply_crop(codes, sizes), sizes.flip))
    height, width = upright.shape[:2]
    image = pyvips.Image.new_from_memory(upright.data, width, height, 3, "ushort")
    return pyvips.Operation.call("copy", image, interpretation="rgb16")


@contextmanager
def _imread(where: str, data: Bytes, file: str | None) -> "Iterator[RawPy]":
    """Open a raw file with LibRaw; its errors, also those in the block, become a PhotoError."""
    try:
        import rawpy
    except ModuleNotFoundError as error:
        raise missing_library(error).with_context(where) from error
    try:
        with rawpy.imread(file or io.BytesIO(bytes(data[:]))) as raw:
            yield raw
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else ""
        message = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise _libraw_error(where, message) from error


def _libraw_error(where: str, message: str) -> PhotoError:
    reason = message.removeprefix(f"{where}: ").removeprefix("unknown file: ").lower()
    problem = f"LibRaw cannot develop the file: {reason or 'unknown error'}"
    return PhotoError(where, problem, "get the original again, or develop it with another program")


def apply_flip(codes: NDArray[Any], flip: int) -> NDArray[Any]:
    """Rotate and mirror an image according to LibRaw's `flip`.

    Examples
    --------
    >>> apply_flip(np.array([[1, 2], [3, 4]]), 6).tolist()  # 90 degrees clockwise
    [[3, 1], [4, 2]]
    """
    if flip & UPSIDE_DOWN:
        codes = codes[::-1]
    if flip & MIRRORED:
        codes = codes[:, ::-1]
    return codes.swapaxes(0, 1) if flip & TRANSPOSED else codes


def _apply_crop(codes: NDArray[Any], sizes: "ImageSizes") -> NDArray[Any]:
    """Crop the image to the file's DefaultCrop, if it has one."""
    if not sizes.crop_width or not sizes.crop_height:
        return codes
    # LibRaw has already resampled an image with non-square pixels.
    scale_y, scale_x = codes.shape[0] / sizes.height, codes.shape[1] / sizes.width
    top = max(0, sizes.crop_top_margin - sizes.top_margin)
    left = max(0, sizes.crop_left_margin - sizes.left_margin)
    rows = slice(round(top * scale_y), round((top + sizes.crop_height) * scale_y))
    columns = slice(round(left * scale_x), round((left + sizes.crop_width) * scale_x))
    return codes[rows, columns]


def _size(sizes: "ImageSizes") -> tuple[int, int]:
    """Return the width and height of the developed image."""
    height, width = sizes.height, sizes.width
    # LibRaw enlarges the side along which the pixels are longer.
    if 0 < sizes.pixel_aspect < 1:
        height = int(height / sizes.pixel_aspect + 0.5)
    elif sizes.pixel_aspect > 1:
        width = int(width * sizes.pixel_aspect + 0.5)
    # An array that is never read, and takes no memory.
    codes = np.broadcast_to(np.uint8(0), (height, width))
    height, width = apply_flip(_apply_crop(codes, sizes), sizes.flip).shape
    return width, height


@contextmanager
def _capture_damage_messages(messages: list[str]) -> Iterator[None]:
    """Collect LibRaw's messages about damage on stderr, and print the others."""
    with _STDERR_LOCK, tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines(keepends=True):
                if any(message in line for message in DAMAGE_MESSAGES):
                    messages.append(line.strip())
                else:
                    os.write(2, line.encode())


def with_metadata(image: pyvips.Image, where: str, data: Bytes) -> pyvips.Image:
    """Return an image with the EXIF and the XMP of a raw file, under the names of libvips.

    Warns
    -----
    UserWarning : EXIF or maker notes are left out
    """
    try:
        entries, order = _exif_entries(data)
    except BrokenTagsError as error:
        warn(f"{where}: unreadable EXIF is left out ({error})")
        return image
    if not entries:
        warn(f"{where}: its EXIF is left out, which burnish does not read from this kind of file")
    photo_entries = [entry for entry in entries if entry.tag in _PHOTO_TAGS]
    exif, intact = pack_exif(photo_entries, order, MAX_NOTE_ADDRESS)
    if not intact:
        kept = [_without_maker_notes(entry) for entry in photo_entries]
        exif, _ = pack_exif(kept, order, MAX_NOTE_ADDRESS)
    if not intact or any(entry.tag == _DNG_PRIVATE for entry in entries):
        warn(f"{where}: the maker notes are left out, which are valid in the raw file only")
    image = pyvips.Operation.call("copy", image)
    if photo_entries:
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    for entry in entries:
        if entry.tag == _XMP:
            image.set_type(pyvips.GValue.blob_type, "xmp-data", entry.value)
    return image


def _exif_entries(data: Bytes) -> tuple[list[Entry], str]:
    """Return the entries of a raw file's first IFD, and their byte order in struct's notation."""
    signature = bytes(data[:16])
    if signature.startswith(b"FUJIFILM"):
        start, size = (int.from_bytes(data[at : at + 4], "big") for at in (84, 88))
        return _read_preview(bytes(data[start : start + size]))
    if signature[4:12] == b"ftypcrx ":  # Canon's CR3 has one block for each IFD
        blocks = [_box(data, name) for name in (b"CMT1", b"CMT2", b"CMT4")]
        (first, order), (exif, _), (gps, _) = map(_read_block, blocks)
        notes = _box(data, b"CMT3")
        exif += [Entry(_MAKER_NOTE, 7, len(notes), notes)] if notes else []
        sub_ifds = [Entry(EXIF, 4, 1, b"", tuple(exif)), Entry(GPS, 4, 1, b"", tuple(gps))]
        return [*first, *(entry for entry in sub_ifds if entry.sub_ifd)], order
    if signature[:2] not in (b"II", b"MM") or signature[6:10] == b"HEAP":
        return [], "<"
    if signature[2:4] in (b"+\0", b"\0+"):
        return _read_block(data)
    # Olympus and Panasonic write other numbers than 42 into a TIFF header.
    number = b"*\0" if signature[:2] == b"II" else b"\0*"
    entries, order = _read_block(signature[:2] + number + data[4:])
    previews = (entry.value for entry in entries if entry.tag == _PANASONIC_JPEG)
    return _read_preview(next(previews, b"")) if signature[2:4] == b"U\0" else (entries, order)


def _read_preview(jpeg: bytes) -> tuple[list[Entry], str]:
    """Return the entries of the EXIF of a preview."""
    return _read_block(read_jpeg_exif(jpeg) or b"")


def _read_block(block: Bytes) -> tuple[list[Entry], str]:
    return (read_entries(block), parse_header(block)[0].order) if len(block) else ([], "<")


def _box(data: Bytes, name: bytes) -> bytes:
    """Return the content of the first box of an ISO media file with a name; b"" without one."""
    at = data.find(name)
    size = int.from_bytes(data[at - 4 : at], "big")
    return bytes(data[at + 4 : at - 4 + size]) if at >= 4 else b""


def _without_maker_notes(entry: Entry) -> Entry:
    kept = (inner for inner in entry.sub_ifd if inner.tag != _MAKER_NOTE)
    return replace(entry, sub_ifd=tuple(kept))
