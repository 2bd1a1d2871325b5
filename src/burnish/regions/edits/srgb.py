"""Light: sRGB's encoding and linear light."""

import numpy as np

from burnish.types import Pixels

# How much of sRGB's primaries one sees, in linear light: IEC 61966-2-1.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def to_linear(pixels: Pixels) -> Pixels:
    """Return sRGB-encoded values as linear light; both in [0, 1].

    Examples
    --------
    >>> to_linear(np.array([0, 0.5, 1], np.float32)).round(3)
    array([0.   , 0.214, 1.   ], dtype=float32)
    """
    power = ((pixels + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(pixels <= np.float32(0.04045), pixels / np.float32(12.92), power)


def from_linear(light: Pixels) -> Pixels:
    """Return linear light, from 0 up, as sRGB-encoded values; what is above 1 stays above it.

    Examples
    --------
    >>> from_linear(np.array([0, 0.214, 1], np.float32)).round(3)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    root = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= np.float32(0.0031308), light * np.float32(12.92), root)
