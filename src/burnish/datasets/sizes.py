"""The sizes of the paper: 480p, 1080p, and random ones from 320p to 1440p.

The number before p is the short side in pixels. Photos are never enlarged.
"""

import hashlib

from burnish.errors import UsageError

RANDOM = "random"
# The short sides of the last 30 epochs in the paper.
MIN_SHORT_SIDE, MAX_SHORT_SIDE = 320, 1440


def size_folder(size: str) -> str:
    """Check a size from the command line and return the name of its folder.

    Raises
    ------
    UsageError : the size is neither a number of pixels nor "random"

    Examples
    --------
    >>> size_folder("480"), size_folder("1080p"), size_folder("random")
    ('480p', '1080p', 'random')
    """
    if size == RANDOM:
        return RANDOM
    digits = size.removesuffix("p")
    if not digits.isdecimal() or int(digits) < 1:
        raise UsageError(
            "--size",
            expected=f"a short side in pixels, or {RANDOM}",
            got=repr(size),
            remedy=f"for example: --size 480 --size 1080 --size {RANDOM}",
        )
    return f"{int(digits)}p"


def short_side(folder: str, name: str, seed: int) -> int:
    """Return the short side, in pixels, of the photo `name` in the folder of a size.

    A random size depends on the name and the seed only. It is therefore the same in every run, on
    every machine, and for all versions of a photo.

    Examples
    --------
    >>> short_side("480p", "a0001-jmac_DSC1459", seed=0)
    480
    >>> 320 <= short_side("random", "a0001-jmac_DSC1459", seed=0) <= 1440
    True
    """
    if folder != RANDOM:
        return int(folder.removesuffix("p"))
    random_value = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8])
    return MIN_SHORT_SIDE + random_value % (MAX_SHORT_SIDE - MIN_SHORT_SIDE + 1)


def scaled_size(size: tuple[int, int], max_short_side: int) -> tuple[int, int]:
    """Return height and width, reduced so that the short side is at most `max_short_side`.

    Examples
    --------
    >>> scaled_size((2000, 3008), 480), scaled_size((300, 200), 480)
    ((480, 722), (300, 200))
    """
    factor = min(1.0, max_short_side / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
