"""Spool: a picture too large for memory, decoded into a file and taken from there in parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.files import temporary_file
from burnish.photo.header import (
    SAMPLE_TYPES,
    ImageHeader,
    decode_error,
    exif_orientation,
    open_header,
)
from burnish.photo.raw_tiff import RawTiff
from burnish.photo.read import apply_orientation, check_float_range, read_metadata, to_srgb_float
from burnish.photo.rectangle import Rectangle
from burnish.photo.source_metadata import SourceMetadata
from burnish.photo.write import to_codes
from burnish.types import Pixels

# Bytes decoded at a time. The C library keeps several times as much; of a picture on its side the
# strips are columns, of which thin ones would take long to write.
_STRIP_BYTES, _SIDEWAYS_STRIP_BYTES = 1 << 21, 1 << 25


@dataclass(frozen=True, eq=False)
class DiskPhoto:
    """A photo in a file: what `Photo` is in memory, and equal to it in every part.

    Parameters
    ----------
    codes : as the source stores them, upright, alpha last
    metadata : but for `beyond`, which is worked out for each part anew
    """

    codes: RawTiff
    metadata: SourceMetadata

    def read_pixels(self, rectangle: Rectangle) -> Pixels:
        """Return a rectangle, (rows, columns, 3), RGB, sRGB-encoded, in [0, 1]."""
        return to_srgb_float(self.codes.read(rectangle), self.metadata.profile)[0]

    def to_codes(self, rectangle: Rectangle, pixels: Pixels, bits: int) -> NDArray[Any]:
        """Return new pixels of a rectangle as the codes to store, with the photo's alpha."""
        _, alpha, out_of_gamut = to_srgb_float(self.codes.read(rectangle), self.metadata.profile)
        return to_codes(pixels, alpha, replace(self.metadata, out_of_gamut=out_of_gamut), bits)


@contextmanager
def decode_to_disk(source: Path, folder: Path) -> Iterator[DiskPhoto]:
    """Decode a picture into a file in `folder`, which is there while the block runs.

    Raises
    ------
    PhotoError : as `Photo.open` raises it
    OutputError : the file cannot be written
    """
    with temporary_file(folder) as file:
        with open_header(source) as header:
            (width, height), image = header.size, header.image
            dtype = np.dtype(SAMPLE_TYPES[image.format][1])
            codes = RawTiff(file, height, width, image.bands, dtype)
            _decode(header, codes)
            metadata = read_metadata(header)
        yield DiskPhoto(codes, metadata)


def _decode(header: ImageHeader, target: RawTiff) -> None:
    image, orientation = header.image, exif_orientation(header.image)
    strip_size = _SIDEWAYS_STRIP_BYTES if orientation >= 5 else _STRIP_BYTES
    rows = max(1, strip_size // (image.width * image.bands * target.dtype.itemsize))
    low, high = np.inf, -np.inf
    try:
        region = pyvips.Region.new(image)
        for top in range(0, image.height, rows):
            height = min(rows, image.height - top)
            flat = np.frombuffer(region.fetch(0, top, image.width, height), target.dtype)
            strip = flat.reshape(height, image.width, image.bands)
            target.write(
                _upright_rectangle(image, orientation, top, top + height),
                apply_orientation(strip, orientation),
            )
            if target.dtype.kind == "f":
                # What is no number stays in these two.
                low, high = np.minimum(low, strip.min()), np.maximum(high, strip.max())
    except pyvips.Error as error:
        raise decode_error(header.format, header.where, error) from error
    if target.dtype.kind == "f":
        check_float_range(float(low), float(high), header.where)


def _upright_rectangle(image: pyvips.Image, orientation: int, top: int, bottom: int) -> Rectangle:
    """Return where stored rows are in the upright picture."""
    rows, columns = (top, bottom), (0, image.width)
    height, width = image.height, image.width
    if orientation >= 5:
        rows, columns, height, width = columns, rows, width, height
    if orientation in (3, 4, 7, 8):
        rows = height - rows[1], height - rows[0]
    if orientation in (2, 3, 6, 7):
        columns = width - columns[1], width - columns[0]
    return Rectangle(*rows, *columns)
