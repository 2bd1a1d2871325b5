"""Cut a picture into tiles so that the tiles' results, put together, are the whole's.

A tile has an interior, which it contributes to the result, and a source, which is the interior and
a halo around it, clipped at the picture's border. Where the halo is the network's reach, an
interior comes out as it does from the whole picture. Interiors and sources start and end on the
network's size multiple; a picture that does not is continued to the right and below by its last
column and row, the same whatever the tiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from burnish.errors import UsageError
from burnish.photo.rectangle import Rectangle


@dataclass(frozen=True)
class Tile:
    """A part of the result, and the part of the picture that it is made from."""

    core: Rectangle
    padded: Rectangle


@dataclass(frozen=True)
class TileGrid:
    """A picture's size and what its network asks of tiles.

    Parameters
    ----------
    height, width : of the picture, px
    halo : how far a result pixel sees, px
    size_multiple : sources start and end on multiples of this, px
    """

    height: int
    width: int
    halo: int
    size_multiple: int

    @property
    def padded_height(self) -> int:
        """The height, continued to the multiple."""
        return _round_up(self.height, self.size_multiple)

    @property
    def padded_width(self) -> int:
        """The width, continued to the multiple."""
        return _round_up(self.width, self.size_multiple)

    @property
    def aligned_halo(self) -> int:
        """The halo, widened to the multiple."""
        return _round_up(self.halo, self.size_multiple)

    @property
    def min_pixels(self) -> int:
        """Pixels of the smallest source worth running.

        Its interior is as wide as the halo: the network works on nine times what it gives. Smaller
        ones would hardly save memory, and be slow without bound.
        """
        side = 3 * self.aligned_halo if self.aligned_halo else self.size_multiple
        return min(side, self.padded_height) * min(side, self.padded_width)


def plan_tiles(grid: TileGrid, max_pixels: int, top: int = 0) -> list[Tile]:
    """Cover the picture from row `top` on with tiles, in reading order.

    Tiles are nearly equal in size, and of all grids that keep to the limit, the one with the least
    work in halos is taken.

    Parameters
    ----------
    max_pixels : most pixels in a source
    top : a multiple of the frame's; rows above are done already

    Raises
    ------
    UsageError : the limit is below the frame's smallest

    Examples
    --------
    >>> for tile in plan_tiles(TileGrid(height=5, width=100, halo=2, multiple=1), max_pixels=300):
    ...     print(tile.interior.left, tile.interior.right, tile.source.left, tile.source.right)
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
    return [
        Tile(Rectangle(t, b, left, right), _with_halo(grid, Rectangle(t, b, left, right)))
        for t, b in _split(top, grid.padded_height, rows, grid.size_multiple)
        for left, right in _split(0, grid.padded_width, columns, grid.size_multiple)
    ]


def clip_to_image(grid: TileGrid, rectangle: Rectangle) -> Rectangle:
    """Return what of a part lies in the picture, and not where it is continued."""
    return Rectangle(
        rectangle.top,
        min(rectangle.bottom, grid.height),
        rectangle.left,
        min(rectangle.right, grid.width),
    )


def core_offset(tile: Tile) -> tuple[int, int]:
    """Return the row and the column of a tile's source where its interior begins."""
    return tile.core.top - tile.padded.top, tile.core.left - tile.padded.left


def _num_tiles(grid: TileGrid, max_pixels: int, top: int) -> tuple[int, int]:
    """Return how many rows and columns of tiles make the least work within the limit."""
    height, width = grid.padded_height - top, grid.padded_width
    grids = []
    for columns in range(1, _max_tiles(width, grid) + 1):
        across = min(
            width, _round_up(-(-width // columns), grid.size_multiple) + 2 * grid.aligned_halo
        )
        rows = _num_rows(grid, max_pixels // across, height)
        if rows is not None:
            down = min(grid.padded_height, -(-height // rows) + 2 * grid.aligned_halo)
            grids.append((rows * columns * across * down, rows, columns))
    _, rows, columns = min(grids)
    return rows, columns


def _num_rows(grid: TileGrid, down: int, height: int) -> int | None:
    """Return how many rows of tiles are needed where a source may be `down` px high, if any do."""
    if down >= grid.padded_height:
        return 1
    interior = (down - 2 * grid.aligned_halo) // grid.size_multiple * grid.size_multiple
    if interior < 1:
        return None
    rows = -(-height // interior)
    return rows if rows <= _max_tiles(height, grid) else None


def _max_tiles(length: int, grid: TileGrid) -> int:
    """Return how many parts as long as the smallest tile's interior cover a length."""
    return -(-length // max(grid.aligned_halo, grid.size_multiple))


def _split(start: int, end: int, parts: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Cut a range, in nearly equal parts, on multiples."""
    blocks = (end - start) // multiple
    edges = [start + multiple * (blocks * part // parts) for part in range(parts + 1)]
    return pairwise(edges)


def _with_halo(grid: TileGrid, rectangle: Rectangle) -> Rectangle:
    return Rectangle(
        max(0, rectangle.top - grid.aligned_halo),
        min(grid.padded_height, rectangle.bottom + grid.aligned_halo),
        max(0, rectangle.left - grid.aligned_halo),
        min(grid.padded_width, rectangle.right + grid.aligned_halo),
    )


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
