"""Scratch: a picture's numbers in a file, of which rectangles are read and written."""

import struct
from dataclasses import dataclass
from pathlib import Path
from sys import byteorder
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.files import write_error
from burnish.photo.rectangle import Rectangle
from burnish.photo.tiff_tags import Entry, TiffLayout, pack_ifd

_LAYOUT = TiffLayout("<" if byteorder == "little" else ">", big=True)
_HEADER_BYTES = len(_LAYOUT.header_bytes(0))
# Rows that libvips reads at a time.
_ROWS_PER_STRIP = 64
_SHORT, _LONG, _LONG8 = 3, 4, 16


@dataclass(frozen=True, eq=False)
class RawTiff:
    """A picture in a file, uncompressed, row after row.

    The file is a TIFF once `image` has been asked for: that is what libvips reads in pieces. A file
    of bare numbers it would map into memory whole.

    Parameters
    ----------
    file : empty, open for reading and writing
    height, width : px
    bands : numbers a pixel
    dtype : of a number: uint8, uint16 or float32
    """

    file: BinaryIO
    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.height * self._row_bytes

    def read(self, rectangle: Rectangle) -> NDArray[Any]:
        """Return a rectangle, (rows, columns, bands).

        Raises
        ------
        OutputError : the file cannot be read
        """
        height, width = rectangle.size
        values = np.empty((height, width, self.bands), self.dtype)
        try:
            # Whole rows lie together.
            for rows, at in self._contiguous_runs(rectangle):
                self.file.seek(at)
                if self.file.readinto(values[rows].data.cast("B")) != values[rows].nbytes:  # type: ignore[attr-defined]
                    raise OSError("cut short by another program")
        except OSError as error:
            raise write_error(Path(self.file.name), error) from error
        return values

    def write(self, rectangle: Rectangle, values: NDArray[Any]) -> None:
        """Write a rectangle, (rows, columns, bands).

        Raises
        ------
        OutputError : the file cannot be written
        """
        values = np.ascontiguousarray(values, self.dtype)
        try:
            for rows, at in self._contiguous_runs(rectangle):
                self.file.seek(at)
                self.file.write(values[rows].data)
        except OSError as error:
            raise write_error(Path(self.file.name), error) from error

    def image(self) -> pyvips.Image:
        """Return the picture for libvips, which reads it from its first row to its last.

        Raises
        ------
        OutputError : the file cannot be written
        """
        try:
            self.file.seek(0)
            self.file.write(_LAYOUT.header_bytes(_HEADER_BYTES + self.nbytes))
            self.file.seek(_HEADER_BYTES + self.nbytes)
            self.file.write(pack_ifd(self._entries(), _LAYOUT, _HEADER_BYTES + self.nbytes))
            self.file.flush()
        except OSError as error:
            raise write_error(Path(self.file.name), error) from error
        self.file.seek(0)
        source = pyvips.Source.new_from_descriptor(self.file.fileno())
        loaded = pyvips.Operation.call("tiffload_source", source, access="sequential")
        image = pyvips.Operation.call("copy", loaded)
        for name in image.get_fields():
            # What there is of a file's, and not of every picture's.
            if name in _FILE_FIELDS:
                image.remove(name)
        return image

    @property
    def _row_bytes(self) -> int:
        return self.width * self.bands * self.dtype.itemsize

    def _contiguous_runs(self, rectangle: Rectangle) -> list[tuple[slice, int]]:
        """Return what lies together: rows of the rectangle, and where they begin in the file."""
        pixel = self.bands * self.dtype.itemsize
        starts = [
            _HEADER_BYTES + row * self._row_bytes + rectangle.left * pixel
            for row in range(rectangle.top, rectangle.bottom)
        ]
        if rectangle.right - rectangle.left == self.width:
            return [(slice(None), starts[0])]
        return [(slice(row, row + 1), start) for row, start in enumerate(starts)]

    def _entries(self) -> list[Entry]:
        strips = -(-self.height // _ROWS_PER_STRIP)
        offsets = [
            _HEADER_BYTES + number * _ROWS_PER_STRIP * self._row_bytes for number in range(strips)
        ]
        ends = [*offsets[1:], _HEADER_BYTES + self.nbytes]
        counts = [end - start for start, end in zip(offsets, ends, strict=True)]
        colour = self.bands >= 3
        entries = [
            _entry(256, _LONG, self.width),
            _entry(257, _LONG, self.height),
            _entry(258, _SHORT, *[8 * self.dtype.itemsize] * self.bands),
            _entry(259, _SHORT, 1),  # no compression
            _entry(262, _SHORT, 2 if colour else 1),
            _entry(273, _LONG8, *offsets),
            _entry(277, _SHORT, self.bands),
            _entry(278, _LONG, _ROWS_PER_STRIP),
            _entry(279, _LONG8, *counts),
            _entry(339, _SHORT, *[3 if self.dtype.kind == "f" else 1] * self.bands),
        ]
        if self.bands in (2, 4):
            entries.append(_entry(338, _SHORT, 2))  # alpha, not multiplied in
        return entries


_FILE_FIELDS = {"n-pages", "resolution-unit", "orientation", "bits-per-sample", "vips-loader"}


def _entry(tag: int, kind: int, *values: int) -> Entry:
    letter = {_SHORT: "H", _LONG: "I", _LONG8: "Q"}[kind]
    packed = struct.pack(f"{_LAYOUT.order}{len(values)}{letter}", *values)
    return Entry(tag, kind, len(values), packed)
