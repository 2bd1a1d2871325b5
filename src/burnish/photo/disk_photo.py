"""Photos too large for memory: decoded into a temporary file and read from it in parts."""

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
from burnish.photo.source_metadata import SourceMetadata
from burnish.photo.write import to_codes
from burnish.types import Pixels, Rectangle

# Bytes decoded at a time; libvips keeps several times as much. If the image is stored sideways,
# strips become columns, and thin columns take long to write.
_STRIP_BYTES, _SIDEWAYS_STRIP_BYTES = 1 << 21, 1 << 25


@dataclass(frozen=True, eq=False)
class DiskPhoto:
    """A photo on disk. Each part of it equals the same part of the `Photo` in memory.

    Parameters
    ----------
    codes : the stored codes, upright, alpha last
    metadata : without `out_of_gamut`, which is computed for each part
    """

    codes: RawTiff
    metadata: SourceMetadata

    def read_pixels(self, rectangle: Rectangle) -> Pixels:
        """Return a rectangle, (rows, columns, 3), RGB, sRGB-encoded, in [0, 1]."""
        return to_srgb_float(self.codes.read(rectangle), self.metadata.profile)[0]

    def to_codes(self, rectangle: Rectangle, pixels: Pixels, bits: int) -> NDArray[Any]:
        """Return the codes to store for new pixels of a rectangle, with the photo's alpha."""
        _, alpha, out_of_gamut = to_srgb_float(self.codes.read(rectangle), self.metadata.profile)
        return to_codes(pixels, alpha, replace(self.metadata, out_of_gamut=out_of_gamut), bits)


@contextmanager
def decode_to_disk(source: Path, folder: Path) -> Iterator[DiskPhoto]:
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
            rectangle = _upright_rectangle(image, orientation, top, top + height)
            target.write(rectangle, apply_orientation(strip, orientation))
            if target.dtype.kind == "f":
                # Both propagate NaN.
                low, high = np.minimum(low, strip.min()), np.maximum(high, strip.max())
    except pyvips.Error as error:
        raise decode_error(header.format, header.where, error) from error
    if target.dtype.kind == "f":
        check_float_range(float(low), float(high), header.where)


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
