"""Order: decoding times for packets whose display times are known."""

from collections.abc import Sequence
from itertools import pairwise


def decoding_times(stamps: Sequence[int]) -> list[int]:
    """Return a time to decode each packet at: rising, and never after it is shown.

    Stretches that were encoded apart each begin to decode before their first frame is shown, which
    is before the stretch before has ended. Seen as one, they are decoded at the times at which
    frames are shown, late by as many as frames are out of order.

    Parameters
    ----------
    stamps : when each packet is shown, in the order they are decoded; no two alike

    Examples
    --------
    >>> decoding_times([0, 3, 1, 2, 7])
    [-1, 0, 1, 2, 3]
    """
    shown = sorted(stamps)
    place = {stamp: number for number, stamp in enumerate(shown)}
    late = max((number - place[stamp] for number, stamp in enumerate(stamps)), default=0)
    lead = shown[late] - shown[0] if late else 0
    return [shown[n - late] if n >= late else shown[n] - lead for n in range(len(shown))]


def lengths(stamps: Sequence[int], last: int) -> list[int]:
    """Return how long each frame shows: until the next one does.

    Parameters
    ----------
    stamps : when each is shown, in any order
    last : how long the last one does

    Examples
    --------
    >>> lengths([0, 3, 1, 2, 7], 5)
    [1, 4, 1, 1, 5]
    """
    shown = sorted(stamps)
    until = {now: then - now for now, then in pairwise(shown)}
    return [until.get(stamp, last) for stamp in stamps]
