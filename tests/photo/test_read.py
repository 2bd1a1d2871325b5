"""Reading: orientation, every kind of file, and what is refused."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from burnish.errors import PhotoError
from burnish.photo import Photo
from burnish.photo.header import MAX_PIXELS


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def picture(width: int = 24, height: int = 16) -> Image.Image:
    codes = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(codes)


def tiff(values: np.ndarray, **options: object) -> bytes:
    with io.BytesIO() as file:
        tifffile.imwrite(file, values, **options)
        return file.getvalue()


def codes(photo: Photo) -> np.ndarray:
    return np.rint(photo.pixels * 255).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_orientation_is_applied(format, orientation):
    image = picture(48, 32)
    exif = image.getexif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if format == "webp" else {}
    subsampling = {"subsampling": 0} if format == "jpeg" else {}
    data = encoded(image, format, exif=exif, **lossless, **subsampling)
    with Image.open(io.BytesIO(data)) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened))
    photo = Photo.open(data)
    np.testing.assert_array_equal(codes(photo), wanted)
    # And it is not applied a second time by whoever reads what is written.
    with Image.open(io.BytesIO(photo.encode())) as written:
        assert written.size == photo.size
        assert written.getexif().get(0x0112, 1) == 1


def test_avif_orientation_is_applied_once():
    image = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
    exif = image.getexif()
    exif[0x0112] = 6
    photo = Photo.open(encoded(image, "avif", exif=exif))
    assert photo.size == (32, 48)
    with Image.open(io.BytesIO(photo.encode())) as written:
        assert ImageOps.exif_transpose(written).size == (32, 48)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif", "gif"])
def test_content_and_not_the_name_decides_the_format(tmp_path, format):
    path = tmp_path / "picture.dat"
    path.write_bytes(encoded(picture(), format))
    assert Photo.open(path).metadata.format == format


@pytest.mark.parametrize("format", ["jpeg", "webp", "gif"])
def test_decoding_agrees_with_another_library(format):
    data = encoded(picture(), format, **({"subsampling": 0} if format == "jpeg" else {}))
    with Image.open(io.BytesIO(data)) as opened:
        wanted = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(codes(Photo.open(data)) - wanted).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_modes_agree_with_another_library(format, mode):
    image = picture().convert("RGBA" if mode.endswith("A") else "RGB").convert(mode)
    data = encoded(image, format)
    with Image.open(io.BytesIO(data)) as opened:
        wanted = np.asarray(opened.convert("RGB"))
    photo = Photo.open(data)
    np.testing.assert_array_equal(codes(photo), wanted)
    assert photo.metadata.depth == 8
    assert (photo.alpha is not None) == mode.endswith("A")


def test_one_transparent_colour_becomes_alpha():
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    photo = Photo.open(encoded(image, "png", transparency=(1, 2, 3)))
    assert photo.alpha.tolist() == [[0, 1]]


def test_non_ascii_names(tmp_path):
    path = tmp_path / "Фото ü 写真.JPG"
    path.write_bytes(encoded(picture(), "jpeg"))
    assert Photo.open(path).size == Photo.open(str(path)).size == (24, 16)


def test_10_bit_avif_is_16_bit():
    values = np.linspace(0, 1, 64 * 64 * 3).reshape(64, 64, 3)
    photo = Photo.open(Photo(values).encode("tiff", depth=16))
    back = Photo.open(photo.encode("avif"))
    assert back.metadata.depth == 16
    assert np.abs(back.pixels - values).max() < 0.02


# What is broken. ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif", "gif"])
def test_a_truncated_file_is_an_error(format, part):
    data = encoded(picture(120, 100), format)
    with pytest.raises(PhotoError, match="open it elsewhere") as caught:
        Photo.open(data[: int(len(data) * part)])
    assert "\n" not in str(caught.value)


def test_a_damaged_jpeg_is_an_error_and_not_a_grey_half():
    data = bytearray(encoded(picture(200, 200), "jpeg"))
    data[9000:9010] = b"\xff\xd0\x11\x22\x33\x44\xff\x00\x55\x66"
    with pytest.raises(PhotoError, match="broken"):
        Photo.open(bytes(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"hello, world", "something else"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "something else"),
        (b"%PDF-1.4", "something else"),
        (b"\xff\xd8\xff\xe0", "broken"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"II*\0\x08\0\0\0", "broken"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "broken or unsupported"),
    ],
)
def test_no_picture(data, words):
    with pytest.raises(PhotoError, match=words) as caught:
        Photo.open(data)
    assert "\n" not in str(caught.value)


def test_missing_file_folder_and_impossible_name(tmp_path):
    for path in (tmp_path / "none.png", tmp_path, "a\0b.png"):
        with pytest.raises(PhotoError, match="expected a picture file") as caught:
            Photo.open(path)
        assert caught.value.where == str(path)
        assert str(path).replace("\0", "\\x00") in str(caught.value)


def test_a_bomb_is_refused_before_it_is_decoded():
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = b""
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body
        chunks += struct.pack(">I", zlib.crc32(name + body))
    with pytest.raises(PhotoError, match="at most 1,000,000,000 pixels, got 100000 x 100000"):
        Photo.open(b"\x89PNG\r\n\x1a\n" + chunks)
    assert MAX_PIXELS == 10**9


def test_the_pixel_limit_is_exact():
    data = encoded(picture(24, 16), "png")
    assert Photo.open(data, max_pixels=24 * 16).size == (24, 16)
    with pytest.raises(PhotoError, match="max_pixels"):
        Photo.open(data, max_pixels=24 * 16 - 1)


# What would lose something. -------------------------------------------------------------------


@pytest.mark.parametrize("format", ["tiff", "webp", "gif", "png", "avif"])
def test_several_frames_are_refused(format):
    frames = [picture(), picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(PhotoError, match="split it into single pictures"):
        Photo.open(data)


def test_cmyk_is_refused():
    with pytest.raises(PhotoError, match="got cmyk with 4 channels; convert it to RGB"):
        Photo.open(encoded(picture().convert("CMYK"), "jpeg"))


@pytest.mark.parametrize("mark", [{"subfiletype": 1}, {"extratags": [(50706, 1, 4, b"\1\4\0\0")]}])
def test_a_raw_files_preview_is_not_taken_for_the_photo(mark):
    data = tiff(np.zeros((4, 4, 3), np.uint8), photometric="rgb", **mark)
    with pytest.raises(PhotoError, match="develop or convert"):
        Photo.open(data)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "undefined"), (np.inf, "undefined"), (1.5, "0.5 to 1.5"), (-0.25, "-0.25 to 0.5")],
)
def test_floats_that_are_no_picture_are_refused(value, words):
    values = np.full((4, 4, 3), 0.5, np.float32)
    values[1, 2, 0] = value
    with pytest.raises(PhotoError, match=words):
        Photo.open(tiff(values, photometric="rgb"))


def test_32_bit_integers_are_refused():
    with pytest.raises(PhotoError, match="32-bit floats, got samples of the kind uint"):
        Photo.open(tiff(np.zeros((4, 4, 3), np.uint32), photometric="rgb"))


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PhotoError, match="expected a picture file, got a pipe"):
        Photo.open(tmp_path / "pipe.png")
