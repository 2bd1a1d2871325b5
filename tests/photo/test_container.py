"""Declared colours give a warning or an error, and `FileBytes` behaves like bytes in memory."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from burnish.errors import PhotoError
from burnish.photo import Photo, container
from burnish.photo.container import FileBytes

INDICES = st.none() | st.integers(-30, 30)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)


def png(**chunks: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    data = file.getvalue()
    for name, content in chunks.items():
        body = name.encode() + content
        chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
        data = data[:33] + chunk + data[33:]  # after IHDR
    return data


def avif(primaries: int, transfer: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "AVIF", quality=90)
    data = bytearray(file.getvalue())
    offset = data.index(b"colrnclx") + 8
    data[offset : offset + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


SRGB = [
    png(),
    png(cICP=bytes([1, 13, 0, 1])),
    png(gAMA=struct.pack(">I", 45455)),
    png(sRGB=b"\0", gAMA=struct.pack(">I", 100000)),
    avif(1, 13),
    avif(2, 2),
]
NON_SRGB = [
    png(cICP=bytes([12, 13, 0, 1])),
    png(gAMA=struct.pack(">I", 100000)),
    avif(12, 13),
]
HDR = [png(cICP=bytes([9, 16, 0, 1])), png(cICP=bytes([9, 18, 0, 1])), avif(9, 16), avif(9, 18)]


@pytest.mark.parametrize("data", SRGB)
def test_open_declared_srgb_gives_no_warning(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Photo.open(data).size == (12, 9)


@pytest.mark.parametrize("data", NON_SRGB)
def test_open_declared_other_colours_warns(data):
    with pytest.warns(UserWarning, match="sRGB"):
        assert Photo.open(data).size == (12, 9)


@pytest.mark.parametrize("data", HDR)
def test_open_high_dynamic_range_raises(data):
    with pytest.raises(PhotoError, match=r"PQ|HLG"):
        Photo.open(data)


def test_open_profile_beside_gamma_gives_no_warning():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100000))
    Image.fromarray(PIXELS).save(file, "PNG", icc_profile=profile, pnginfo=info)
    assert Photo.open(file.getvalue()).metadata.profile == profile


@given(st.binary(max_size=20), INDICES, INDICES)
def test_slice_equals_slice_of_bytes(data, start, stop):
    file = FileBytes(io.BytesIO(data))
    assert len(file) == len(data)
    assert file[start:stop] == data[start:stop]


@given(st.binary(min_size=1, max_size=20), st.data())
def test_index_equals_index_of_bytes(data, draw):
    index = draw.draw(st.integers(-len(data), len(data) - 1))
    assert FileBytes(io.BytesIO(data))[index] == data[index]


@given(st.text("ab", max_size=40), st.text("ab", min_size=1, max_size=3), INDICES, INDICES)
def test_find_equals_find_of_bytes(text, pattern, start, end):
    file = FileBytes(io.BytesIO(text.encode()))
    expected = text.encode().find(pattern.encode(), start, end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "_SEARCH_BYTES", 4)  # so that most matches span two chunks
        assert file.find(pattern.encode(), start or 0, end) == expected
