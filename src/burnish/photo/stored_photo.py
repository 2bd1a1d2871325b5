"""Photos as the codes that their files store, of which rectangles are converted when needed.

The codes of a large photo are in a temporary file. Those of others are in memory, where they take
a quarter of the space of floats.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import byteorder
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.errors import OutputError, read_error, write_error
from burnish.files import atomic_write, check_absent, temporary_file
from burnish.photo.colour import is_srgb
from burnish.photo.formats import writable_format
from burnish.photo.header import (
    SAMPLE_TYPES,
    decode,
    exif_orientation,
    open_header,
)
from burnish.photo.metadata import SourceMetadata
from burnish.photo.photo import Photo
from burnish.photo.read import (
    apply_orientation,
    check_float_range,
    convert_codes,
    read_codes,
    read_metadata,
    to_srgb_float,
)
from burnish.photo.tiff_tags import Entry, TiffLayout, pack_ifd
from burnish.photo.write import check_format, to_codes, write_image
from burnish.types import Pixels, Rectangle

# Bytes decoded at a time; libvips keeps several times as much. If the image is stored sideways,
# strips become columns, and thin columns take long to write.
_STRIP_BYTES, _SIDEWAYS_STRIP_BYTES = 1 << 21, 1 << 25

_LAYOUT = TiffLayout("<" if byteorder == "little" else ">", big=True)
_HEADER_BYTES = len(_LAYOUT.header_bytes(0))
# Rows of a TIFF strip, which libvips reads at a time.
_ROWS_PER_STRIP = 64
_SHORT, _LONG, _LONG8 = 3, 4, 16
# Fields that libvips sets for an image from a file, and not for one from memory.
_FILE_FIELDS = {"n-pages", "resolution-unit", "orientation", "bits-per-sample", "vips-loader"}


@dataclass(frozen=True, eq=False)
class RawTiff:
    """An image in a file, uncompressed, row after row. Threads may read and write it together.

    `image` completes the file to a TIFF, which libvips reads in pieces. A file without a header
    would be mapped into memory whole. This class does not map the file either (as
    `tifffile.memmap` does): writing 1.2 GB that way grew the process by as much, and if the disk is
    full or another program cuts the file short, the process ends with a bus error and no exception.

    Parameters
    ----------
    file : empty, open for reading and writing
    height, width : px
    bands : values a pixel
    dtype : uint8, uint16 or float32
    """

    file: BinaryIO
    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    _position: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return self.height * self._row_bytes

    def read(self, rectangle: Rectangle) -> NDArray[Any]:
        """Return a rectangle, (rows, columns, bands).

        Raises
        ------
        OutputError : the file cannot be read
        """
        values = np.empty((*rectangle.size, self.bands), self.dtype)
        try:
            for rows, offset in self._contiguous_runs(rectangle):
                with self._position:
                    self.file.seek(offset)
                    count = self.file.readinto(values[rows].data.cast("B"))  # type: ignore[attr-defined]
                if count != values[rows].nbytes:
                    raise OSError("cut short by another program")
        except OSError as error:
            raise read_error(self.file.name, error, OutputError) from error
        return values

    def write(self, rectangle: Rectangle, values: NDArray[Any]) -> None:
        """Write a rectangle, (rows, columns, bands).

        Raises
        ------
        OutputError : the file cannot be written
        """
        values = np.ascontiguousarray(values, self.dtype)
        try:
            for rows, offset in self._contiguous_runs(rectangle):
                with self._position:
                    self.file.seek(offset)
                    self.file.write(values[rows].data)
        except OSError as error:
            raise write_error(self.file.name, error) from error

    def image(self) -> pyvips.Image:
        """Return the image for libvips, to be read sequentially.

        Raises
        ------
        OutputError : the file cannot be written
        """
        end = _HEADER_BYTES + self.nbytes
        try:
            self.file.seek(0)
            self.file.write(_LAYOUT.header_bytes(end))
            self.file.seek(end)
            self.file.write(pack_ifd(self._entries(), _LAYOUT, end))
            self.file.flush()
        except OSError as error:
            raise write_error(self.file.name, error) from error
        self.file.seek(0)
        source = pyvips.Source.new_from_descriptor(self.file.fileno())
        loaded = pyvips.Operation.call("tiffload_source", source, access="sequential")
        image = pyvips.Operation.call("copy", loaded)
        for name in _FILE_FIELDS.intersection(image.get_fields()):
            image.remove(name)
        return image

    @property
    def _row_bytes(self) -> int:
        return self.width * self.bands * self.dtype.itemsize

    def _contiguous_runs(self, rectangle: Rectangle) -> Iterator[tuple[slice, int]]:
        """Yield rows of a rectangle that are contiguous in the file, and their file offset."""
        left = _HEADER_BYTES + rectangle.left * self.bands * self.dtype.itemsize
        if rectangle.right - rectangle.left == self.width:
            yield slice(None), left + rectangle.top * self._row_bytes
            return
        for row in range(rectangle.bottom - rectangle.top):
            yield slice(row, row + 1), left + (rectangle.top + row) * self._row_bytes

    def _entries(self) -> list[Entry]:
        strip_bytes = _ROWS_PER_STRIP * self._row_bytes
        starts = range(0, self.nbytes, strip_bytes)
        counts = [min(strip_bytes, self.nbytes - start) for start in starts]
        entries = [
            _entry(256, _LONG, self.width),
            _entry(257, _LONG, self.height),
            _entry(258, _SHORT, *[8 * self.dtype.itemsize] * self.bands),
            _entry(259, _SHORT, 1),  # no compression
            _entry(262, _SHORT, 2 if self.bands >= 3 else 1),  # RGB or grey
            _entry(273, _LONG8, *[_HEADER_BYTES + start for start in starts]),
            _entry(277, _SHORT, self.bands),
            _entry(278, _LONG, _ROWS_PER_STRIP),
            _entry(279, _LONG8, *counts),
            _entry(339, _SHORT, *[3 if self.dtype.kind == "f" else 1] * self.bands),
        ]
        if self.bands in (2, 4):
            entries.append(_entry(338, _SHORT, 2))  # unassociated alpha
        return entries


def _entry(tag: int, kind: int, *values: int) -> Entry:
    letter = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}[kind]
    packed = struct.pack(f"{_LAYOUT.order}{len(values)}{letter}", *values)
    return Entry(tag, kind, len(values), packed)


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """An image in memory, with the methods of `RawTiff`.

    Parameters
    ----------
    values : H x W x bands, contiguous
    """

    values: NDArray[Any]

    @property
    def height(self) -> int:
        """In px."""
        return int(self.values.shape[0])

    @property
    def width(self) -> int:
        """In px."""
        return int(self.values.shape[1])

    @property
    def bands(self) -> int:
        """Values a pixel."""
        return int(self.values.shape[2])

    def read(self, rectangle: Rectangle) -> NDArray[Any]:
        """Return a rectangle, (rows, columns, bands)."""
        return self.values[rectangle.slices]

    def write(self, rectangle: Rectangle, values: NDArray[Any]) -> None:
        """Write a rectangle, (rows, columns, bands)."""
        self.values[rectangle.slices] = values

    def image(self) -> pyvips.Image:
        """Return the image for libvips."""
        return pyvips.Image.new_from_array(self.values)


# Creates an image of a height and width in px, a number of bands and a type.
NewImage = Callable[[int, int, int, np.dtype[Any]], RawTiff | MemoryImage]


def new_memory_image(height: int, width: int, bands: int, dtype: np.dtype[Any]) -> MemoryImage:
    """Return an image in memory, whose values are undefined."""
    return MemoryImage(np.empty((height, width, bands), dtype))


@dataclass(frozen=True, eq=False)
class StoredPhoto:
    """A photo as stored codes. Each part of it equals the same part of the `Photo`.

    Parameters
    ----------
    codes : upright, alpha last
    metadata : without `out_of_gamut`, which is computed for each part
    """

    codes: RawTiff | MemoryImage
    metadata: SourceMetadata

    @classmethod
    def open(cls, source: Path) -> "StoredPhoto":
        """Read an image file into memory; the errors and warnings are those of `Photo.open`."""
        codes, metadata = read_codes(source)
        return cls(MemoryImage(np.ascontiguousarray(codes)), metadata)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.codes.width, self.codes.height

    @property
    def is_srgb(self) -> bool:
        """True if the codes are those of sRGB, so that their conversion costs little."""
        return self.metadata.profile is None or is_srgb(self.metadata.profile)

    def read_pixels(self, rectangle: Rectangle) -> Pixels:
        """Return a rectangle, (rows, columns, 3), RGB, sRGB-encoded, in [0, 1]."""
        return to_srgb_float(self.codes.read(rectangle), self.metadata.profile)[0]

    def read_part(self, rectangle: Rectangle) -> Photo:
        """Return a rectangle as a photo."""
        return Photo(*convert_codes(self.codes.read(rectangle), self.metadata))

    def to_photo(self) -> Photo:
        """Return the whole photo."""
        return self.read_part(Rectangle(0, self.codes.height, 0, self.codes.width))

    def to_codes(self, rectangle: Rectangle, pixels: Pixels, bits: int) -> NDArray[Any]:
        """Return the codes to store for new pixels of a rectangle, with the photo's alpha."""
        if self.is_srgb and self.codes.bands in (1, 3):
            return to_codes(pixels, None, self.metadata, bits)
        _, alpha, out_of_gamut = to_srgb_float(self.codes.read(rectangle), self.metadata.profile)
        return to_codes(pixels, alpha, replace(self.metadata, out_of_gamut=out_of_gamut), bits)

    def save(self, path: Path, *, quality: int | None, depth: int | None, overwrite: bool) -> None:
        """Write the photo to a file atomically.

        Parameters
        ----------
        depth : that of the codes, if the user chose it; for messages

        Raises
        ------
        OutputError, PhotoError, UsageError : as in `Photo.save`
        """
        check_absent(path, overwrite=overwrite)
        target, where = writable_format(path.suffix, str(path)), str(path)
        check_format(self.size, target, quality, depth, where, alpha=self.codes.bands in (2, 4))
        with atomic_write(path, overwrite=overwrite) as file:
            write_image(self.codes.image(), self.metadata, target, file, quality, where)


