"""The levels of a guided network's cascade, at which the photo grows to its own size."""

from math import log2

from burnish.modelfile.card import Guide


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


def _scale(side: int, ratio: float) -> int:
    # Halves are rounded up. Python's round() goes to the even neighbour, unlike other languages.
    return max(1, int(side * ratio + 0.5))
