"""Convert between the colours of a file's profile and sRGB, without losing out-of-gamut colours.

Profiles of curves and a matrix, such as those of cameras, phones and screens, are converted here:
curve, matrix, inverse sRGB curve. LittleCMS, which libvips calls, was measured on Display P3, Adobe
RGB and ProPhoto RGB to be up to 590 16-bit codes off the formula in sRGB (this module: 92) and 3 to
15 times slower. It converts all other profiles, such as the tables of scanners and printers.
"""

import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from burnish.types import Pixels

# Pixels converted at a time: few enough for the processor's cache.
_STRIP_PIXELS = 1 << 16
# Largest difference from sRGB, in any colour, of a profile that counts as sRGB. The roughly twenty
# variants of sRGB differ in rounding. sRGB primaries with a plain gamma of 2.2 differ by 6/255.
_SRGB_TOLERANCE = 2 / 255
_MAX_CODE = 65535
_RAMP = np.linspace(0, 1, _MAX_CODE + 1)
# Number of parameters of each type of parametric curve.
_PARAMETER_COUNTS = (1, 3, 4, 5, 7)
# The relative colorimetric intent keeps every colour that both spaces have. Black-point
# compensation keeps shadows apart if the profile's black is not zero. The conversion goes through
# floating-point Lab: a single 16-bit transform between profiles errs by over ten 8-bit codes in
# dark colours.
_INTENT = {"intent": "relative", "black_point_compensation": True, "pcs": "lab"}
_CHANNELS = {b"GRAY": 1, b"RGB ": 3}


@lru_cache(maxsize=8)
def _converter(profile: bytes) -> "MatrixProfile | LutProfile | None":
    return parse_matrix_profile(profile) or parse_lut_profile(profile)


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


def _require_converter(profile: bytes) -> "MatrixProfile | LutProfile":
    converter = _converter(profile)
    if converter is None:
        raise ValueError("the profile cannot be used; see `channel_count`")
    return converter


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
        srgb = _srgb_profile()
        matrix = np.linalg.solve(srgb.xyz, self.xyz)
        return _convert_with_matrix(device, self.curves, matrix, srgb.curves)

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """Convert N x 3 in [0, 1] to N x channels, clipped."""
        srgb = _srgb_profile()
        # A grey profile keeps only the luminance.
        inverse = np.linalg.inv(self.xyz) if self.channels == 3 else np.array([[0.0, 1.0, 0.0]])
        return _convert_with_matrix(pixels, srgb.curves, inverse @ srgb.xyz, self.curves)


def parse_matrix_profile(profile: bytes) -> MatrixProfile | None:
    """Parse a profile; returns None if it is damaged or of another kind."""
    try:
        with np.errstate(all="ignore"):
            return _parse_matrix_profile(profile)
    except (_UnsupportedProfileError, struct.error, IndexError, KeyError):
        return None


def _convert_with_matrix(
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


def _parse_matrix_profile(profile: bytes) -> MatrixProfile:
    tags = _parse_tags(profile)
    # If a profile has lookup tables too, they take precedence.
    if tags.keys() & {b"A2B0", b"A2B1", b"D2B0", b"D2B1"} or profile[20:24] != b"XYZ ":
        raise _UnsupportedProfileError("lookup tables")
    if profile[16:20] == b"GRAY":
        # The white point is exactly sRGB's, so that grey converts to three equal channels.
        white = _srgb_profile().xyz.sum(axis=1, keepdims=True)
        return MatrixProfile((_parse_curve(tags[b"kTRC"]),), white)
    if profile[16:20] != b"RGB ":
        raise _UnsupportedProfileError("neither grey nor RGB")
    columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    xyz = np.array(columns).T / 65536
    if abs(np.linalg.det(xyz)) < 1e-4:
        raise _UnsupportedProfileError("a matrix that cannot be inverted")
    curves = (_parse_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    return MatrixProfile(tuple(curves), xyz)


def _parse_tags(profile: bytes) -> dict[bytes, bytes]:
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


def _parse_curve(tag: bytes) -> Curve:
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
    return Curve.from_samples(_parametric_curve(kind, [number / 65536 for number in numbers]))


def _parametric_curve(kind: int, parameters: list[float]) -> NDArray[np.float64]:
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


@dataclass(frozen=True)
class LutProfile:
    """A profile that libvips converts with."""

    profile: bytes
    channels: int

    def to_srgb(self, device: Pixels) -> Pixels:
        """Convert N x channels in [0, 1] to N x 3, clipped to sRGB."""
        return _convert_with_vips(device, self.profile, _srgb_icc())

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """Convert N x 3 in [0, 1] to N x channels, clipped."""
        return _convert_with_vips(pixels, _srgb_icc(), self.profile)


def parse_lut_profile(profile: bytes) -> LutProfile | None:
    """Return a converter, or None if libvips cannot convert with the profile both ways."""
    channels = _CHANNELS.get(profile[16:20])
    if channels is None:
        return None
    converter = LutProfile(profile, channels)
    try:
        # A broken profile fails only as the target. As the source, libvips replaces it by sRGB.
        converter.from_srgb(np.zeros((1, 3), np.float32))
        converter.to_srgb(np.zeros((1, channels), np.float32))
    except pyvips.Error:
        return None
    return converter


def _convert_with_vips(values: Pixels, source: bytes, target: bytes) -> Pixels:
    codes = np.rint(values * np.float32(65535)).astype(np.uint16)[None]
    kind = "grey16" if codes.shape[2] == 1 else "rgb16"
    image = _with_profile(pyvips.Image.new_from_array(codes), source, interpretation=kind)
    lab = pyvips.Operation.call("icc_import", image, embedded=True, **_INTENT)
    device = pyvips.Operation.call("icc_export", _with_profile(lab, target), depth=16, **_INTENT)
    flat = np.frombuffer(device.write_to_memory(), np.uint16)
    return flat.reshape(len(values), device.bands) * np.float32(1 / 65535)


def _with_profile(image: pyvips.Image, profile: bytes, **changes: str) -> pyvips.Image:
    image = pyvips.Operation.call("copy", image, **changes)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


@cache
def _srgb_profile() -> MatrixProfile:
    return _parse_matrix_profile(_srgb_icc())


def _srgb_icc() -> bytes:
    profile: bytes = pyvips.Operation.call("profile_load", "srgb")
    return profile
