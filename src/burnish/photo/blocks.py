"""Read the blocks of metadata in an image file of any format."""

from dataclasses import replace
from typing import Any

import pyvips

from burnish.photo.container import Bytes
from burnish.photo.exif import PREFIX as EXIF_PREFIX
from burnish.photo.exif import exif_orientation, has_exif_resolution, reset_exif_orientation
from burnish.photo.formats import Format
from burnish.photo.jpeg_metadata import APP0, read_jpeg, read_jpeg_exif
from burnish.photo.metadata import Blocks
from burnish.photo.png_metadata import read_png, read_png_exif
from burnish.photo.trailing import GAIN_MAP
from burnish.photo.xmp import has_gain_map, remove_claims, reset_xmp_orientation


def read_blocks(
    image: pyvips.Image, data: Bytes, format: Format, size: tuple[int, int]
) -> tuple[Blocks, list[str]]:
    """Return a file's metadata for an upright image, and the names of what cannot be kept.

    Parameters
    ----------
    size : width and height of the upright image
    """
    match format.name:
        case "jpeg":
            blocks, dropped = read_jpeg(data)
        case "png":
            blocks, dropped = read_png(data)
        case "tiff":
            from burnish.photo.tiff_metadata import read_tiff

            blocks, dropped = read_tiff(data)
        case "gif":
            from burnish.photo.gif_metadata import read_gif

            blocks, dropped = read_gif(data)
        case _:
            blocks = Blocks(exif=_exif_field(image), xmp=get_field(image, "xmp-data"))
            dropped = [GAIN_MAP] if has_gain_map(blocks.xmp) else []
            if format.codec == "heif":
                from burnish.photo.heif_metadata import describe_boxes

                dropped += describe_boxes(data)
            elif format.name == "webp":
                from burnish.photo.webp_metadata import describe_chunks

                dropped += describe_chunks(data)
    if blocks.exif is not None:
        blocks = replace(blocks, exif=reset_exif_orientation(blocks.exif, size))
    if blocks.xmp is not None:
        blocks = replace(blocks, xmp=remove_claims(reset_xmp_orientation(blocks.xmp)))
    return blocks, list(dict.fromkeys(filter(None, dropped)))


def has_resolution(blocks: Blocks) -> bool:
    """Return whether a file states the size of its pixels. Without it, libvips sets 72 dpi."""
    # The unit is 0 if only the ratio of a pixel's sides is known.
    units = [content[8:9] for kind, content in blocks.native if kind == b"pHYs"]
    units += [
        content[7:8]
        for kind, content in blocks.native
        if kind == APP0 and content.startswith(b"JFIF\0")
    ]
    return has_exif_resolution(blocks.exif) or any(unit > b"\0" for unit in units)


def stored_orientation(image: pyvips.Image, data: Bytes, format: Format) -> int | None:
    """Return the EXIF orientation of a file: the one that `read_blocks` resets.

    libvips does not read a PNG's EXIF behind the pixels or in a text. None stands for the other
    formats: libvips itself turns HEIC and AVIF upright, and reads the tag of a TIFF.
    """
    match format.name:
        case "jpeg":
            return exif_orientation(read_jpeg_exif(data))
        case "png":
            return exif_orientation(read_png_exif(data))
        case "webp":
            return exif_orientation(_exif_field(image))
        case _:
            return None


def _exif_field(image: pyvips.Image) -> bytes | None:
    exif: bytes | None = get_field(image, "exif-data")
    return exif.removeprefix(EXIF_PREFIX) if exif else None


def get_field(image: pyvips.Image, name: str) -> Any:
    """Return a metadata field of libvips, or None if it is absent."""
    return image.get(name) if image.get_typeof(name) else None
