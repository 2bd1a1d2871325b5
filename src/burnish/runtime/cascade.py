"""The levels of a guided network's cascade, at which the photo grows to its own size."""

from collections.abc import Mapping
from math import log2
from typing import TYPE_CHECKING, Any

from burnish.modelfile.card import Card, Guide
from burnish.params import Value, resolve_params, slider_values
from burnish.types import Pixels, ReadRegion

if TYPE_CHECKING:
    from burnish.operators.operator import Operator

# The least ratio of a photo's size and the first level's, if the operator computes a large one.
OPERATOR_RATIO = 2
# Largest copy of a photo on which an operator measures, px.
MEASURED_PIXELS = 4_000_000


def level_ratios(size: tuple[int, int], guide: Guide) -> list[float]:
    """Return the size of each level divided by the photo's, smallest first. The last one is 1.

    Neighbouring levels differ by the same factor, `guide.max_ratio` at most. At the first level,
    the shorter side is `guide.size`; a photo that is not larger than that has no other level.

    With `guide.halved`, levels differ by powers of two instead. The first level is the smallest
    with a shorter side of at least `guide.size`.

    Parameters
    ----------
    size : height and width of the photo, px
    """
    short_side, count = min(size), 0
    if guide.halved:
        while guide.size * 2 ** (count + 1) <= short_side:
            count += 1
        halvings = [*range(0, count, int(log2(guide.max_ratio))), count]
        return [0.5**number for number in reversed(halvings)]
    while guide.size * guide.max_ratio**count < short_side:
        count += 1
    return [*((guide.size / short_side) ** (1 - index / count) for index in range(count)), 1.0]


def operator_guide(size: tuple[int, int], guide: Guide) -> Guide:
    """Return the cascade of a photo whose first level the operator computes.

    The first level of a large photo may be larger then. What the operator computes for it is closer
    to its result for the photo.

    Parameters
    ----------
    size : height and width of the photo, px

    Examples
    --------
    >>> guide = Guide(size=256, operator_size=512, max_ratio=4.5)
    >>> [operator_guide((side, 2 * side), guide).size for side in (300, 1000, 3000)]
    [256, 500, 512]
    """
    if guide.operator_size is None:
        return guide
    side = min(guide.operator_size, min(size) // OPERATOR_RATIO)
    return guide.model_copy(update={"size": max(guide.size, side)})


def level_sizes(size: tuple[int, int], guide: Guide) -> list[tuple[int, int]]:
    """Return the height and width of each level, smallest first. The last one is the photo's.

    Examples
    --------
    >>> level_sizes((3000, 4000), Guide(size=256, max_ratio=4.5))
    [(256, 341), (876, 1168), (3000, 4000)]
    >>> level_sizes((3000, 4000), Guide(size=256, max_ratio=4.5, halved=True))
    [(375, 500), (750, 1000), (3000, 4000)]
    """
    height, width = size
    return [(_scale(height, k), _scale(width, k)) for k in level_ratios(size, guide)]


def params_at_size(card: Card, params: Mapping[str, Value], k: float) -> Mapping[str, Value]:
    """Return the values of a model's sliders for a copy of the image that is k times as large."""
    sliders = [param.as_param() for param in card.sliders]
    return slider_values(sliders, resolve_params(sliders, params, card.name), k)


def operator_output(
    operator: "Operator",
    values: Mapping[str, Value],
    read: ReadRegion,
    size: tuple[int, int],
    first_level: tuple[int, int],
    measured: Mapping[str, Any] | None = None,
) -> Pixels:
    """Return an operator's output for the first level of a photo's cascade.

    Parameters
    ----------
    values : the operator's parameters, for the size of the photo
    read : returns a rectangle of the photo
    size : height and width of the photo, px
    first_level : height and width of its copy, px
    measured : what the operator measures on the whole photo [default: that of this photo]
    """
    from burnish.runtime.resize import area_resize_regions

    if measured is None and operator.measure_function:
        copy = area_resize_regions(read, size, reduced_size(size, MEASURED_PIXELS))
        measured = operator.measure(copy, **values)
    copy = area_resize_regions(read, size, first_level)
    k = min(first_level) / min(size)
    output: Pixels = operator.run_small(copy, k, measured, **values)
    return output


def reduced_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Return a height and width in the same proportion, with about `max_pixels` at most."""
    ratio = min(1.0, (max_pixels / (size[0] * size[1])) ** 0.5)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _scale(side: int, ratio: float) -> int:
    # Halves are rounded up. Python's round() goes to the even neighbour, unlike other languages.
    return max(1, int(side * ratio + 0.5))
