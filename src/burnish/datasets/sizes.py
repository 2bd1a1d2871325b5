"""The sizes of the paper: 480p, 1080p, and random ones from 320p to 1440p.

The p stands for the short side, in pixels. No photo is enlarged.
"""

import hashlib

from burnish.errors import UsageError

RANDOM = "random"
# Short sides of the paper's last 30 epochs.
MIN_SHORT_SIDE, MAX_SHORT_SIDE = 320, 1440


def size_folder(size: str) -> str:
    """Check a size as people write it, and return its folder's name.

    Raises
    ------
    UsageError : neither a number of pixels nor 'random'

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
    """Return the short side, in pixels, that a photo called `name` has in a size's folder.

    A random one is drawn from the name and the seed alone, so that it is the same in every run, on
    every machine, and for a photo as for its experts' versions.

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
    """Return height and width with the short side brought down to `max_short_side`, if it is longer.

    Examples
    --------
    >>> scaled_size((2000, 3008), 480), scaled_size((300, 200), 480)
    ((480, 722), (300, 200))
    """
    factor = min(1.0, max_short_side / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
