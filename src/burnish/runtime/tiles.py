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

from burnish.errors import UsageError
from burnish.types import Rectangle


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
    """The size of an image and the requirements of its network.

    Parameters
    ----------
    height, width : of the image, px
    halo : radius of the receptive field, px
    size_multiple : padded tiles start and end on multiples of this, px
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
        side = 3 * self.aligned_halo if self.aligned_halo else self.size_multiple
        return min(side, self.padded_height) * min(side, self.padded_width)

    def clip(self, rectangle: Rectangle) -> Rectangle:
        """Return the part of a rectangle that lies in the image without its padding."""
        return Rectangle(
            rectangle.top,
            min(rectangle.bottom, self.height),
            rectangle.left,
            min(rectangle.right, self.width),
        )


def plan_tiles(grid: TileGrid, max_pixels: int, top: int = 0) -> list[Tile]:
    """Cover the image from row `top` on with tiles of nearly equal size, in reading order.

    Among the divisions within the limit, the one with the least work in halos is chosen.

    Parameters
    ----------
    max_pixels : largest area of a padded tile
    top : a multiple of the grid's size multiple

    Raises
    ------
    UsageError : `max_pixels` is less than the grid's `min_pixels`

    Examples
    --------
    >>> grid = TileGrid(height=5, width=100, halo=2, size_multiple=1)
    >>> for tile in plan_tiles(grid, max_pixels=300):
    ...     print(tile.core.left, tile.core.right, tile.padded.left, tile.padded.right)
    0 50 0 52
    50 100 48 100
    """
    if max_pixels < grid.min_pixels:
        raise UsageError(
            "tile size",
            expected=f"at least {grid.min_pixels} px",
            got=f"{max_pixels} px",
            remedy="allow more memory",
        )
    rows, columns = _num_tiles(grid, max_pixels, top)
    cores = [
        Rectangle(core_top, core_bottom, left, right)
        for core_top, core_bottom in _split(top, grid.padded_height, rows, grid.size_multiple)
        for left, right in _split(0, grid.padded_width, columns, grid.size_multiple)
    ]
    return [Tile(core, _with_halo(grid, core)) for core in cores]


def _num_tiles(grid: TileGrid, max_pixels: int, top: int) -> tuple[int, int]:
    """Return the rows and columns of tiles with the least work within the limit."""
    height, width = grid.padded_height - top, grid.padded_width
    candidates = []
    for columns in range(1, _max_tiles(width, grid) + 1):
        tile_width = min(
            width, _round_up(-(-width // columns), grid.size_multiple) + 2 * grid.aligned_halo
        )
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
    edges = [start + size_multiple * (blocks * part // parts) for part in range(parts + 1)]
    return pairwise(edges)


def _with_halo(grid: TileGrid, core: Rectangle) -> Rectangle:
    return Rectangle(
        max(0, core.top - grid.aligned_halo),
        min(grid.padded_height, core.bottom + grid.aligned_halo),
        max(0, core.left - grid.aligned_halo),
        min(grid.padded_width, core.right + grid.aligned_halo),
    )


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
