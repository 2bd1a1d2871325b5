"""Convert between the colours of a file's profile and sRGB, without losing out-of-gamut colours."""

from functools import lru_cache

import numpy as np

from burnish.photo import lut
from burnish.photo import matrix_profile as matrix
from burnish.types import Pixels

# Pixels converted at a time: few enough for the processor's cache.
_STRIP_PIXELS = 1 << 16
# Largest difference from sRGB, in any colour, of a profile that counts as sRGB. The roughly twenty
# variants of sRGB differ in rounding. sRGB primaries with a plain gamma of 2.2 differ by 6/255.
_SRGB_TOLERANCE = 2 / 255


@lru_cache(maxsize=8)
def _converter(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile | None:
    return matrix.parse(profile) or lut.parse(profile)


def channel_count(profile: bytes) -> int | None:
    """Return a profile's number of channels, or None if burnish cannot use the profile.

    A usable profile is for grey or RGB images and converts in both directions.
    """
    converter = _converter(profile)
    return converter.channels if converter else None


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Return whether a usable profile converts like sRGB, whatever its name."""
    converter = _converter(profile)
    if converter is None or converter.channels != 3:
        return False
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return bool(np.abs(converter.to_srgb(cube) - cube).max() < _SRGB_TOLERANCE)


def to_srgb(device: Pixels, profile: bytes) -> tuple[Pixels, Pixels]:
    """Convert a file's own values to sRGB.

    Parameters
    ----------
    device : H x W x channels of the profile, in [0, 1]; overwritten with `out_of_gamut`

    Returns
    -------
    pixels : H x W x 3, sRGB-encoded, in [0, 1]; colours outside sRGB are clipped
    out_of_gamut : shape of `device`: the difference between `device` and `from_srgb(pixels)`
    """
    converter = _require_converter(profile)
    pixels = np.empty((*device.shape[:2], 3), np.float32)
    srgb, out_of_gamut = pixels.reshape(-1, 3), device.reshape(-1, converter.channels)
    for start in range(0, len(srgb), _STRIP_PIXELS):
        strip = slice(start, start + _STRIP_PIXELS)
        srgb[strip] = converter.to_srgb(out_of_gamut[strip])
        out_of_gamut[strip] -= converter.from_srgb(srgb[strip])
    return pixels, device


def from_srgb(pixels: Pixels, profile: bytes, out_of_gamut: Pixels | None) -> Pixels:
    """Convert sRGB pixels, H x W x 3, to a profile's own values, and add `out_of_gamut`.

    Returns
    -------
    H x W x channels of the profile, in [0, 1]
    """
    converter = _require_converter(profile)
    device = np.empty((*pixels.shape[:2], converter.channels), np.float32)
    srgb, output = pixels.reshape(-1, 3), device.reshape(-1, converter.channels)
    for start in range(0, len(srgb), _STRIP_PIXELS):
        strip = slice(start, start + _STRIP_PIXELS)
        output[strip] = converter.from_srgb(srgb[strip])
    if out_of_gamut is not None:
        device += out_of_gamut
        np.clip(device, 0, 1, out=device)
    return device


def _require_converter(profile: bytes) -> matrix.MatrixProfile | lut.LutProfile:
    converter = _converter(profile)
    if converter is None:
        raise ValueError("the profile cannot be used; see `channel_count`")
    return converter
