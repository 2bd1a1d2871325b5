"""A file's own colours to sRGB and back again, nothing lost on the way."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from burnish.photo import lut
from burnish.photo import matrix_profile as matrix

Values = NDArray[np.float32]

# Pixels converted at a time: enough for speed, few enough for the processor's cache.
_STRIP = 1 << 16
# A profile whose colours all lie this near to sRGB's is sRGB: some twenty variants are about, which
# differ in rounding. The nearest stranger, sRGB primaries with a plain gamma 2.2, is 6 codes away.
_SAME = 2 / 255


@lru_cache(maxsize=8)
def _parsed(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile | None:
    return matrix.parse(profile) or lut.parse(profile)


def channels(profile: bytes) -> int | None:
    """Count the channels of the profile's colours; None where burnish cannot use the profile.

    Usable is a profile for grey or RGB pictures that converts in both directions.
    """
    usable = _parsed(profile)
    return usable.channels if usable else None


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Tell whether a usable profile means sRGB, by what it does and not by its name."""
    usable = _parsed(profile)
    if usable is None or usable.channels != 3:
        return False
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return bool(np.abs(usable.to_srgb(cube) - cube).max() < _SAME)


def to_srgb(device: Values, profile: bytes) -> tuple[Values, Values]:
    """Convert a file's own values to sRGB.

    Parameters
    ----------
    device : H x W x channels of the profile, in [0, 1]; used up, as it becomes `beyond`

    Returns
    -------
    pixels : H x W x 3, sRGB-encoded, in [0, 1]; colours outside sRGB are clipped
    beyond : shape of `device`: what is to be added to `from_srgb(pixels)` to have `device` again
    """
    usable = _usable(profile)
    pixels = np.empty((*device.shape[:2], 3), np.float32)
    to, beyond = pixels.reshape(-1, 3), device.reshape(-1, usable.channels)
    for start in range(0, len(to), _STRIP):
        strip = slice(start, start + _STRIP)
        to[strip] = usable.to_srgb(beyond[strip])
        beyond[strip] -= usable.from_srgb(to[strip])
    return pixels, device


def from_srgb(pixels: Values, profile: bytes, beyond: Values | None) -> Values:
    """Convert sRGB pixels, H x W x 3, to the profile's own values in [0, 1] and add `beyond`."""
    usable = _usable(profile)
    device = np.empty((*pixels.shape[:2], usable.channels), np.float32)
    source, to = pixels.reshape(-1, 3), device.reshape(-1, usable.channels)
    for start in range(0, len(to), _STRIP):
        strip = slice(start, start + _STRIP)
        to[strip] = usable.from_srgb(source[strip])
    if beyond is not None:
        device += beyond
        np.clip(device, 0, 1, out=device)
    return device


def _usable(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile:
    usable = _parsed(profile)
    if usable is None:
        raise ValueError("a profile that `channels` calls of no use")
    return usable
