"""Pixel formats of decoded frames, and their conversion to RGB and back.

The conversion is defined by ITU-T H.273 and done in single precision. FFmpeg's scaler works with
integers: its error is one step at 8 bits and more at 10 (3.6 of 1023 for yuv444p10le, limited
range).
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from burnish.types import Pixels, Plane

# Matrix coefficients of H.273 -> the weights of red and blue in luma, Kr and Kb.
LUMA_COEFFICIENTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
# The matrix number for "unspecified".
UNSPECIFIED = 2


@dataclass(frozen=True)
class PixelFormat:
    """A planar pixel format.

    Parameters
    ----------
    name : FFmpeg's name
    kind : luma and two chroma planes; luma alone; or green, blue and red
    bits : bits per sample, stored in the low bits of 8 or 16
    chroma_subsampling_x, chroma_subsampling_y : pixels per chroma sample, 1 or 2
    """

    name: str
    kind: Literal["yuv", "gray", "gbr"]
    bits: int
    chroma_subsampling_x: int = 1
    chroma_subsampling_y: int = 1

    @property
    def max_code(self) -> int:
        """The largest sample value."""
        return (1 << self.bits) - 1


# Packed or semi-planar formats -> planar formats that FFmpeg converts them to without loss.
_PLANAR_EQUIVALENTS = {
    **{"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p"},
    **{"yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p"},
    **{"p010le": "yuv420p10le", "p210le": "yuv422p10le", "p410le": "yuv444p10le"},
    **{"p012le": "yuv420p12le", "p016le": "yuv420p16le"},
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp"),
    **{"rgb48le": "gbrp16le", "x2rgb10le": "gbrp10le", "gbrp10be": "gbrp10le"},
}
_PLANAR_NAME = re.compile(r"(?P<kind>yuv|gray|gbr)j?(?P<chroma>4\d\d)?p?(?P<bits>\d+)?(?:le)?")
_SUBSAMPLING = {None: (1, 1), "444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2)}


def planar_format(name: str) -> PixelFormat | None:
    """Return the planar format for frames of FFmpeg's pixel format `name`; None if unsupported.

    Formats with alpha are not supported, nor are those with a horizontal subsampling of 4.

    Examples
    --------
    >>> planar_format("yuvj420p").name, planar_format("p010le").name, planar_format("yuva420p")
    ('yuv420p', 'yuv420p10le', None)
    """
    planar_name = _PLANAR_EQUIVALENTS.get(name, name)
    match = _PLANAR_NAME.fullmatch(planar_name)
    if match is None or match["chroma"] not in _SUBSAMPLING:
        return None
    kind = match["kind"]
    if (kind == "yuv") != (match["chroma"] is not None):
        return None
    bits = int(match["bits"] or 8)
    subsampling = _SUBSAMPLING[match["chroma"]]
    return PixelFormat(planar_name.replace("yuvj", "yuv"), kind, bits, *subsampling)  # type: ignore[arg-type]


def default_matrix(width: int, height: int) -> int:
    """Return the matrix that players assume if a video specifies none, by the size of its frames.

    Examples
    --------
    >>> default_matrix(1280, 720), default_matrix(720, 576)
    (1, 6)
    """
    return 1 if width >= 1280 or height > 576 else 6


@dataclass(frozen=True)
class YuvConversion:
    """The conversion between the planes of a frame and RGB.

    Chroma samples have the default position of H.264 and its successors: horizontally at the left
    pixel, vertically between two pixels. They are interpolated linearly, and averaged with the same
    weights on the way back.

    Parameters
    ----------
    pixel_format : format of the planes
    matrix : a key of `LUMA_COEFFICIENTS`; unused for RGB and grey
    full_range : whether samples range from 0 to 2^bits - 1; otherwise, at 8 bits, from 16 to 235,
        chroma from 16 to 240
    """

    pixel_format: PixelFormat
    matrix: int
    full_range: bool

    def to_pixels(self, planes: list[Plane]) -> Pixels:
        """Convert planes to RGB, clipped to [0, 1].

        Shape: planes (H, W), chroma (ceil(H / subsampling_y), ceil(W / subsampling_x)) ->
        (H, W, 3) float32
        """
        height, width = planes[0].shape
        pixels = np.empty((height, width, 3), np.float32)
        if self.pixel_format.kind == "gbr":
            max_code = self.pixel_format.max_code
            for plane, channel in zip(planes, (1, 2, 0), strict=True):
                np.divide(plane, max_code, out=pixels[..., channel], dtype=np.float32)
            return pixels
        luma = _to_float(planes[0], *self._luma_scale)
        if self.pixel_format.kind == "gray":
            np.clip(luma, 0, 1, out=luma)
            pixels[...] = luma[..., np.newaxis]
            return pixels
        blue, red = (
            self._upsample_chroma(_to_float(plane, *self._chroma_scale), height, width)
            for plane in planes[1:]
        )
        kr, kb = LUMA_COEFFICIENTS[self.matrix]
        kg = 1 - kr - kb
        blue *= np.float32(2 * (1 - kb))  # B - Y
        red *= np.float32(2 * (1 - kr))  # R - Y
        np.add(luma, red, out=pixels[..., 0])
        np.add(luma, blue, out=pixels[..., 2])
        red *= np.float32(-kr / kg)
        blue *= np.float32(-kb / kg)
        red += blue
        np.add(luma, red, out=pixels[..., 1])
        return np.clip(pixels, 0, 1, out=pixels)

    def to_planes(self, pixels: Pixels) -> list[Plane]:
        """Convert RGB in [0, 1] to planes, rounded to integers; see `to_pixels`."""
        red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
        kind, max_code = self.pixel_format.kind, self.pixel_format.max_code
        if kind == "gbr":
            return [self._quantise(plane, max_code, 0) for plane in (green, blue, red)]
        # A grey frame has no matrix, and its three channels are nearly equal.
        kr, kb = LUMA_COEFFICIENTS[self.matrix if kind == "yuv" else 1]
        luma = green
        luma *= np.float32(1 - kr - kb)
        luma += np.float32(kr) * red
        luma += np.float32(kb) * blue
        planes = []
        if kind == "yuv":
            for channel, coefficient in ((blue, kb), (red, kr)):
                channel -= luma
                channel *= np.float32(0.5 / (1 - coefficient))
                chroma = self._downsample_chroma(channel)
                planes.append(self._quantise(chroma, *self._chroma_scale))
        return [self._quantise(luma, *self._luma_scale), *planes]

    @property
    def _luma_scale(self) -> tuple[float, float]:
        """The difference of the codes for 1 and 0, and the code for 0."""
        step = 2 ** (self.pixel_format.bits - 8)
        return (self.pixel_format.max_code, 0) if self.full_range else (219 * step, 16 * step)

    @property
    def _chroma_scale(self) -> tuple[float, float]:
        step = 2 ** (self.pixel_format.bits - 8)
        return (self.pixel_format.max_code if self.full_range else 224 * step), 128 * step

    def _upsample_chroma(self, plane: Pixels, height: int, width: int) -> Pixels:
        """Interpolate chroma to the size of the frame."""
        if self.pixel_format.chroma_subsampling_y == 2:
            plane = _upsample_centred(plane)[:height]
        if self.pixel_format.chroma_subsampling_x == 2:
            plane = np.ascontiguousarray(_upsample_left(plane)[:, :width])
        return plane

    def _downsample_chroma(self, plane: Pixels) -> Pixels:
        """Average chroma to the size of its plane."""
        if self.pixel_format.chroma_subsampling_y == 2:
            if plane.shape[0] % 2:
                plane = np.concatenate([plane, plane[-1:]])
            plane = (plane[0::2] + plane[1::2]) * np.float32(0.5)
        if self.pixel_format.chroma_subsampling_x == 2:
            if plane.shape[1] % 2:
                plane = np.concatenate([plane, plane[:, -1:]], axis=1)
            average = plane[:, 0::2] * 2
            average += plane[:, 1::2]
            average[:, 1:] += plane[:, 1:-1:2]
            average[:, 0] += plane[:, 0]
            average *= np.float32(0.25)
            plane = average
        return plane

    def _quantise(self, plane: Pixels, scale: float, offset: float) -> Plane:
        plane = plane * np.float32(scale)
        plane += np.float32(offset)
        np.rint(plane, out=plane)
        np.clip(plane, 0, self.pixel_format.max_code, out=plane)
        return plane.astype(np.uint8 if self.pixel_format.bits == 8 else np.uint16)


def _to_float(plane: Plane, scale: float, offset: float) -> Pixels:
    floats = plane.astype(np.float32)
    floats -= np.float32(offset)
    floats *= np.float32(1 / scale)
    return floats


def _upsample_centred(plane: Pixels) -> Pixels:
    """Double the rows. A sample lies in the middle of two rows."""
    padded = np.concatenate([plane[:1], plane, plane[-1:]])
    padded *= np.float32(0.25)
    near = plane * np.float32(0.75)
    rows = np.empty((2 * plane.shape[0], plane.shape[1]), np.float32)
    np.add(near, padded[:-2], out=rows[0::2])
    np.add(near, padded[2:], out=rows[1::2])
    return rows


def _upsample_left(plane: Pixels) -> Pixels:
    """Double the columns. A sample lies on the left one of two columns."""
    columns = np.empty((plane.shape[0], 2 * plane.shape[1]), np.float32)
    columns[:, 0::2] = plane
    np.add(plane[:, :-1], plane[:, 1:], out=columns[:, 1:-1:2])
    columns[:, 1:-1:2] *= np.float32(0.5)
    columns[:, -1] = plane[:, -1]
    return columns
