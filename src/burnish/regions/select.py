"""Select: which of the objects in a picture are meant."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.detection.instances import Instances, mask_crop
from burnish.errors import PhotoError, UsageError

# Left, top, right, bottom, px.
Box = tuple[float, float, float, float]
# From here on a pixel belongs to an object.
MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Selection:
    """Which objects are meant. Every condition narrows; several classes, numbers or clicks join.

    Parameters
    ----------
    classes : names, such as "person"; none means all
    min_score : how certain the detector has to be, 0 to 1
    min_area, max_area : per cent of the picture
    numbers : places in the list of all that was found, from 1, the most certain first
    clicks : x and y, px; each means the smallest object that it hits
    box : an object is meant where at least half of it lies in the box

    Raises
    ------
    UsageError : a value outside its range

    Examples
    --------
    >>> Selection(min_score=2)
    Traceback (most recent call last):
    burnish.errors.UsageError: min_score: expected 0 to 1, got 2; choose a value in the range
    """

    classes: tuple[str, ...] = ()
    min_score: float = 0.5
    min_area: float = 0.0
    max_area: float = 100.0
    numbers: tuple[int, ...] = ()
    clicks: tuple[tuple[float, float], ...] = ()
    box: Box | None = None

    def __post_init__(self) -> None:
        for name, most in (("min_score", 1), ("min_area", 100), ("max_area", 100)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise UsageError(
                    name,
                    expected=f"0 to {most}",
                    got=f"{value}",
                    remedy="choose a value in the range",
                )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise UsageError(
                "box",
                expected="left, top, right, bottom, left before right and top above bottom",
                got=",".join(f"{edge:g}" for edge in self.box),
                remedy="such as 10,20,200,300",
            )

    @property
    def selects_objects(self) -> bool:
        """Whether anything is asked of objects; a box alone may be a plain rectangle."""
        return self != Selection(box=self.box)


def check_classes(names: Iterable[str], available: Sequence[str]) -> None:
    """See that classes are among those that a detector knows.

    Raises
    ------
    UsageError : one is not

    Examples
    --------
    >>> check_classes(["persom"], ["object", "person"])
    Traceback (most recent call last):
    burnish.errors.UsageError: persom: expected a class that the detector knows, got another; \
did you mean person?
    """
    for name in names:
        if name in available:
            continue
        near = difflib.get_close_matches(name, available, n=1)
        others = ", ".join(available[:20]) + (", ..." if len(available) > 20 else "")
        raise UsageError(
            name or "''",
            expected="a class that the detector knows",
            got="another",
            remedy=f"did you mean {near[0]}?" if near else f"there are {others}",
        )


def select_objects(
    selection: Selection, instances: Instances, source_name: str = "picture"
) -> list[int]:
    """Return the places in `instances` of the objects that are meant, the most certain first.

    Parameters
    ----------
    source_name : names the picture in messages

    Raises
    ------
    PhotoError : a number that is not in the list, or a click outside the picture or on no object
    """
    for number in selection.numbers:
        if not 1 <= number <= len(instances):
            raise PhotoError(
                source_name,
                expected=f"numbers from 1 to {len(instances)}, the objects found",
                got=f"{number}",
                remedy="`burnish regions list PHOTO -o numbered.png` shows them",
            )
    left = [
        index
        for index in range(len(instances))
        if (not selection.classes or instances.labels[index] in selection.classes)
        and float(instances.scores[index]) >= selection.min_score
        and (not selection.numbers or index + 1 in selection.numbers)
    ]
    areas = dict.fromkeys(left, 0)
    if selection.min_area > 0 or selection.max_area < 100 or selection.box or selection.clicks:
        areas = {index: mask_area(instances, index) for index in left}
    share = 100 / (instances.size[0] * instances.size[1])
    left = [i for i in left if selection.min_area <= areas[i] * share <= selection.max_area]
    if selection.box is not None:
        left = [i for i in left if 0 < areas[i] <= 2 * mask_area(instances, i, selection.box)]
    if not selection.clicks:
        return left
    hit = {_at_click(instances, left, areas, click, source_name) for click in selection.clicks}
    return [index for index in left if index in hit]


def mask_area(instances: Instances, index: int, box: Box | None = None) -> int:
    """Count the pixels of an object, or those of them whose middles lie in a box."""
    part, left, top = mask_crop(instances, index)
    inside = part >= MASK_THRESHOLD
    if box is not None:
        columns = np.arange(inside.shape[1]) + left + 0.5
        rows = np.arange(inside.shape[0]) + top + 0.5
        inside = inside[(rows > box[1]) & (rows < box[3])][
            :, (columns > box[0]) & (columns < box[2])
        ]
    return int(np.count_nonzero(inside))


def _at_click(
    instances: Instances,
    left: Sequence[int],
    areas: dict[int, int],
    click: tuple[float, float],
    source_name: str,
) -> int:
    """Return the smallest object that has the pixel of a click: one may lie on another."""
    x, y = (int(np.floor(value)) for value in click)
    said = f"{click[0]:g},{click[1]:g}"
    width, height = instances.size
    if not (0 <= x < width and 0 <= y < height):
        raise PhotoError(
            source_name,
            expected=f"a click inside its {width} x {height} pixels",
            got=said,
            remedy="count from the left upper corner",
        )
    hits = [index for index in left if _contains(instances, index, x, y)]
    if not hits:
        raise PhotoError(
            source_name,
            expected="a click on one of the objects meant",
            got=f"none at {said} among {len(left)}",
            remedy="`burnish regions list PHOTO -o numbered.png` shows them, or lower --min-score",
        )
    return min(hits, key=lambda index: areas[index])


def _contains(instances: Instances, index: int, x: int, y: int) -> bool:
    part, left, top = mask_crop(instances, index)
    row, column = y - top, x - left
    if not (0 <= row < part.shape[0] and 0 <= column < part.shape[1]):
        return False
    return bool(part[row, column] >= MASK_THRESHOLD)
