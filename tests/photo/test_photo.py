"""`Photo`: its checks, and files that are read and written again, compared by other libraries."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from burnish.errors import PhotoError
from burnish.photo import Photo
from burnish.photo.metadata import SourceMetadata

PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}


def png16(codes: np.ndarray) -> bytes:
    """Write a 16-bit PNG, which Pillow cannot."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    height, width, bands = codes.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in codes)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, PNG_COLOUR[bands], 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def read_png16(data: bytes) -> np.ndarray:
    """Decode a 16-bit PNG as its specification defines it."""
    offset, body, header = 8, b"", ()
    while offset < len(data):
        size, name = struct.unpack_from(">I4s", data, offset)
        content = data[offset + 8 : offset + 8 + size]
        if name == b"IHDR":
            header = struct.unpack(">IIBBBBB", content)
        body += content if name == b"IDAT" else b""
        offset += 12 + size
    width, height, bits, colour = header[:4]
    assert (bits, header[6]) == (16, 0)
    bands = {kind: bands for bands, kind in PNG_COLOUR.items()}[colour]
    step = 2 * bands
    raw, stride = zlib.decompress(body), 1 + step * width
    above = bytearray(step * width)
    out = []
    for y in range(height):
        kind, row = raw[y * stride], bytearray(raw[y * stride + 1 : (y + 1) * stride])
        for x in range(len(row)):
            a, b = (row[x - step] if x >= step else 0), above[x]
            c = above[x - step] if x >= step else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        out.append(np.frombuffer(bytes(row), ">u2"))
        above = row
    return np.array(out).reshape(height, width, bands)


def pil_bytes(image: Image.Image, format: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def pil_array(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def noise(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))


@given(SHAPES, st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_round_trip_8_bit_png_is_exact(shape, seed):
    codes = (
        noise(shape, np.uint8, seed).squeeze(axis=2)
        if shape[2] == 1
        else noise(shape, np.uint8, seed)
    )
    photo = Photo.open(pil_bytes(Image.fromarray(codes), "png"))
    assert photo.metadata.depth == 8
    assert photo.metadata.grey == (shape[2] < 3)
    np.testing.assert_array_equal(pil_array(photo.encode()), codes)


@given(SHAPES, st.integers(0, 999))
@settings(deadline=None, max_examples=40)
def test_round_trip_16_bit_png_is_exact(shape, seed):
    codes = noise(shape, np.uint16, seed)
    photo = Photo.open(png16(codes))
    assert photo.metadata.depth == 16
    np.testing.assert_array_equal(read_png16(photo.encode()), codes)


@given(SHAPES, st.sampled_from([np.uint8, np.uint16, np.float32]), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_round_trip_tiff_is_exact(shape, dtype, seed):
    values = noise(shape, dtype, seed)
    with io.BytesIO() as file:
        tifffile.imwrite(
            file,
            values.squeeze(axis=2) if shape[2] == 1 else values,
            photometric="minisblack" if shape[2] < 3 else "rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if shape[2] in (2, 4) else None,
        )
        photo = Photo.open(file.getvalue())
    back = tifffile.imread(io.BytesIO(photo.encode()))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.reshape(shape), values)


@given(st.integers(1, 12), st.integers(1, 12), st.booleans(), st.integers(0, 999))
@settings(deadline=None, max_examples=30)
def test_round_trip_palette_png_keeps_colours_and_alpha(width, height, transparent, seed):
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 16, (height, width), np.uint8))
    image.putpalette(rng.integers(0, 256, 48, np.uint8).tobytes())
    options = {"transparency": rng.bytes(16)} if transparent else {}
    data = pil_bytes(image, "png", **options)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGBA" if transparent else "RGB"))
    np.testing.assert_array_equal(pil_array(Photo.open(data).encode()), expected)


def test_open_dark_16_bit_png_has_depth_16():
    codes = noise((4, 5, 3), np.uint16) % 200
    assert Photo.open(png16(codes)).metadata.depth == 16


def test_open_pixels_are_codes_divided_by_255():
    codes = np.array([[[0, 1, 128], [254, 255, 7]]], np.uint8)
    photo = Photo.open(pil_bytes(Image.fromarray(codes), "png"))
    np.testing.assert_array_equal(photo.pixels, (codes / 255).astype(np.float32))
    assert photo.size == (2, 1)
    assert photo.alpha is None


