"""A file's own colours to sRGB and back again, nothing lost on the way."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from burnish.photo import lut
from burnish.photo import matrix_profile as matrix

Values = NDArray[np.float32]

# Pixels converted at a time: enough for speed, few enough for the processor's cache.
_STRIP_PIXELS = 1 << 16
# A profile whose colours all lie this near to sRGB's is sRGB: some twenty variants are about, which
# differ in rounding. The nearest stranger, sRGB primaries with a plain gamma 2.2, is 6 codes away.
_SRGB_TOLERANCE = 2 / 255


@lru_cache(maxsize=8)
def _converter(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile | None:
    return matrix.parse(profile) or lut.parse(profile)


def channel_count(profile: bytes) -> int | None:
    """Count the channels of the profile's colours; None where burnish cannot use the profile.

    Usable is a profile for grey or RGB pictures that converts in both directions.
    """
    converter = _converter(profile)
    return converter.channels if converter else None


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Tell whether a usable profile means sRGB, by what it does and not by its name."""
    converter = _converter(profile)
    if converter is None or converter.channels != 3:
        return False
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return bool(np.abs(converter.to_srgb(cube) - cube).max() < _SRGB_TOLERANCE)


def to_srgb(device: Values, profile: bytes) -> tuple[Values, Values]:
    """Convert a file's own values to sRGB.

    Parameters
    ----------
    device : H x W x channels of the profile, in [0, 1]; used up, as it becomes `out_of_gamut`

    Returns
    -------
    pixels : H x W x 3, sRGB-encoded, in [0, 1]; colours outside sRGB are clipped
    out_of_gamut : shape of `device`: what is to be added to `from_srgb(pixels)` to have `device` again
    """
    converter = _require_converter(profile)
    pixels = np.empty((*device.shape[:2], 3), np.float32)
    srgb, out_of_gamut = pixels.reshape(-1, 3), device.reshape(-1, converter.channels)
    for start in range(0, len(srgb), _STRIP_PIXELS):
        strip = slice(start, start + _STRIP_PIXELS)
        srgb[strip] = converter.to_srgb(out_of_gamut[strip])
        out_of_gamut[strip] -= converter.from_srgb(srgb[strip])
    return pixels, device


def from_srgb(pixels: Values, profile: bytes, out_of_gamut: Values | None) -> Values:
    """Convert sRGB pixels, H x W x 3, to the profile's own values in [0, 1] and add `out_of_gamut`."""
    converter = _require_converter(profile)
    device = np.empty((*pixels.shape[:2], converter.channels), np.float32)
    source, output = pixels.reshape(-1, 3), device.reshape(-1, converter.channels)
    for start in range(0, len(output), _STRIP_PIXELS):
        strip = slice(start, start + _STRIP_PIXELS)
        output[strip] = converter.from_srgb(source[strip])
    if out_of_gamut is not None:
        device += out_of_gamut
        np.clip(device, 0, 1, out=device)
    return device


def _require_converter(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile:
    converter = _converter(profile)
    if converter is None:
        raise ValueError("a profile that `channel_count` calls of no use")
    return converter
