"""Run lengths: masks as COCO's files hold them, column by column, from what is outside on."""

import numpy as np

from burnish.types import BoolMask


def decode(counts: str | list[int], height: int, width: int) -> BoolMask:
    """Return the mask that run lengths, as numbers or as COCO's text of them, stand for.

    Shape: -> (height, width)

    Raises
    ------
    ValueError : they are none, or do not add up to the mask's size; the message says which

    Examples
    --------
    >>> decode([1, 2, 3], 2, 3).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    runs = np.array(_unpack_numbers(counts) if isinstance(counts, str) else counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any():
        raise ValueError("run lengths that are no counts")
    # Each bounded first: a sum of huge ones could wrap around to what is expected.
    if (runs > height * width).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths for {runs.sum()} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    flat: BoolMask = np.repeat(inside, runs)
    return flat.reshape(width, height).T


def encode(mask: BoolMask) -> str:
    """Return a mask's run lengths as COCO's text.

    Examples
    --------
    >>> mask = np.array([[False, True], [True, True]])
    >>> encode(mask), bool((decode(encode(mask), 2, 2) == mask).all())
    ('13', True)
    """
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.append(edges, mask.size) if not len(edges) or edges[-1] < mask.size else edges
    runs = np.diff(ends, prepend=0).tolist()
    text = []
    for index, run in enumerate(runs):
        # From the third on, each is told by its difference from the one before the last.
        text.append(_pack_number(run - runs[index - 2] if index > 2 else run))
    return "".join(text)


def _pack_number(value: int) -> str:
    """Write a number in groups of five bits, the lowest first; the sixth says that more follow."""
    text = ""
    more = True
    while more:
        group = value & 31
        value >>= 5
        more = value != (-1 if group & 16 else 0)
        text += chr((group | 32 if more else group) + 48)
    return text


def _unpack_numbers(text: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError("run lengths in another writing than COCO's")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("run lengths that break off")
    return runs