def test_round_trip_keeps_colour_of_transparent_pixels():
    codes = noise((5, 4, 4), np.uint8)
    codes[:, :, 3] = 0
    data = pil_bytes(Image.fromarray(codes), "png")
    photo = Photo.open(data)
    np.testing.assert_array_equal(pil_array(photo.encode("png")), codes)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(photo.encode("tiff"))), codes)
    lossless = Photo.open(pil_bytes(Image.fromarray(codes), "webp", lossless=True, exact=True))
    np.testing.assert_array_equal(pil_array(lossless.encode()), codes)


def test_with_pixels_keeps_alpha_in_png_and_lossy_webp():
    codes = noise((9, 9, 4), np.uint8)
    photo = Photo.open(pil_bytes(Image.fromarray(codes), "png"))
    edited = photo.with_pixels(1 - photo.pixels)
    np.testing.assert_array_equal(pil_array(edited.encode("png"))[..., :3], 255 - codes[..., :3])
    np.testing.assert_array_equal(pil_array(edited.encode("png"))[..., 3], codes[..., 3])
    np.testing.assert_array_equal(pil_array(edited.encode("webp"))[..., 3], codes[..., 3])


def test_encode_grey_source_stores_mean_of_channels():
    codes = np.array([[10, 20]], np.uint8)
    photo = Photo.open(pil_bytes(Image.fromarray(codes), "png"))
    tinted = photo.with_pixels(np.array([[[0.0, 0.3, 0.6], [0.1, 0.1, 0.1]]]))
    np.testing.assert_array_equal(pil_array(tinted.encode()), np.rint([[0.3 * 255, 0.1 * 255]]))


def test_with_pixels_clips_and_keeps_original_photo():
    photo = Photo(np.full((2, 2, 3), 0.5, np.float32))
    new = photo.with_pixels(np.array([-1.0, 0.25, 2.0]) * np.ones((2, 2, 3)))
    assert new.pixels[0, 0].tolist() == [0, 0.25, 1]
    assert photo.pixels.max() == 0.5
    assert new.metadata is photo.metadata


def test_photo_copies_arrays_and_makes_them_read_only():
    pixels, alpha = np.zeros((2, 2, 3), np.float32), np.ones((2, 2), np.float32)
    photo = Photo(pixels, alpha)
    pixels[:], alpha[:] = 1, 0
    assert photo.pixels.max() == 0
    assert photo.alpha.min() == 1
    for array in (photo.pixels, photo.alpha, Photo.open(photo.encode()).pixels):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 2, 4)), "2 x 2 x 4"),
        (np.zeros((2, 2)), "2 x 2"),
        (np.zeros((0, 2, 3)), "0 x 2 x 3"),
        (np.zeros((2, 2, 3), np.uint8), "divide by the type's largest value"),
        (np.full((2, 2, 3), np.nan), "finite"),
        (np.full((2, 2, 3), -np.inf), "finite"),
    ],
)
def test_photo_invalid_pixels_raises(pixels, message):
    with pytest.raises(PhotoError, match=message):
        Photo(pixels)


def test_with_pixels_other_size_raises():
    with pytest.raises(PhotoError, match="2 x 2 x 3, got 2 x 3 x 3"):
        Photo(np.zeros((2, 2, 3))).with_pixels(np.zeros((2, 3, 3)))


def test_photo_alpha_of_other_size_raises():
    with pytest.raises(PhotoError, match=r"alpha: .* 2 x 2, got 2 x 3"):
        Photo(np.zeros((2, 2, 3)), np.zeros((2, 3)))


def test_photo_from_array_is_8_bit_png():
    photo = Photo(np.full((1, 1, 3), 0.2))
    assert (
        (photo.metadata.format, photo.metadata.depth) == (SourceMetadata().format, 8) == ("png", 8)
    )
    assert pil_array(photo.encode()).tolist() == [[[51, 51, 51]]]


def test_open_prints_nothing(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Photo.open(pil_bytes(Image.new("RGB", (3, 2)), "jpeg"))
    assert capfd.readouterr() == ("", "")
