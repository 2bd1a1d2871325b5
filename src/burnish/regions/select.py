"""Select objects of an image by class, score, area, number, click and box."""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np

from burnish.detection.instances import MASK_THRESHOLD, Instances, mask_crop
from burnish.errors import PhotoError, UsageError
from burnish.regions.options import Box, Point, RegionOptions


def check_classes(names: Iterable[str], available: Sequence[str]) -> None:
    """Check that a detector knows class names.

    Raises
    ------
    UsageError : it does not know one of them

    Examples
    --------
    >>> check_classes(["persom"], ["object", "person"])
    Traceback (most recent call last):
    burnish.errors.UsageError: persom: the detector does not know this class; did you mean person?
    """
    for name in names:
        if name in available:
            continue
        similar = difflib.get_close_matches(name, available, n=1)
        first = ", ".join(available[:20]) + (", ..." if len(available) > 20 else "")
        raise UsageError(
            name or "''",
            "the detector does not know this class",
            f"did you mean {similar[0]}?" if similar else f"choose one of {first}",
        )


def select_objects(
    options: RegionOptions, instances: Instances, source_name: str = "image"
) -> list[int]:
    """Return the indices of the selected objects, by descending score.

    Parameters
    ----------
    source_name : name of the image, for error messages

    Raises
    ------
    PhotoError : a number is not in the list, or a click is outside the image or on no object
    """
    for number in options.numbers:
        if not 1 <= number <= len(instances):
            raise PhotoError(
                source_name,
                f"object {number} is selected, but {len(instances)} are found",
                "see `burnish regions list PHOTO -o numbered.png`",
            )
    selected = [
        index
        for index in range(len(instances))
        if (not options.classes or instances.labels[index] in options.classes)
        and float(instances.scores[index]) >= options.value("min_score")
        and (not options.numbers or index + 1 in options.numbers)
    ]
    low, high = options.value("min_area"), options.value("max_area")
    if low <= 0 and high >= 100 and options.box is None and not options.clicks:
        return selected
    areas = {index: mask_area(instances, index) for index in selected}
    percent = 100 / (instances.size[0] * instances.size[1])
    selected = [index for index in selected if low <= areas[index] * percent <= high]
    if options.box is not None:
        inside = {index: mask_area(instances, index, options.box) for index in selected}
        selected = [index for index in selected if 0 < areas[index] <= 2 * inside[index]]
    if not options.clicks:
        return selected
    clicked = {
        _at_click(instances, selected, areas, click, source_name) for click in options.clicks
    }
    return [index for index in selected if index in clicked]


def mask_area(instances: Instances, index: int, box: Box | None = None) -> int:
    """Count the pixels of an object, or those of them with their centre in a box."""
    mask, left, top = mask_crop(instances, index)
    inside = mask >= MASK_THRESHOLD
    if box is not None:
        x = np.arange(inside.shape[1]) + left + 0.5
        y = np.arange(inside.shape[0]) + top + 0.5
        inside = inside[(y > box[1]) & (y < box[3])][:, (x > box[0]) & (x < box[2])]
    return int(np.count_nonzero(inside))


def _at_click(
    instances: Instances,
    candidates: Sequence[int],
    areas: dict[int, int],
    click: Point,
    source_name: str,
) -> int:
    """Return the smallest of the objects at a pixel, since one may lie on another."""
    x, y = (int(np.floor(value)) for value in click)
    point = f"{click[0]:g},{click[1]:g}"
    width, height = instances.size
    if not (0 <= x < width and 0 <= y < height):
        raise PhotoError(
            source_name,
            f"the click {point} lies outside the {width} x {height} pixels",
            "count pixels from the upper left corner",
        )
    hits = [index for index in candidates if _contains(instances, index, x, y)]
    if not hits:
        raise PhotoError(
            source_name,
            f"none of {len(candidates)} objects lies at the click {point}",
            "see `burnish regions list PHOTO -o numbered.png`, or lower --min-score",
        )
    return min(hits, key=lambda index: areas[index])


def _contains(instances: Instances, index: int, x: int, y: int) -> bool:
    mask, left, top = mask_crop(instances, index)
    row, column = y - top, x - left
    if not (0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]):
        return False
    return bool(mask[row, column] >= MASK_THRESHOLD)
