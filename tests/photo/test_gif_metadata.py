"""XMP and comments of a GIF are found by walking its blocks; exiftool and Pillow write them."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from burnish.photo import Photo
from burnish.photo.gif_metadata import read_gif

CODES = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


def encode_image(**options: object) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(CODES).quantize(32).save(out, "GIF", **options)
        return out.getvalue()


@pytest.mark.parametrize("text", ["by hand", "x" * 600])
def test_comment_and_xmp_are_kept(exiftool, text):
    source = exiftool.edit(encode_image(comment=text.encode()), "-XMP:Rating=3")
    photo = Photo.open(source)
    for target in ("png", "jpeg"):
        tags = exiftool.tags(photo.encode(target))
        assert tags["XMP-xmp:Rating"] == ["3"]
        assert target == "jpeg" or tags["PNG:Comment"] == [text]
        with Image.open(io.BytesIO(photo.encode(target))) as image:
            assert target == "png" or image.info["comment"] == text.encode()
    with pytest.warns(UserWarning, match="the comment cannot be kept in webp"):
        photo.encode("webp")


def test_profile_and_trailing_data_are_named():
    profile = b"\x21\xff\x0bICCRGBG1012\4abcd\0"
    source = encode_image()
    with pytest.warns(UserWarning, match="the colour profile and 4 bytes behind the image"):
        Photo.open(source[:-1] + profile + source[-1:] + b"more")


def test_cut_off_blocks_are_left_out():
    source = encode_image(comment=b"by hand")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in range(13, len(source)):
            read_gif(source[:size])
    assert read_gif(source)[0].native == read_gif(source[:-1])[0].native
