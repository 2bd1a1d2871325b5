"""Origin: what a photo brings along from its file, so that it can go back into one."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Depth = Literal[8, 16, 32]


@dataclass(frozen=True, eq=False)
class SourceMetadata:
    """How a photo lay in its file. The defaults are those of a picture made in memory.

    Parameters
    ----------
    format : "jpeg", "png", "tiff", "webp", "avif", "heic" or "gif"
    depth : bits a channel: 8 or 16 (integers), or 32 (float)
    grey : one channel in the file, and so again when it is written
    profile : the embedded ICC profile where burnish can use it; None means sRGB
    out_of_gamut : what sRGB cannot hold: the file's own values less what the sRGB pixels convert back
        to. H x W x channels of the profile, added again when writing; None where nothing was lost
    texts : the text chunks of a PNG (title, author, copyright ...): kind and content
    exif, xmp, iptc : metadata blocks, byte for byte but for orientation and thumbnail
    resolution : pixels per millimetre across and down; 72 an inch where the file says nothing
    subsampling : chroma of a JPEG, such as "4:2:0"
    lossless : a WebP without loss
    """

    format: str = "png"
    depth: Depth = 8
    grey: bool = False
    profile: bytes | None = field(default=None, repr=False)
    out_of_gamut: NDArray[np.float32] | None = field(default=None, repr=False)
    texts: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    resolution: tuple[float, float] = (72 / 25.4, 72 / 25.4)
    subsampling: str | None = None
    lossless: bool = False