@contextmanager
def decode_to_disk(source: Path, folder: Path) -> Iterator[StoredPhoto]:
    """Decode a photo into a temporary file in `folder`, which is removed when the block ends.

    Raises
    ------
    PhotoError : as for `Photo.open`
    OutputError : the temporary file cannot be written
    """
    with temporary_file(folder) as file:
        with open_header(source) as header:
            (width, height), image = header.size, header.image
            dtype = np.dtype(SAMPLE_TYPES[image.format][1])
            codes = RawTiff(file, height, width, image.bands, dtype)
            orientation = exif_orientation(image)
            low, high = decode(header, lambda image: _write_codes(image, orientation, codes))
            if dtype.kind == "f":
                check_float_range(low, high, header.where)
            metadata = read_metadata(header)
        yield StoredPhoto(codes, metadata)


def _write_codes(image: pyvips.Image, orientation: int, target: RawTiff) -> tuple[float, float]:
    """Write an image to a file, upright, and return its smallest and its largest float."""
    strip_size = _SIDEWAYS_STRIP_BYTES if orientation >= 5 else _STRIP_BYTES
    rows = max(1, strip_size // (image.width * image.bands * target.dtype.itemsize))
    low, high = np.inf, -np.inf
    region = pyvips.Region.new(image)
    for top in range(0, image.height, rows):
        height = min(rows, image.height - top)
        flat = np.frombuffer(region.fetch(0, top, image.width, height), target.dtype)
        strip = flat.reshape(height, image.width, image.bands)
        rectangle = _upright_rectangle(image, orientation, top, top + height)
        target.write(rectangle, apply_orientation(strip, orientation))
        if target.dtype.kind == "f":
            # Both propagate NaN.
            low, high = np.minimum(low, strip.min()), np.maximum(high, strip.max())
    return float(low), float(high)


def _upright_rectangle(image: pyvips.Image, orientation: int, top: int, bottom: int) -> Rectangle:
    """Return the position of stored rows in the upright image."""
    rows, columns = (top, bottom), (0, image.width)
    height, width = image.height, image.width
    if orientation >= 5:
        rows, columns, height, width = columns, rows, width, height
    if orientation in (3, 4, 7, 8):
        rows = height - rows[1], height - rows[0]
    if orientation in (2, 3, 6, 7):
        columns = width - columns[1], width - columns[0]
    return Rectangle(*rows, *columns)
