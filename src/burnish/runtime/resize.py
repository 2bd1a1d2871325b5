"""Resize images by area and bilinearly, in parts whose values do not depend on the division."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels, ReadRegion, Rectangle

# Rows and columns are summed in groups of this size, starting at 0, so that sums always round the
# same way.
_GROUP = 64
# Rows of the input that are in memory at a time; a multiple of _GROUP.
_STRIP = 512

# The first and the last input pixel that an output pixel overlaps, and their weights.
_Overlap = tuple[int, int, NDArray[np.float32]]


def area_resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize an image to a height and width by averaging.

    Each output pixel is the mean over the area that it covers, fractions of pixels included. A
    smaller image is enlarged by repeating its pixels.

    Shape: (H, W, 3) -> (*size, 3)

    Examples
    --------
    >>> area_resize(np.arange(6, dtype=np.float32).repeat(3).reshape(2, 3, 3), (1, 1))[0, 0]
    array([2.5, 2.5, 2.5], dtype=float32)
    """
    height, width = pixels.shape[:2]
    return area_resize_rows(lambda top, bottom: pixels[top:bottom], height, width, size)


def area_resize_rows(
    read_rows: Callable[[int, int], Pixels], height: int, width: int, size: tuple[int, int]
) -> Pixels:
    """Resize an image that is read in groups of rows. Equals `area_resize` bit for bit.

    Parameters
    ----------
    read_rows : from the first row and the end row to pixels, (rows, W, 3)
    size : height and width of the output, px
    """
    # Rows come first, since they are contiguous in memory; little is left for the columns.
    output = np.empty((*size, 3), np.float32)
    rows = np.empty((0, width * 3), np.float32)
    end, largest = 0, -np.inf
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        strip, _ = _overlaps(height, size[0], top, bottom)
        # The last row of the strip above may be incomplete; it is completed here.
        shared = rows[len(rows) - (end - strip.start) :]
        end = strip.stop
        rows = np.zeros((end - strip.start, width * 3), np.float32)
        rows[: len(shared)] = shared
        for start in range(top, bottom, _GROUP):
            stop = min(start + _GROUP, height)
            outputs, overlaps = _overlaps(height, size[0], start, stop)
            first = outputs.start - strip.start
            pixels = read_rows(start, stop).reshape(stop - start, -1)
            sums = _weighted_sums(overlaps, pixels)
            rows[first : first + len(sums)] += sums
            largest = max(largest, pixels.max())
        output[strip] = _resize_columns(rows, width, size[1])
    # The weights of a pixel sum to 1 but for rounding.
    return np.minimum(output, largest, out=output)


def area_resize_regions(
    read: ReadRegion, read_size: tuple[int, int], size: tuple[int, int]
) -> Pixels:
    """Resize an image that is read by rectangles. Equals `area_resize` bit for bit.

    Parameters
    ----------
    read_size : height and width of the image, px
    size : height and width of the output, px
    """
    height, width = read_size
    return area_resize_rows(
        lambda top, bottom: read(Rectangle(top, bottom, 0, width)), height, width, size
    )


def _resize_columns(rows: Pixels, width: int, size: int) -> Pixels:
    """Resize rows of an image, (rows, width * 3), to a width."""
    columns = np.zeros((size, len(rows), 3), np.float32)
    by_column = np.ascontiguousarray(rows.reshape(-1, width, 3).transpose(1, 0, 2))
    for start in range(0, width, _GROUP):
        stop = min(start + _GROUP, width)
        outputs, overlaps = _overlaps(width, size, start, stop)
        strip = by_column[start:stop].reshape(stop - start, -1)
        columns[outputs] += _weighted_sums(overlaps, strip).reshape(-1, len(rows), 3)
    return columns.transpose(1, 0, 2)


