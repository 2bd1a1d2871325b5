"""Edges: what a person may turn on the edges of a region, described once."""

from dataclasses import dataclass

from burnish.params import Param

EDGE_PARAMS = (
    Param(
        "threshold",
        "makes regions smaller: how much of a pixel has to be an object's",
        default=0.5,
        low=0.01,
        high=1,
    ),
    Param(
        "margin",
        "makes each object larger by so much",
        default=0,
        low=0,
        high=100,
        unit="% of its own size",
    ),
    Param("grow", "makes regions larger by so much", default=0, low=0, high=1000, unit="px"),
    Param(
        "shrink",
        "makes regions smaller by so much, after growing",
        default=0,
        low=0,
        high=1000,
        unit="px",
    ),
    Param(
        "feather",
        "lets the edit come in more softly, over so much inside the object",
        default=1,
        low=0,
        high=1000,
        unit="px",
    ),
)


@dataclass(frozen=True)
class Edges:
    """What becomes of a mask's edges, in this order.

    Parameters
    ----------
    refine : bring coarse masks to the photo's own edges; None does it where a mask has fewer pixels
        than its place in the picture, False never
    threshold : from here on a pixel belongs to an object
    margin : per cent of an object's size, the side of a square as large as its box, to grow it by;
        nothing to masks and boxes that are no objects
    grow, shrink : px
    feather : px, inside the object

    Raises
    ------
    UsageError : a value outside its range

    Examples
    --------
    >>> Edges(grow=-1)
    Traceback (most recent call last):
    burnish.errors.UsageError: grow: expected 0 to 1000 px, got -1; choose a value in the range
    """

    refine: bool | None = None
    threshold: float = 0.5
    margin: float = 0.0
    grow: float = 0.0
    shrink: float = 0.0
    feather: float = 1.0

    def __post_init__(self) -> None:
        for param in EDGE_PARAMS:
            param.check(getattr(self, param.name))
