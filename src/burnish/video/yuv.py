"""Colour: a frame's samples to RGB and back, by the film's own matrix and range.

In single precision rather than by FFmpeg's scaler, whose integers err by a step of 8 bits, and by
more at 10 (yuv444p10le, limited range: 3.6 steps of 1023). ITU-T H.273 has the definitions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.types import Plane
from burnish.video.pixel_format import PixelFormat

Floats = NDArray[np.float32]

# Matrix coefficients of H.273 -> the shares of red and blue in brightness.
LUMA_COEFFICIENTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
UNSPECIFIED = 2


def default_matrix(width: int, height: int) -> int:
    """Return the matrix that players take where a film says none: by its size.

    Examples
    --------
    >>> default_matrix(1280, 720), default_matrix(720, 576)
    (1, 6)
    """
    return 1 if width >= 1280 or height > 576 else 6


@dataclass(frozen=True)
class YuvConversion:
    """Between the planes of a frame and its pixels.

    Chroma samples that pixels share lie as H.264 and its successors have it where nothing is said:
    across at the left pixel, down between the two. They are interpolated linearly, and averaged
    with the same weights on the way back.

    Parameters
    ----------
    pixel_format : of the planes
    matrix : a key of `LUMA_COEFFICIENTS`; of no account for RGB and grey
    full_range : whether samples use the whole range, 0 to 2^bits - 1, or 16 to 235 (240 for chroma) of 8
        bits and the like of more
    """

    pixel_format: PixelFormat
    matrix: int
    full_range: bool

    def to_pixels(self, planes: list[Plane]) -> Floats:
        """Return pixels, clipped to what RGB can show.

        Shape: planes (H, W), chroma (ceil(H / down), ceil(W / across)) -> (H, W, 3) float32
        Range: samples as stored -> [0, 1]
        """
        height, width = planes[0].shape
        pixels = np.empty((height, width, 3), np.float32)
        if self.pixel_format.kind == "gbr":
            for plane, channel in zip(planes, (1, 2, 0), strict=True):
                np.divide(
                    plane, self.pixel_format.max_code, out=pixels[..., channel], dtype=np.float32
                )
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

    def to_planes(self, pixels: Floats) -> list[Plane]:
        """Return the planes, rounded to samples; see `to_pixels`."""
        red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
        if self.pixel_format.kind == "gbr":
            return [
                self._quantise(plane, self.pixel_format.max_code, 0) for plane in (green, blue, red)
            ]
        # Grey has no matrix of its own, and its three channels are nearly alike.
        kr, kb = LUMA_COEFFICIENTS[self.matrix if self.pixel_format.kind == "yuv" else 1]
        luma = green
        luma *= np.float32(1 - kr - kb)
        luma += np.float32(kr) * red
        luma += np.float32(kb) * blue
        planes = []
        if self.pixel_format.kind == "yuv":
            for colour, coefficient in ((blue, kb), (red, kr)):
                colour -= luma
                colour *= np.float32(0.5 / (1 - coefficient))
                planes.append(self._quantise(self._downsample_chroma(colour), *self._chroma_scale))
        return [self._quantise(luma, *self._luma_scale), *planes]

    @property
    def _luma_scale(self) -> tuple[float, float]:
        """What 1 is, and where 0 lies, in samples."""
        step = 2 ** (self.pixel_format.bits - 8)
        return (self.pixel_format.max_code, 0) if self.full_range else (219 * step, 16 * step)

    @property
    def _chroma_scale(self) -> tuple[float, float]:
        step = 2 ** (self.pixel_format.bits - 8)
        return (self.pixel_format.max_code if self.full_range else 224 * step), 128 * step

    def _upsample_chroma(self, plane: Floats, height: int, width: int) -> Floats:
        """Bring chroma to the size of the picture."""
        if self.pixel_format.chroma_subsampling_y == 2:
            plane = _upsample_centred(plane)[:height]
        if self.pixel_format.chroma_subsampling_x == 2:
            plane = np.ascontiguousarray(_upsample_left(plane)[:, :width])
        return plane

    def _downsample_chroma(self, plane: Floats) -> Floats:
        """Average chroma to the size that it is stored in."""
        if self.pixel_format.chroma_subsampling_y == 2:
            if plane.shape[0] % 2:
                plane = np.concatenate([plane, plane[-1:]])
            plane = (plane[0::2] + plane[1::2]) * np.float32(0.5)
        if self.pixel_format.chroma_subsampling_x == 2:
            if plane.shape[1] % 2:
                plane = np.concatenate([plane, plane[:, -1:]], axis=1)
            near = plane[:, 0::2] * 2
            near += plane[:, 1::2]
            near[:, 1:] += plane[:, 1:-1:2]
            near[:, 0] += plane[:, 0]
            near *= np.float32(0.25)
            plane = near
        return plane

    def _quantise(self, plane: Floats, scale: float, offset: float) -> Plane:
        plane = plane * np.float32(scale)
        plane += np.float32(offset)
        np.rint(plane, out=plane)
        np.clip(plane, 0, self.pixel_format.max_code, out=plane)
        return plane.astype(np.uint8 if self.pixel_format.bits == 8 else np.uint16)


def _to_float(plane: Plane, scale: float, offset: float) -> Floats:
    floats = plane.astype(np.float32)
    floats -= np.float32(offset)
    floats *= np.float32(1 / scale)
    return floats


def _upsample_centred(plane: Floats) -> Floats:
    """Double the rows, samples lying between two of them."""
    padded = np.concatenate([plane[:1], plane, plane[-1:]])
    padded *= np.float32(0.25)
    near = plane * np.float32(0.75)
    rows = np.empty((2 * plane.shape[0], plane.shape[1]), np.float32)
    np.add(near, padded[:-2], out=rows[0::2])
    np.add(near, padded[2:], out=rows[1::2])
    return rows


def _upsample_left(plane: Floats) -> Floats:
    """Double the columns, samples lying on the left one of two."""
    columns = np.empty((plane.shape[0], 2 * plane.shape[1]), np.float32)
    columns[:, 0::2] = plane
    np.add(plane[:, :-1], plane[:, 1:], out=columns[:, 1:-1:2])
    columns[:, 1:-1:2] *= np.float32(0.5)
    columns[:, -1] = plane[:, -1]
    return columns