def _weighted_sums(overlaps: Sequence[_Overlap], rows: Pixels) -> Pixels:
    """Return the weighted sum of `rows` for each output pixel.

    The library of the matrix product would keep all cores busy.
    """
    sums = np.zeros((len(overlaps), rows.shape[1]), np.float32)
    for output, (first, last, weights) in zip(sums, overlaps, strict=True):
        if last > first + 1:
            np.add.reduce(rows[first + 1 : last], out=output)
            output *= weights[1]
        if last >= first:
            output += weights[0] * rows[first]
        if last > first:
            output += weights[-1] * rows[last]
    return sums


def bilinear_region(
    pixels: Pixels, rectangle: Rectangle, size: tuple[int, int], out: Pixels | None = None
) -> Pixels:
    """Return a rectangle of an image enlarged bilinearly to a height and width.

    Pixels lie at the centres of their squares, as in `torch.nn.functional.interpolate` with
    ``align_corners=False``. The values do not depend on the rectangle that they are part of.

    Parameters
    ----------
    pixels : the small image, (h, w, 3)
    rectangle : of the enlarged image
    size : height and width of the enlarged image, px
    out : memory for the result, as many values [default: new memory]

    Examples
    --------
    >>> small = np.array([0, 1], np.float32).reshape(1, 2, 1)
    >>> bilinear_region(small, Rectangle(0, 1, 0, 4), (1, 4)).ravel()
    array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    rows, row_weights = bilinear_taps(pixels.shape[0], size[0], rectangle.top, rectangle.bottom)
    columns, column_weights = bilinear_taps(
        pixels.shape[1], size[1], rectangle.left, rectangle.right
    )
    first, channels = rows[0].min(), pixels.shape[2]
    source = pixels[first : rows[1].max() + 1]
    # Each row of the image enlarged to the width, and then the difference to the one below.
    near, wide = (source.take(index, axis=1).reshape(len(source), -1) for index in columns)
    wide -= near
    wide *= np.repeat(column_weights, channels)
    wide += near
    below = np.zeros_like(wide)
    np.subtract(wide[1:], wide[:-1], out=below[:-1])
    shape = len(row_weights), wide.shape[1]
    output = np.empty(shape, np.float32) if out is None else out.reshape(shape)
    for row, index, weight in zip(output, rows[0] - first, row_weights, strict=True):
        np.multiply(below[index], weight, out=row)
        row += wide[index]
    return output.reshape(*rectangle.size, channels)


def source_range(length: int, size: int, start: int, stop: int) -> tuple[int, int]:
    """Return the first and last source pixel that output pixels `start` to `stop` depend on."""
    (near, far), _ = bilinear_taps(length, size, start, stop)
    return int(near[0]), int(far[-1])


def bilinear_taps(
    length: int, size: int, start: int, stop: int
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float32]]:
    """Return the two source pixels of output pixels `start` to `stop`, and the second's weight.

    Parameters
    ----------
    length, size : numbers of pixels of the source and of the output
    """
    positions = (np.arange(start, stop) + 0.5) * (length / size) - 0.5
    positions = positions.clip(0, length - 1)
    near = np.floor(positions).astype(np.intp)
    weights = (positions - near).astype(np.float32)
    return (near, np.minimum(near + 1, length - 1)), weights


@lru_cache(maxsize=1024)  # frames of a video are alike
def _overlaps(length: int, size: int, start: int, stop: int) -> tuple[slice, list[_Overlap]]:
    """Return the output pixels that overlap input pixels `start` to `stop`, and how they do.

    Over the whole input, the weights of an output pixel sum to 1. Those between the first and the
    last one are equal.
    """
    scale = size / length
    outputs = slice(int(start * scale), min(size, int(np.ceil(stop * scale))))
    edges = np.arange(outputs.start, outputs.stop + 1) * (length / size)
    index = np.arange(start, stop)
    overlaps = np.minimum(edges[1:, None], index + 1) - np.maximum(edges[:-1, None], index)
    pixels = []
    for weights in (overlaps.clip(0) * scale).astype(np.float32):
        used = np.flatnonzero(weights)
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, -1)
        pixels.append((first, last, weights[first : last + 1].copy()))  # not the whole array
    return outputs, pixels
