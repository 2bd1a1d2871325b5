"""Colour: a frame's samples to RGB and back, by the film's own matrix and range.

In single precision rather than by FFmpeg's scaler, whose integers err by a step of 8 bits, and by
more at 10 (yuv444p10le, limited range: 3.6 steps of 1023). ITU-T H.273 has the definitions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.types import Plane
from burnish.video.pixel_format import Layout

Floats = NDArray[np.float32]

# Matrix coefficients of H.273 -> the shares of red and blue in brightness.
SHARES = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
UNSAID = 2


def usual_matrix(width: int, height: int) -> int:
    """Return the matrix that players take where a film says none: by its size.

    Examples
    --------
    >>> usual_matrix(1280, 720), usual_matrix(720, 576)
    (1, 6)
    """
    return 1 if width >= 1280 or height > 576 else 6


@dataclass(frozen=True)
class Conversion:
    """Between the planes of a frame and its pixels.

    Chroma samples that pixels share lie as H.264 and its successors have it where nothing is said:
    across at the left pixel, down between the two. They are interpolated linearly, and averaged
    with the same weights on the way back.

    Parameters
    ----------
    layout : of the planes
    matrix : a key of `SHARES`; of no account for RGB and grey
    full : whether samples use the whole range, 0 to 2^bits - 1, or 16 to 235 (240 for chroma) of 8
        bits and the like of more
    """

    layout: Layout
    matrix: int
    full: bool

    def to_pixels(self, planes: list[Plane]) -> Floats:
        """Return pixels, clipped to what RGB can show.

        Shape: planes (H, W), chroma (ceil(H / down), ceil(W / across)) -> (H, W, 3) float32
        Range: samples as stored -> [0, 1]
        """
        height, width = planes[0].shape
        pixels = np.empty((height, width, 3), np.float32)
        if self.layout.kind == "gbr":
            for plane, channel in zip(planes, (1, 2, 0), strict=True):
                np.divide(plane, self.layout.top, out=pixels[..., channel], dtype=np.float32)
            return pixels
        luma = _scaled(planes[0], *self._luma)
        if self.layout.kind == "gray":
            np.clip(luma, 0, 1, out=luma)
            pixels[...] = luma[..., np.newaxis]
            return pixels
        blue, red = (
            self._spread(_scaled(plane, *self._chroma), height, width) for plane in planes[1:]
        )
        of_red, of_blue = SHARES[self.matrix]
        of_green = 1 - of_red - of_blue
        blue *= np.float32(2 * (1 - of_blue))  # B - Y
        red *= np.float32(2 * (1 - of_red))  # R - Y
        np.add(luma, red, out=pixels[..., 0])
        np.add(luma, blue, out=pixels[..., 2])
        red *= np.float32(-of_red / of_green)
        blue *= np.float32(-of_blue / of_green)
        red += blue
        np.add(luma, red, out=pixels[..., 1])
        return np.clip(pixels, 0, 1, out=pixels)

    def to_planes(self, pixels: Floats) -> list[Plane]:
        """Return the planes, rounded to samples; see `to_pixels`."""
        red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
        if self.layout.kind == "gbr":
            return [self._samples(plane, self.layout.top, 0) for plane in (green, blue, red)]
        # Grey has no matrix of its own, and its three channels are nearly alike.
        of_red, of_blue = SHARES[self.matrix if self.layout.kind == "yuv" else 1]
        luma = green
        luma *= np.float32(1 - of_red - of_blue)
        luma += np.float32(of_red) * red
        luma += np.float32(of_blue) * blue
        planes = []
        if self.layout.kind == "yuv":
            for colour, share in ((blue, of_blue), (red, of_red)):
                colour -= luma
                colour *= np.float32(0.5 / (1 - share))
                planes.append(self._samples(self._gathered(colour), *self._chroma))
        return [self._samples(luma, *self._luma), *planes]

    @property
    def _luma(self) -> tuple[float, float]:
        """What 1 is, and where 0 lies, in samples."""
        step = 2 ** (self.layout.bits - 8)
        return (self.layout.top, 0) if self.full else (219 * step, 16 * step)

    @property
    def _chroma(self) -> tuple[float, float]:
        step = 2 ** (self.layout.bits - 8)
        return (self.layout.top if self.full else 224 * step), 128 * step

    def _spread(self, plane: Floats, height: int, width: int) -> Floats:
        """Bring chroma to the size of the picture."""
        if self.layout.down == 2:
            plane = _between(plane)[:height]
        if self.layout.across == 2:
            plane = np.ascontiguousarray(_at_the_left(plane)[:, :width])
        return plane

    def _gathered(self, plane: Floats) -> Floats:
        """Average chroma to the size that it is stored in."""
        if self.layout.down == 2:
            if plane.shape[0] % 2:
                plane = np.concatenate([plane, plane[-1:]])
            plane = (plane[0::2] + plane[1::2]) * np.float32(0.5)
        if self.layout.across == 2:
            if plane.shape[1] % 2:
                plane = np.concatenate([plane, plane[:, -1:]], axis=1)
            near = plane[:, 0::2] * 2
            near += plane[:, 1::2]
            near[:, 1:] += plane[:, 1:-1:2]
            near[:, 0] += plane[:, 0]
            near *= np.float32(0.25)
            plane = near
        return plane

    def _samples(self, plane: Floats, one: float, zero: float) -> Plane:
        plane = plane * np.float32(one)
        plane += np.float32(zero)
        np.rint(plane, out=plane)
        np.clip(plane, 0, self.layout.top, out=plane)
        return plane.astype(np.uint8 if self.layout.bits == 8 else np.uint16)


def _scaled(plane: Plane, one: float, zero: float) -> Floats:
    floats = plane.astype(np.float32)
    floats -= np.float32(zero)
    floats *= np.float32(1 / one)
    return floats


def _between(plane: Floats) -> Floats:
    """Double the rows, samples lying between two of them."""
    padded = np.concatenate([plane[:1], plane, plane[-1:]])
    padded *= np.float32(0.25)
    near = plane * np.float32(0.75)
    rows = np.empty((2 * plane.shape[0], plane.shape[1]), np.float32)
    np.add(near, padded[:-2], out=rows[0::2])
    np.add(near, padded[2:], out=rows[1::2])
    return rows


def _at_the_left(plane: Floats) -> Floats:
    """Double the columns, samples lying on the left one of two."""
    columns = np.empty((plane.shape[0], 2 * plane.shape[1]), np.float32)
    columns[:, 0::2] = plane
    np.add(plane[:, :-1], plane[:, 1:], out=columns[:, 1:-1:2])
    columns[:, 1:-1:2] *= np.float32(0.5)
    columns[:, -1] = plane[:, -1]
    return columns
