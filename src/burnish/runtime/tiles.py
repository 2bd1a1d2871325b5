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

    interior: Rectangle
    source: Rectangle


@dataclass(frozen=True)
class Frame:
    """A picture's size and what its network asks of tiles.

    Parameters
    ----------
    height, width : of the picture, px
    halo : how far a result pixel sees, px
    multiple : sources start and end on multiples of this, px
    """

    height: int
    width: int
    halo: int
    multiple: int

    @property
    def full_height(self) -> int:
        """The height, continued to the multiple."""
        return _up(self.height, self.multiple)

    @property
    def full_width(self) -> int:
        """The width, continued to the multiple."""
        return _up(self.width, self.multiple)

    @property
    def margin(self) -> int:
        """The halo, widened to the multiple."""
        return _up(self.halo, self.multiple)

    @property
    def smallest(self) -> int:
        """Pixels of the smallest source worth running.

        Its interior is as wide as the halo: the network works on nine times what it gives. Smaller
        ones would hardly save memory, and be slow without bound.
        """
        side = 3 * self.margin if self.margin else self.multiple
        return min(side, self.full_height) * min(side, self.full_width)


def plan(frame: Frame, limit: int, top: int = 0) -> list[Tile]:
    """Cover the picture from row `top` on with tiles, in reading order.

    Tiles are nearly equal in size, and of all grids that keep to the limit, the one with the least
    work in halos is taken.

    Parameters
    ----------
    limit : most pixels in a source
    top : a multiple of the frame's; rows above are done already

    Raises
    ------
    UsageError : the limit is below the frame's smallest

    Examples
    --------
    >>> for tile in plan(Frame(height=5, width=100, halo=2, multiple=1), limit=300):
    ...     print(tile.interior.left, tile.interior.right, tile.source.left, tile.source.right)
    0 50 0 52
    50 100 48 100
    """
    if limit < frame.smallest:
        raise UsageError(
            "tile size",
            expected=f"at least {frame.smallest} px",
            got=f"{limit} px",
            remedy="allow more memory",
        )
    rows, columns = _grid(frame, limit, top)
    return [
        Tile(Rectangle(t, b, left, right), _around(frame, Rectangle(t, b, left, right)))
        for t, b in _cuts(top, frame.full_height, rows, frame.multiple)
        for left, right in _cuts(0, frame.full_width, columns, frame.multiple)
    ]


def within(frame: Frame, part: Rectangle) -> Rectangle:
    """Return what of a part lies in the picture, and not where it is continued."""
    return Rectangle(
        part.top, min(part.bottom, frame.height), part.left, min(part.right, frame.width)
    )


def corner(tile: Tile) -> tuple[int, int]:
    """Return the row and the column of a tile's source where its interior begins."""
    return tile.interior.top - tile.source.top, tile.interior.left - tile.source.left


def _grid(frame: Frame, limit: int, top: int) -> tuple[int, int]:
    """Return how many rows and columns of tiles make the least work within the limit."""
    height, width = frame.full_height - top, frame.full_width
    grids = []
    for columns in range(1, _most(width, frame) + 1):
        across = min(width, _up(-(-width // columns), frame.multiple) + 2 * frame.margin)
        rows = _rows(frame, limit // across, height)
        if rows is not None:
            down = min(frame.full_height, -(-height // rows) + 2 * frame.margin)
            grids.append((rows * columns * across * down, rows, columns))
    _, rows, columns = min(grids)
    return rows, columns


def _rows(frame: Frame, down: int, height: int) -> int | None:
    """Return how many rows of tiles are needed where a source may be `down` px high, if any do."""
    if down >= frame.full_height:
        return 1
    interior = (down - 2 * frame.margin) // frame.multiple * frame.multiple
    if interior < 1:
        return None
    rows = -(-height // interior)
    return rows if rows <= _most(height, frame) else None


def _most(length: int, frame: Frame) -> int:
    """Return how many parts as long as the smallest tile's interior cover a length."""
    return -(-length // max(frame.margin, frame.multiple))


def _cuts(start: int, end: int, parts: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Cut a range, in nearly equal parts, on multiples."""
    blocks = (end - start) // multiple
    edges = [start + multiple * (blocks * part // parts) for part in range(parts + 1)]
    return pairwise(edges)


def _around(frame: Frame, inside: Rectangle) -> Rectangle:
    return Rectangle(
        max(0, inside.top - frame.margin),
        min(frame.full_height, inside.bottom + frame.margin),
        max(0, inside.left - frame.margin),
        min(frame.full_width, inside.right + frame.margin),
    )


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
