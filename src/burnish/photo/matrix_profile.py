"""Colour profiles made of curves and a matrix, as those of cameras, phones and screens are.

Computed here rather than by libvips, whose way for any profile (see lut.py) takes several times
as long and is coarser in the dark. What is computed: curve, matrix, sRGB's curve.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

Values = NDArray[np.float32]

_MAX_CODE = 65535
_RAMP = np.linspace(0, 1, _MAX_CODE + 1)
_PARAMETERS = (1, 3, 4, 5, 7)


class _UnsupportedProfileError(ValueError):
    pass


@dataclass(frozen=True, eq=False)
class Curve:
    """A channel's way between its code and linear light, as two tables.

    The second is read at the square root of the light, where the codes lie about evenly.
    """

    linear: Values
    code: Values

    @classmethod
    def from_samples(cls, linear: NDArray[np.float64]) -> "Curve":
        """Tabulate a curve that is given at 65536 even steps."""
        is_increasing = (np.diff(linear) >= 0).all() and linear[-1] - linear[0] > 0.5
        if not (np.isfinite(linear).all() and is_increasing):
            raise _UnsupportedProfileError("a curve that cannot be inverted")
        code = np.interp(_RAMP**2, linear, _RAMP)
        return cls(linear.astype(np.float32), code.astype(np.float32))


@dataclass(frozen=True, eq=False)
class MatrixProfile:
    """A profile, ready to convert.

    Parameters
    ----------
    curves : one a channel of the file, 1 or 3
    xyz : 3 x channels, from linear light to XYZ under D50
    """

    curves: tuple[Curve, ...]
    xyz: NDArray[Any]

    @property
    def channels(self) -> int:
        """How many the file's pixels have."""
        return len(self.curves)

    def to_srgb(self, device: Values) -> Values:
        """Convert N x channels in [0, 1] to N x 3, clipped to sRGB."""
        return _convert(device, self.curves, np.linalg.solve(_SRGB.xyz, self.xyz), _SRGB.curves)

    def from_srgb(self, pixels: Values) -> Values:
        """Convert N x 3 in [0, 1] to N x channels, clipped."""
        # Of grey, only the luminance is left.
        inverse = np.linalg.inv(self.xyz) if self.channels == 3 else np.array([[0.0, 1.0, 0.0]])
        return _convert(pixels, _SRGB.curves, inverse @ _SRGB.xyz, self.curves)


def parse(profile: bytes) -> MatrixProfile | None:
    """Read a profile; None where it is damaged or of another kind."""
    try:
        with np.errstate(all="ignore"):
            return _parse(profile)
    except (_UnsupportedProfileError, struct.error, IndexError, KeyError):
        return None


def _convert(
    values: Values,
    curves: tuple[Curve, ...],
    matrix: NDArray[Any],
    target_curves: tuple[Curve, ...],
) -> Values:
    # Plane by plane: picking a channel out of pixels would take most of the time.
    codes = _to_codes(np.ascontiguousarray(values.T))
    light = np.stack([curve.linear[plane] for curve, plane in zip(curves, codes, strict=True)])
    mixed = np.clip(_mix(matrix.astype(np.float32), light), 0, 1)
    roots = _to_codes(np.sqrt(mixed, out=mixed))
    for curve, plane, out in zip(target_curves, roots, mixed, strict=True):
        out[:] = curve.code[plane]
    converted: Values = mixed.T
    return converted


def _mix(matrix: Values, light: Values) -> Values:
    """Return `matrix @ light`, the same for a pixel whatever others are converted with it.

    The libraries behind `@` take other ways for other lengths, which differ in the last bit.
    """
    mixed: Values = matrix[:, :1] * light[0]
    for column, plane in zip(matrix.T[1:], light[1:], strict=True):
        mixed += column[:, np.newaxis] * plane
    return mixed


def _to_codes(values: Values) -> NDArray[np.uint16]:
    codes: NDArray[np.uint16] = np.rint(values * np.float32(_MAX_CODE)).astype(np.uint16)
    return codes


def _parse(profile: bytes) -> MatrixProfile:
    tags = _tags(profile)
    # Tables, where a profile has them too, take precedence.
    if tags.keys() & {b"A2B0", b"A2B1", b"D2B0", b"D2B1"} or profile[20:24] != b"XYZ ":
        raise _UnsupportedProfileError("tables")
    if profile[16:20] == b"GRAY":
        # White is sRGB's own, to the last digit, so that grey comes out as three equal channels.
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
        raise _UnsupportedProfileError("no profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for at in range(132, 132 + 12 * min(count, 1000), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, at)
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
    count = _PARAMETERS[kind]
    return Curve.from_samples(
        _parametric(kind, [n / 65536 for n in struct.unpack_from(f">{count}i", tag, 12)])
    )


def _parametric(kind: int, parameters: list[float]) -> NDArray[np.float64]:
    """Evaluate one of the specification's five functions: a power, and a line below it."""
    g, a, b, c, d, e, f = (parameters + [0.0] * 7)[:7]
    if kind == 0:
        a = 1.0
    if kind in (1, 2):
        # Below the power's zero lies the constant c, which the third kind adds everywhere.
        if a == 0:
            raise _UnsupportedProfileError("a curve without slope")
        c, d, e, f = 0.0, -b / a, c, c
    power = np.maximum(a * _RAMP + b, 0) ** g + e
    line = c * _RAMP + f
    return np.clip(np.where(d <= _RAMP, power, line), 0, 1)


_SRGB = _parse(pyvips.Operation.call("profile_load", "srgb"))
