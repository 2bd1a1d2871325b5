"""Divide an image into tiles whose outputs, put together, equal the output for the whole image.

The core of a tile is its share of the output. The padded tile is the core with a halo around it,
clipped at the border of the image. If the halo covers the network's receptive field, the output for
the core is the same as for the whole image. Both start and end on the network's size multiple. An
image whose sides are not multiples is padded at the bottom and the right with its last row and
column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from burnish.types import Pixels, Rectangle

# Rows of blocks that are packed or unpacked at a time. They fit into the processor's cache, from
# which each channel takes its share of the pixels.
_STRIP = 16


@dataclass(frozen=True)
class Tile:
    """A rectangle of the output, and the rectangle of the image that it is computed from."""

    core: Rectangle
    padded: Rectangle

    @property
    def core_offset(self) -> tuple[int, int]:
        """The row and the column of the core in the padded tile."""
        return self.core.top - self.padded.top, self.core.left - self.padded.left


@dataclass(frozen=True)
class TileGrid:
    """The size of an image and the requirements of its network, all in px.

    Parameters
    ----------
    halo : radius of the receptive field
    size_multiple : padded tiles start and end on multiples of this
    """

    height: int
    width: int
    halo: int
    size_multiple: int

    @property
    def padded_height(self) -> int:
        """The height, rounded up to the size multiple."""
        return _round_up(self.height, self.size_multiple)

    @property
    def padded_width(self) -> int:
        """The width, rounded up to the size multiple."""
        return _round_up(self.width, self.size_multiple)

    @property
    def aligned_halo(self) -> int:
        """The halo, rounded up to the size multiple."""
        return _round_up(self.halo, self.size_multiple)

    @property
    def min_pixels(self) -> int:
        """The area of the smallest padded tile.

        Its core is as wide as the halo, so that the network works on nine times the core's area.
        Smaller tiles would hardly save memory, and take much longer.
        """
        side = 3 * self.aligned_halo or self.size_multiple
        return min(side, self.padded_height) * min(side, self.padded_width)

    def clip(self, rectangle: Rectangle) -> Rectangle:
        """Return the part of a rectangle that lies in the image without its padding."""
        bottom, right = min(rectangle.bottom, self.height), min(rectangle.right, self.width)
        return Rectangle(rectangle.top, bottom, rectangle.left, right)


def plan_tiles(grid: TileGrid, max_pixels: int, top: int = 0) -> list[Tile]:
    """Cover the image from row `top` on with tiles of nearly equal size, in reading order.

    Among the divisions within the limit, the one with the least work in halos is chosen.

    Parameters
    ----------
    max_pixels : largest area of a padded tile, at least the grid's `min_pixels`
    top : a multiple of the grid's size multiple

    Examples
    --------
    >>> grid = TileGrid(height=5, width=100, halo=2, size_multiple=1)
    >>> for tile in plan_tiles(grid, max_pixels=300):
    ...     print(tile.core.left, tile.core.right, tile.padded.left, tile.padded.right)
    0 50 0 52
    50 100 48 100
    """
    rows, columns = _num_tiles(grid, max_pixels, top)
    cores = [
        Rectangle(core_top, core_bottom, left, right)
        for core_top, core_bottom in _split(top, grid.padded_height, rows, grid.size_multiple)
        for left, right in _split(0, grid.padded_width, columns, grid.size_multiple)
    ]
    return [Tile(core, _with_halo(grid, core)) for core in cores]


def pack(
    pixels: Pixels,
    size: tuple[int, int],
    block: int = 1,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Convert pixels to planes, padded at the bottom and the right with the last row and column.

    One copy takes a fraction of the time of separate transposes, pads and rearrangements.

    Parameters
    ----------
    pixels : (rows, columns, 3), rows and columns at most `size`
    size : height and width after padding, px; multiples of `block`
    block : side of the blocks whose pixels become channels, px
    out : memory for the result, at least as many values [default: new memory]

    Returns
    -------
    ndarray of shape (1, 3 * block**2, height / block, width / block), in the channel order of
    torch's pixel_unshuffle: by colour, then by row and column in the block

    Examples
    --------
    >>> pack(np.arange(12, dtype=np.float32).reshape(2, 2, 3), (2, 2), 2).ravel()
    array([ 0.,  3.,  6.,  9.,  1.,  4.,  7., 10.,  2.,  5.,  8., 11.],
          dtype=float32)
    """
    height, width = size
    shape = 1, pixels.shape[2] * block**2, height // block, width // block
    if out is None:
        out = np.empty(prod(shape), np.float32)
    planes = out[: prod(shape)].reshape(shape)
    for top in range(0, height // block, _STRIP):
        strip = pixels[top * block : (top + _STRIP) * block]
        for channel, plane in enumerate(planes[0, :, top : top + _STRIP]):
            colour, row, column = _position(channel, block)
            source = strip[row::block, column::block, colour]
            rows, columns = source.shape
            plane[:rows, :columns] = source
            plane[:rows, columns:] = strip[row::block, -1:, colour]
            plane[rows:, :columns] = pixels[-1:, column::block, colour]
            plane[rows:, columns:] = pixels[-1, -1, colour]
    return planes


def unpack(
    planes: NDArray[np.float32], block: int, out: Pixels, top: int = 0, left: int = 0
) -> None:
    """Convert a part of planes to pixels; the inverse of `pack`.

    Parameters
    ----------
    planes : (1, 3 * block**2, rows, columns), in the order of torch's pixel_shuffle
    block : side of the blocks, px
    out : (height, width, 3), receives the part
    top, left : position of the part, px; multiples of `block`

    Examples
    --------
    >>> pixels = np.empty((2, 2, 3), np.float32)
    >>> unpack(np.arange(12, dtype=np.float32).reshape(1, 12, 1, 1), 2, pixels)
    >>> pixels[..., 0]
    array([[0., 1.],
           [2., 3.]], dtype=float32)
    """
    part = planes[0, :, top // block :, left // block :]
    for start in range(0, -(-len(out) // block), _STRIP):
        strip = out[start * block : (start + _STRIP) * block]
        for channel, plane in enumerate(part[:, start : start + _STRIP]):
            colour, row, column = _position(channel, block)
            target = strip[row::block, column::block, colour]
            target[...] = plane[: target.shape[0], : target.shape[1]]


def _position(channel: int, block: int) -> tuple[int, int, int]:
    """Return the colour of a channel, and its row and column in the block."""
    colour, index = divmod(channel, block**2)
    return colour, *divmod(index, block)


def _num_tiles(grid: TileGrid, max_pixels: int, top: int) -> tuple[int, int]:
    """Return the rows and columns of tiles with the least work within the limit."""
    height, width = grid.padded_height - top, grid.padded_width
    candidates = []
    for columns in range(1, _max_tiles(width, grid) + 1):
        core_width = _round_up(-(-width // columns), grid.size_multiple)
        tile_width = min(width, core_width + 2 * grid.aligned_halo)
        rows = _num_rows(grid, max_pixels // tile_width, height)
        if rows is not None:
            tile_height = min(grid.padded_height, -(-height // rows) + 2 * grid.aligned_halo)
            candidates.append((rows * columns * tile_width * tile_height, rows, columns))
    _, rows, columns = min(candidates)
    return rows, columns


def _num_rows(grid: TileGrid, max_height: int, height: int) -> int | None:
    """Return how many rows of padded tiles of at most this height are needed, or None."""
    if max_height >= grid.padded_height:
        return 1
    core_height = (max_height - 2 * grid.aligned_halo) // grid.size_multiple * grid.size_multiple
    if core_height < 1:
        return None
    rows = -(-height // core_height)
    return rows if rows <= _max_tiles(height, grid) else None


def _max_tiles(length: int, grid: TileGrid) -> int:
    """Return how many cores of the smallest tile cover a length."""
    return -(-length // max(grid.aligned_halo, grid.size_multiple))


def _split(start: int, end: int, parts: int, size_multiple: int) -> Iterator[tuple[int, int]]:
    """Split a range into nearly equal parts, on multiples."""
    blocks = (end - start) // size_multiple
    return pairwise(start + size_multiple * (blocks * i // parts) for i in range(parts + 1))


def _with_halo(grid: TileGrid, core: Rectangle) -> Rectangle:
    return Rectangle(
        max(0, core.top - grid.aligned_halo),
        min(grid.padded_height, core.bottom + grid.aligned_halo),
        max(0, core.left - grid.aligned_halo),
        min(grid.padded_width, core.right + grid.aligned_halo),
    )


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
