"""The properties of a file, other than its pixels, that a photo keeps until it is written."""

from dataclasses import dataclass, field
from typing import Literal

from burnish.types import Pixels

Depth = Literal[8, 16, 32]


@dataclass(frozen=True, eq=False)
class SourceMetadata:
    """Format, depth, profile and metadata of a file. The defaults are for images made in memory.

    Parameters
    ----------
    format : "jpeg", "png", "tiff", "webp", "avif", "heic" or "gif"
    depth : bits a channel: 8 or 16 (integers), or 32 (float)
    grey : one colour channel in the file, and again when it is written
    profile : the embedded ICC profile if burnish can use it; None means sRGB
    out_of_gamut : H x W x channels of the profile: the file's own values minus those that the sRGB
        pixels convert back to, added again when writing; None if sRGB holds all colours
    texts : text chunks of a PNG (title, author, copyright, ...): type and content
    exif, xmp, iptc : metadata blocks, unchanged except for orientation and thumbnail
    resolution : horizontal and vertical, pixels per millimetre [default: 72 an inch]
    subsampling : chroma subsampling of a JPEG, such as "4:2:0"
    lossless : a lossless WebP
    """

    format: str = "png"
    depth: Depth = 8
    grey: bool = False
    profile: bytes | None = field(default=None, repr=False)
    out_of_gamut: Pixels | None = field(default=None, repr=False)
    texts: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    exif: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    resolution: tuple[float, float] = (72 / 25.4, 72 / 25.4)
    subsampling: str | None = None
    lossless: bool = False
