"""Order: decoding times for packets whose display times are known."""

from collections.abc import Sequence
from itertools import pairwise


def dts_from_pts(pts: Sequence[int]) -> list[int]:
    """Return a time to decode each packet at: rising, and never after it is shown.

    Stretches that were encoded apart each begin to decode before their first frame is shown, which
    is before the stretch before has ended. Seen as one, they are decoded at the times at which
    frames are shown, late by as many as frames are out of order.

    Parameters
    ----------
    pts : when each packet is shown, in the order they are decoded; no two alike

    Examples
    --------
    >>> dts_from_pts([0, 3, 1, 2, 7])
    [-1, 0, 1, 2, 3]
    """
    display_order = sorted(pts)
    rank = {value: number for number, value in enumerate(display_order)}
    delay = max((number - rank[stamp] for number, stamp in enumerate(pts)), default=0)
    lead = display_order[delay] - display_order[0] if delay else 0
    return [
        display_order[n - delay] if n >= delay else display_order[n] - lead
        for n in range(len(display_order))
    ]


def durations(pts: Sequence[int], last_duration: int) -> list[int]:
    """Return how long each frame shows: until the next one does.

    Parameters
    ----------
    pts : when each is shown, in any order
    last_duration : how long the last one does

    Examples
    --------
    >>> durations([0, 3, 1, 2, 7], 5)
    [1, 4, 1, 1, 5]
    """
    display_order = sorted(pts)
    duration_of = {now: then - now for now, then in pairwise(display_order)}
    return [duration_of.get(value, last_duration) for value in pts]
