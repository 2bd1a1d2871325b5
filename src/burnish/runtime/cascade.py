"""The levels of a guided network's cascade: sizes of the photo, from coarse to fine."""

from burnish.modelfile.card import Guide


def level_sizes(size: tuple[int, int], guide: Guide) -> list[tuple[int, int]]:
    """Return the height and width of each level, smallest first. The last one is the photo's.

    Ratios of neighbouring levels are equal, and at most `guide.max_ratio`. At the first level, the
    shorter side is `guide.size`; a photo that is not larger than that has no other level.

    Examples
    --------
    >>> level_sizes((3000, 4000), Guide(size=256, max_ratio=4.5))
    [(256, 341), (876, 1169), (3000, 4000)]
    """
    short_side = min(size)
    if short_side <= guide.size:
        return [size]
    count = 1
    while guide.size * guide.max_ratio**count < short_side:
        count += 1
    ratios = ((guide.size / short_side) ** (1 - index / count) for index in range(count + 1))
    return [(_scale(size[0], ratio), _scale(size[1], ratio)) for ratio in ratios]


def _scale(side: int, ratio: float) -> int:
    # Halves are rounded up. Python's round() goes to the even neighbour, unlike other languages.
    return max(1, int(side * ratio + 0.5))
