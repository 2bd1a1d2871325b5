"""Colour profiles of any kind, such as the tables of scanners and printers, through libvips."""

from dataclasses import dataclass

import numpy as np
import pyvips

from burnish.types import Pixels

# The relative colorimetric intent keeps every colour that both spaces have. Black-point
# compensation keeps shadows apart if the profile's black is not zero. The conversion goes through
# floating-point Lab: a single 16-bit transform between profiles errs by over ten 8-bit codes in
# the darks.
_INTENT = {"intent": "relative", "black_point_compensation": True, "pcs": "lab"}
_CHANNELS = {b"GRAY": 1, b"RGB ": 3}


@dataclass(frozen=True)
class LutProfile:
    """A profile that libvips converts with."""

    profile: bytes
    channels: int

    def to_srgb(self, device: Pixels) -> Pixels:
        """Convert N x channels in [0, 1] to N x 3, clipped to sRGB."""
        return _convert(device, self.profile, _srgb())

    def from_srgb(self, pixels: Pixels) -> Pixels:
        """Convert N x 3 in [0, 1] to N x channels, clipped."""
        return _convert(pixels, _srgb(), self.profile)


def parse(profile: bytes) -> LutProfile | None:
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


def _srgb() -> bytes:
    profile: bytes = pyvips.Operation.call("profile_load", "srgb")
    return profile


def _convert(values: Pixels, source: bytes, target: bytes) -> Pixels:
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
