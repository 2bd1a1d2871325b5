"""Reading: orientation, formats, modes, and files that are rejected."""

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
from burnish.photo.stored_photo import decode_to_disk
from burnish.types import Rectangle


def encode_image(image: Image.Image, format: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def random_image(width: int = 24, height: int = 16) -> Image.Image:
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
def test_open_applies_orientation(format, orientation):
    image = random_image(48, 32)
    exif = image.getexif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if format == "webp" else {}
    subsampling = {"subsampling": 0} if format == "jpeg" else {}
    data = encode_image(image, format, exif=exif, **lossless, **subsampling)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    photo = Photo.open(data)
    np.testing.assert_array_equal(codes(photo), expected)
    # Programs that read the written file do not apply it again.
    with Image.open(io.BytesIO(photo.encode())) as written:
        assert written.size == photo.size
        assert written.getexif().get(0x0112, 1) == 1


def test_open_avif_applies_orientation_once():
    image = Image.linear_gradient("L").resize((48, 32)).convert("RGB")
    exif = image.getexif()
    exif[0x0112] = 6
    photo = Photo.open(encode_image(image, "avif", exif=exif))
    assert photo.size == (32, 48)
    with Image.open(io.BytesIO(photo.encode())) as written:
        assert ImageOps.exif_transpose(written).size == (32, 48)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif", "gif"])
def test_open_detects_format_from_content(tmp_path, format):
    path = tmp_path / "image.dat"
    path.write_bytes(encode_image(random_image(), format))
    assert Photo.open(path).metadata.format == format


@pytest.mark.parametrize("format", ["jpeg", "webp", "gif"])
def test_open_equals_pillow(format):
    data = encode_image(random_image(), format, **({"subsampling": 0} if format == "jpeg" else {}))
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB")).astype(int)
    assert np.abs(codes(Photo.open(data)) - expected).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_open_any_mode_equals_pillow(format, mode):
    image = random_image().convert("RGBA" if mode.endswith("A") else "RGB").convert(mode)
    data = encode_image(image, format)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    photo = Photo.open(data)
    np.testing.assert_array_equal(codes(photo), expected)
    assert photo.metadata.depth == 8
    assert (photo.alpha is not None) == mode.endswith("A")


def test_open_png_transparent_colour_becomes_alpha():
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    photo = Photo.open(encode_image(image, "png", transparency=(1, 2, 3)))
    assert photo.alpha.tolist() == [[0, 1]]


def test_open_non_ascii_name(tmp_path):
    path = tmp_path / "Фото ü 写真.JPG"
    path.write_bytes(encode_image(random_image(), "jpeg"))
    assert Photo.open(path).size == Photo.open(str(path)).size == (24, 16)


def test_open_12_bit_avif_has_depth_16():
    values = np.linspace(0, 1, 64 * 64 * 3).reshape(64, 64, 3)
    photo = Photo.open(Photo(values).encode("tiff", depth=16))
    back = Photo.open(photo.encode("avif"))
    assert back.metadata.depth == 16
    assert np.abs(back.pixels - values).max() < 0.02


# Damaged files. -------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif", "gif"])
def test_open_truncated_file_raises(format, fraction):
    data = encode_image(random_image(120, 100), format)
    with pytest.raises(PhotoError, match="broken") as caught:
        Photo.open(data[: int(len(data) * fraction)])
    assert "\n" not in str(caught.value)


def test_open_damaged_jpeg_raises():
    data = bytearray(encode_image(random_image(200, 200), "jpeg"))
    data[9000:9010] = b"\xff\xd0\x11\x22\x33\x44\xff\x00\x55\x66"
    with pytest.raises(PhotoError, match="broken"):
        Photo.open(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, world", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "not an image"),
        (b"%PDF-1.4", "not an image"),
        (b"\xff\xd8\xff\xe0", "broken"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"II*\0\x08\0\0\0", "broken"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "broken or unsupported"),
    ],
)
def test_open_not_an_image_raises(data, message):
    with pytest.raises(PhotoError, match=message) as caught:
        Photo.open(data)
    assert "\n" not in str(caught.value)


def test_open_unreadable_path_raises(tmp_path):
    for path in (tmp_path / "none.png", tmp_path, "a\0b.png"):
        with pytest.raises(PhotoError, match="cannot be read") as caught:
            Photo.open(path)
        assert caught.value.where == str(path)
        assert str(path).replace("\0", "\\x00") in str(caught.value)


