"""Colour profiles of curves and a matrix, as those of cameras, phones and screens are.

The conversion is curve, matrix, inverse sRGB curve. It is computed here and not by LittleCMS
through libvips (see lut.py), which was measured on Display P3, Adobe RGB and ProPhoto RGB to be up
to 590 16-bit codes off the formula in sRGB (own code: 92) and 4 to 15 times slower.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.types import Pixels

_MAX_CODE = 65535
_RAMP = np.linspace(0, 1, _MAX_CODE + 1)
# Number of parameters of each type of parametric curve.
_PARAMETER_COUNTS = (1, 3, 4, 5, 7)


class _UnsupportedProfileError(ValueError):
    pass


@dataclass(frozen=True, eq=False)
class Curve:
    """A channel's tone curve and its inverse, as tables of 65536 values.

    Parameters
    ----------
    linear : linear light at evenly spaced codes
    code : code at evenly spaced square roots of linear light, where codes are about evenly spaced
    """

    linear: Pixels
    code: Pixels

    @classmethod
    def from_samples(cls, linear: NDArray[np.float64]) -> "Curve":
        """Return the curve through 65536 samples of linear light at evenly spaced codes."""
        is_increasing = (np.diff(linear) >= 0).all() and linear[-1] - linear[0] > 0.5
        if not (np.isfinite(linear).all() and is_increasing):
            raise _UnsupportedProfileError("a curve that cannot be inverted")
        code = np.interp(_RAMP**2, linear, _RAMP)
        return cls(linear.astype(np.float32), code.astype(np.float32))


@dataclass(frozen=True, eq=False)
class MatrixProfile:
    """A profile of tone curves and a matrix.

    Parameters
    ----------
    curves : one for each channel of the file, 1 or 3
    xyz : 3 x channels, from linear light to XYZ under D50
    """

    curves: tuple[Curve, ...]
    xyz: NDArray[Any]

    @property
    def channels(self) -> int:
        """Number of channels of the file."""
        return len(self.curves)

    def to_srgb(self, device: Pixels) -> Pixels:
        """Convert N x channels in [0, 1] to N x 3, clipped to sRGB."""
        return _convert(device, self.curves, np.linalg.solve(_SRGB.xyz, self.xyz), _SRGB.curves)

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """Convert N x 3 in [0, 1] to N x channels, clipped."""
        # A grey profile keeps only the luminance.
        inverse = np.linalg.inv(self.xyz) if self.channels == 3 else np.array([[0.0, 1.0, 0.0]])
        return _convert(pixels, _SRGB.curves, inverse @ _SRGB.xyz, self.curves)


def parse(profile: bytes) -> MatrixProfile | None:
    """Parse a profile; returns None if it is damaged or of another kind."""
    try:
        with np.errstate(all="ignore"):
            return _parse(profile)
    except (_UnsupportedProfileError, struct.error, IndexError, KeyError):
        return None


def _convert(
    values: Pixels,
    curves: tuple[Curve, ...],
    matrix: NDArray[Any],
    target_curves: tuple[Curve, ...],
) -> Pixels:
    # Channels are separate planes: indexing a channel of interleaved pixels takes most of the time.
    codes = _to_codes(np.ascontiguousarray(values.T))
    light = np.stack([curve.linear[plane] for curve, plane in zip(curves, codes, strict=True)])
    mixed = np.clip(_mix(matrix.astype(np.float32), light), 0, 1)
    roots = _to_codes(np.sqrt(mixed, out=mixed))
    for curve, plane, out in zip(target_curves, roots, mixed, strict=True):
        out[:] = curve.code[plane]
    converted: Pixels = mixed.T
    return converted


def _mix(matrix: Pixels, light: Pixels) -> Pixels:
    """Return `matrix @ light`, with the same result for a pixel whatever its neighbours.

    BLAS libraries, which `@` calls, use other algorithms for other lengths, and these differ in
    the last bit.
    """
    mixed: Pixels = matrix[:, :1] * light[0]
    for column, plane in zip(matrix.T[1:], light[1:], strict=True):
        mixed += column[:, np.newaxis] * plane
    return mixed


def _to_codes(values: Pixels) -> NDArray[np.uint16]:
    codes: NDArray[np.uint16] = np.rint(values * np.float32(_MAX_CODE)).astype(np.uint16)
    return codes


def _parse(profile: bytes) -> MatrixProfile:
    tags = _tags(profile)
    # If a profile has lookup tables too, they take precedence.
    if tags.keys() & {b"A2B0", b"A2B1", b"D2B0", b"D2B1"} or profile[20:24] != b"XYZ ":
        raise _UnsupportedProfileError("lookup tables")
    if profile[16:20] == b"GRAY":
        # The white point is exactly sRGB's, so that grey converts to three equal channels.
        white = _SRGB.xyz.sum(axis=1, keepdims=True)
        return MatrixProfile((_curve(tags[b"kTRC"]),), white)
    if profile[16:20] != b"RGB ":
        raise _UnsupportedProfileError("neither grey nor RGB")
    columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    xyz = np.array(columns).T / 65536
    if abs(np.linalg.det(xyz)) < 1e-4:
        raise _UnsupportedProfileError("a matrix that cannot be inverted")
    return MatrixProfile(tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")), xyz)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if profile[36:40] != b"acsp":
        raise _UnsupportedProfileError("not a profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for entry in range(132, 132 + 12 * min(count, 1000), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, entry)
        if offset + size > len(profile):
            raise _UnsupportedProfileError("a truncated profile")
        tags[name] = profile[offset : offset + size]
    return tags


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count > _MAX_CODE or 12 + 2 * count > len(tag):
            raise _UnsupportedProfileError("a truncated curve")
        points = np.frombuffer(tag, ">u2", count, 12)
        if count == 0:
            return Curve.from_samples(_RAMP)
        if count == 1:
            return Curve.from_samples(_RAMP ** (points[0] / 256))
        return Curve.from_samples(np.interp(_RAMP, np.linspace(0, 1, count), points / _MAX_CODE))
    if tag[:4] != b"para":
        raise _UnsupportedProfileError("an unknown curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    numbers = struct.unpack_from(f">{_PARAMETER_COUNTS[kind]}i", tag, 12)
    return Curve.from_samples(_parametric(kind, [number / 65536 for number in numbers]))


def _parametric(kind: int, parameters: list[float]) -> NDArray[np.float64]:
    """Evaluate one of the five parametric curves of ICC.1: a power function above a line."""
    g, a, b, c, d, e, f = (parameters + [0.0] * 7)[:7]
    if kind == 0:
        a = 1.0
    if kind in (1, 2):
        # Below the power function's zero the curve is constant: 0 for type 1, c for type 2,
        # which adds c above it as well.
        if a == 0:
            raise _UnsupportedProfileError("a curve without slope")
        c, d, e, f = 0.0, -b / a, c, c
    power = np.maximum(a * _RAMP + b, 0) ** g + e
    line = c * _RAMP + f
    return np.clip(np.where(d <= _RAMP, power, line), 0, 1)


_SRGB = _parse(pyvips.Operation.call("profile_load", "srgb"))
