"""Spool: a picture too large for memory, decoded into a file and taken from there in parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.files import scratch
from burnish.photo.header import SAMPLES, Opened, broken, orientation, peeked
from burnish.photo.raw_tiff import Scratch
from burnish.photo.read import check_range, decoded, describe, turned
from burnish.photo.rectangle import Rectangle
from burnish.photo.source_metadata import Origin
from burnish.photo.write import coded
from burnish.types import Pixels

# Bytes decoded at a time. The C library keeps several times as much; of a picture on its side the
# strips are columns, of which thin ones would take long to write.
_STRIP, _STRIP_ON_ITS_SIDE = 1 << 21, 1 << 25


@dataclass(frozen=True, eq=False)
class Spooled:
    """A photo in a file: what `Photo` is in memory, and equal to it in every part.

    Parameters
    ----------
    codes : as the source stores them, upright, alpha last
    origin : but for `beyond`, which is worked out for each part anew
    """

    codes: Scratch
    origin: Origin

    def pixels(self, part: Rectangle) -> Pixels:
        """Return a rectangle, (rows, columns, 3), RGB, sRGB-encoded, in [0, 1]."""
        return decoded(self.codes.read(part), self.origin.profile)[0]

    def coded(self, part: Rectangle, pixels: Pixels, bits: int) -> NDArray[Any]:
        """Return new pixels of a rectangle as the codes to store, with the photo's alpha."""
        _, alpha, beyond = decoded(self.codes.read(part), self.origin.profile)
        return coded(pixels, alpha, replace(self.origin, beyond=beyond), bits)


@contextmanager
def spooled(source: Path, folder: Path) -> Iterator[Spooled]:
    """Decode a picture into a file in `folder`, which is there while the block runs.

    Raises
    ------
    PhotoError : as `Photo.open` raises it
    OutputError : the file cannot be written
    """
    with scratch(folder) as file:
        with peeked(source) as found:
            (width, height), image = found.size, found.image
            dtype = np.dtype(SAMPLES[image.format][1])
            codes = Scratch(file, height, width, image.bands, dtype)
            _decode(found, codes)
            origin = describe(found)
        yield Spooled(codes, origin)


def _decode(found: Opened, into: Scratch) -> None:
    image, lie = found.image, orientation(found.image)
    strip_size = _STRIP_ON_ITS_SIDE if lie >= 5 else _STRIP
    rows = max(1, strip_size // (image.width * image.bands * into.dtype.itemsize))
    low, high = np.inf, -np.inf
    try:
        region = pyvips.Region.new(image)
        for top in range(0, image.height, rows):
            height = min(rows, image.height - top)
            flat = np.frombuffer(region.fetch(0, top, image.width, height), into.dtype)
            strip = flat.reshape(height, image.width, image.bands)
            into.write(_place(image, lie, top, top + height), turned(strip, lie))
            if into.dtype.kind == "f":
                # What is no number stays in these two.
                low, high = np.minimum(low, strip.min()), np.maximum(high, strip.max())
    except pyvips.Error as error:
        raise broken(found.format, found.where, error) from error
    if into.dtype.kind == "f":
        check_range(float(low), float(high), found.where)


def _place(image: pyvips.Image, lie: int, top: int, bottom: int) -> Rectangle:
    """Return where stored rows are in the upright picture."""
    rows, columns = (top, bottom), (0, image.width)
    height, width = image.height, image.width
    if lie >= 5:
        rows, columns, height, width = columns, rows, width, height
    if lie in (3, 4, 7, 8):
        rows = height - rows[1], height - rows[0]
    if lie in (2, 3, 6, 7):
        columns = width - columns[1], width - columns[0]
    return Rectangle(*rows, *columns)
