"""The sizes of the paper: 480p, 1080p, and random ones from 320p to 1440p.

The p stands for the short side, in pixels. No photo is enlarged.
"""

import hashlib

from burnish.errors import UsageError

RANDOM = "random"
# Short sides of the paper's last 30 epochs.
SMALLEST, LARGEST = 320, 1440


def folder_of(size: str) -> str:
    """Check a size as people write it, and return its folder's name.

    Raises
    ------
    UsageError : neither a number of pixels nor 'random'

    Examples
    --------
    >>> folder_of("480"), folder_of("1080p"), folder_of("random")
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
    drawn = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8])
    return SMALLEST + drawn % (LARGEST - SMALLEST + 1)


def scaled(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Return height and width with the short side brought down to `short`, if it is longer.

    Examples
    --------
    >>> scaled((2000, 3008), 480), scaled((300, 200), 480)
    ((480, 722), (300, 200))
    """
    factor = min(1.0, short / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
