"""RLE: masks as COCO writes them, run lengths down the columns, plain or packed into text."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Five bits a character, from "0" upwards; the sixth says that more follow.
_BITS, _MORE, _FIRST = 5, 32, 48
# No run is longer than a picture, so that a number has few characters.
_LONGEST = 13


class BrokenRleError(ValueError):
    """Run lengths that make no mask of the size."""


def encode(mask: Mask) -> list[int]:
    """Return the lengths of the runs, column by column, zeros and ones in turn, zeros first.

    Shape: (H, W) -> numbers that add up to H * W

    Examples
    --------
    >>> encode(np.array([[0, 1], [1, 1]], bool))
    [1, 3]
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    runs: list[int] = np.diff(edges).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def decode(runs: Sequence[int], size: tuple[int, int]) -> Mask:
    """Return the mask of run lengths.

    Parameters
    ----------
    size : the picture's width and height, px

    Raises
    ------
    BrokenRleError : a length below 0, or lengths that do not add up to the picture

    Examples
    --------
    >>> decode([1, 3], (2, 2)).astype(int).tolist()
    [[0, 1], [1, 1]]
    """
    width, height = size
    lengths = np.asarray(runs, np.int64)
    if (lengths < 0).any() or lengths.sum() != width * height:
        raise BrokenRleError(f"runs that do not add up to {width} x {height}")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(width, height).T


def pack(runs: Iterable[int]) -> str:
    """Pack run lengths into text: from the fourth on, less the one two before; see `unpack`.

    Examples
    --------
    >>> pack([6, 1, 40, 4, 5])
    '61X13mN'
    """
    text = bytearray()
    lengths = list(runs)
    for index, length in enumerate(lengths):
        number = length - lengths[index - 2] if index > 2 else length
        while True:
            low = number & (_MORE - 1)
            number >>= _BITS
            # The last character's highest bit is the number's sign.
            done = number == (-1 if low & 16 else 0)
            text.append(_FIRST + low + (0 if done else _MORE))
            if done:
                break
    return text.decode()


def unpack(text: str) -> list[int]:
    """Return the run lengths that `pack` packed.

    Raises
    ------
    BrokenRleError : a character or an end that no packed text has

    Examples
    --------
    >>> unpack("61X13mN")
    [6, 1, 40, 4, 5]
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        code = ord(character) - _FIRST
        if not 0 <= code < 2 * _MORE or shift > _BITS * _LONGEST:
            raise BrokenRleError(f"the character {character!r} among packed runs")
        number |= (code & (_MORE - 1)) << shift
        shift += _BITS
        if code & _MORE:
            continue
        if code & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    if shift:
        raise BrokenRleError("packed runs that end within a number")
    return runs
