"""Layouts: how a decoded frame keeps its samples, as far as burnish takes it."""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PixelFormat:
    """Planes of samples, the chroma ones perhaps of half the size.

    Parameters
    ----------
    format : what FFmpeg calls it
    kind : brightness and two colour differences; brightness alone; or green, blue, red
    bits : of a sample, lowest first in 8 or 16
    chroma_subsampling_x, chroma_subsampling_y : pixels that share a chroma sample, 1 or 2
    """

    format: str
    kind: Literal["yuv", "gray", "gbr"]
    bits: int
    chroma_subsampling_x: int = 1
    chroma_subsampling_y: int = 1

    @property
    def max_code(self) -> int:
        """The largest sample."""
        return (1 << self.bits) - 1


# The same samples in another order, which FFmpeg brings into planes without a change.
_PLANAR_EQUIVALENTS = {
    **{"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p"},
    **{"yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p"},
    **{"p010le": "yuv420p10le", "p210le": "yuv422p10le", "p410le": "yuv444p10le"},
    **{"p012le": "yuv420p12le", "p016le": "yuv420p16le"},
    **dict.fromkeys(("rgb24", "bgr24", "rgb0", "bgr0", "0rgb", "0bgr"), "gbrp"),
    **{"rgb48le": "gbrp16le", "x2rgb10le": "gbrp10le", "gbrp10be": "gbrp10le"},
}
_PLANAR_NAME = re.compile(r"(?P<kind>yuv|gray|gbr)j?(?P<share>4\d\d)?p?(?P<bits>\d+)?(?:le)?")
_SUBSAMPLING = {None: (1, 1), "444": (1, 1), "422": (2, 1), "420": (2, 2), "440": (1, 2)}


def planar_format(format: str) -> PixelFormat | None:
    """Return the planes that a pixel format is worked on in; None where burnish takes it not.

    Formats with transparency are none, nor are those of which a sample is shared by four pixels
    in a row.

    Examples
    --------
    >>> planar_format("yuvj420p")
    Layout(format='yuv420p', kind='yuv', bits=8, across=2, down=2)
    >>> planar_format("p010le").format, planar_format("yuva420p"), planar_format("pal8")
    ('yuv420p10le', None, None)
    """
    name = _PLANAR_EQUIVALENTS.get(format, format)
    parts = _PLANAR_NAME.fullmatch(name)
    if parts is None or parts["share"] not in _SUBSAMPLING:
        return None
    if (parts["kind"] == "yuv") != (parts["share"] is not None):
        return None
    across, down = _SUBSAMPLING[parts["share"]]
    kind: Literal["yuv", "gray", "gbr"] = "yuv"
    if parts["kind"] != "yuv":
        kind = "gray" if parts["kind"] == "gray" else "gbr"
    return PixelFormat(name.replace("yuvj", "yuv"), kind, int(parts["bits"] or 8), across, down)