def test_open_decompression_bomb_raises_before_decoding():
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = b""
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body
        chunks += struct.pack(">I", zlib.crc32(name + body))
    with pytest.raises(PhotoError, match="at most 1,000,000,000 pixels, got 100000 x 100000"):
        Photo.open(b"\x89PNG\r\n\x1a\n" + chunks)
    assert MAX_PIXELS == 10**9


def test_open_above_max_pixels_raises():
    data = encode_image(random_image(24, 16), "png")
    assert Photo.open(data, max_pixels=24 * 16).size == (24, 16)
    with pytest.raises(PhotoError, match="max_pixels"):
        Photo.open(data, max_pixels=24 * 16 - 1)


# Files that burnish could not keep without loss. ----------------------------------------------


@pytest.mark.parametrize("format", ["tiff", "webp", "gif", "png", "avif"])
def test_open_several_frames_raises(format):
    frames = [random_image(), random_image().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    data = encode_image(frames[0], format, save_all=True, append_images=frames[1:])
    with pytest.raises(PhotoError, match="pages or frames"):
        Photo.open(data)


def test_open_cmyk_raises():
    with pytest.raises(PhotoError, match="cmyk with 4 channels"):
        Photo.open(encode_image(random_image().convert("CMYK"), "jpeg"))


@pytest.mark.parametrize("mark", [{"subfiletype": 1}, {"extratags": [(50706, 1, 4, b"\1\4\0\0")]}])
def test_open_camera_raw_preview_raises(mark):
    data = tiff(np.zeros((4, 4, 3), np.uint8), photometric="rgb", **mark)
    with pytest.raises(PhotoError, match="raw"):
        Photo.open(data)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "undefined"), (np.inf, "undefined"), (1.5, "0.5 to 1.5"), (-0.25, "-0.25 to 0.5")],
)
def test_open_floats_outside_range_raises(value, message):
    values = np.full((4, 4, 3), 0.5, np.float32)
    values[1, 2, 0] = value
    with pytest.raises(PhotoError, match=message):
        Photo.open(tiff(values, photometric="rgb"))


@pytest.mark.parametrize("value", [-1e-6, -0.1, 1.0001, 1.15])
def test_open_clips_floats_a_little_outside(tmp_path, value):
    values = np.full((4, 4, 3), 0.5, np.float32)
    values[1, 2, 0] = value
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, photometric="rgb"))
    with pytest.warns(UserWarning, match="are clipped to 0 to 1"):
        photo = Photo.open(path)
    assert np.array_equal(photo.pixels, np.clip(values, 0, 1))
    with (
        pytest.warns(UserWarning, match="are clipped to 0 to 1"),
        decode_to_disk(path, tmp_path) as on_disk,
    ):
        assert np.array_equal(on_disk.read_pixels(Rectangle(0, 4, 0, 4)), photo.pixels)


@pytest.mark.parametrize("tag", [(254, 4, 1, 1, True), (255, 3, 1, 2, True)])
@pytest.mark.parametrize("big", [False, True])
def test_smaller_copies_in_a_tiff_are_no_pages(tag, big):
    codes = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    with io.BytesIO() as file:
        with tifffile.TiffWriter(file, bigtiff=big, byteorder=">") as writer:
            writer.write(codes, photometric="rgb", metadata=None)
            for step in (2, 4):
                writer.write(
                    codes[::step, ::step], photometric="rgb", metadata=None, extratags=[tag]
                )
        data = file.getvalue()
    assert np.array_equal(np.rint(Photo.open(data).pixels * 255), codes)


def test_pages_of_a_tiff_are_still_rejected():
    codes = np.zeros((4, 4, 3), np.uint8)
    with io.BytesIO() as file:
        with tifffile.TiffWriter(file) as writer:
            for subfile_type in (0, 1, 2):
                writer.write(codes, photometric="rgb", metadata=None, subfiletype=subfile_type)
        with pytest.raises(PhotoError, match="2 pages"):
            Photo.open(file.getvalue())


def test_open_32_bit_integers_raises():
    with pytest.raises(PhotoError, match="uint"):
        Photo.open(tiff(np.zeros((4, 4, 3), np.uint32), photometric="rgb"))


def test_open_pipe_raises_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PhotoError, match="pipe"):
        Photo.open(tmp_path / "pipe.png")
