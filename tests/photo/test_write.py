"""Writing: formats, depth, quality, metadata, and atomic files."""

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, PngImagePlugin

from burnish.errors import OutputError, PhotoError, UsageError
from burnish.photo import Photo, write
from burnish.photo.formats import FORMATS
from burnish.photo.metadata import SourceMetadata


def encode_image(image: Image.Image, format: str, **options: object) -> bytes:
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def smooth_image(width: int = 64, height: int = 48) -> Image.Image:
    """Return an image that compresses well, with a different pattern in each channel."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin((x * a + y * b) / 15) for a, b in ((1, 2), (2, -1), (-1, 1))]
    return Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


@pytest.fixture
def photo() -> Photo:
    return Photo.open(encode_image(smooth_image(), "png"))


def reopen(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("name", "format"),
    [("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.Png", "PNG"), ("ü.TIF", "TIFF"),
     ("写.webp", "WEBP"), ("a.b.avif", "AVIF")],
)  # fmt: skip
def test_save_format_follows_extension(tmp_path, photo, name, format):
    path = photo.save(tmp_path / name)
    assert path == tmp_path / name
    with Image.open(path) as image:
        assert image.format == format
        difference = np.abs(np.asarray(image.convert("RGB")) - photo.pixels * 255)
    assert difference.mean() < 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.heic", "a.gif", "a.bmp", "a", ".png"])
def test_save_unsupported_extension_raises(tmp_path, photo, name):
    with pytest.raises(PhotoError, match=r"jpeg, png, tiff, webp, avif"):
        photo.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_save_extension_of_other_format_raises(tmp_path, photo):
    with pytest.raises(PhotoError, match=r"'\.png'.*\.jpg"):
        photo.save(tmp_path / "a.png", format="jpeg")
    assert photo.save(tmp_path / "a.jpe", format="jpeg").exists()


def test_save_alpha_as_jpeg_raises_and_suggests_formats(tmp_path, photo):
    transparent = Photo(photo.pixels, np.ones(photo.pixels.shape[:2]))
    with pytest.raises(PhotoError, match="png, tiff, webp or avif"):
        transparent.save(tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("format", "expected"), [("jpeg", 8), ("png", 16), ("tiff", 16), ("webp", 8), ("avif", 16)]
)
def test_encode_16_bit_keeps_depth_if_supported(photo, format, expected):
    deep = Photo.open(photo.encode("png", depth=16))
    assert Photo.open(deep.encode(format)).metadata.depth == expected


def test_encode_float_as_png_has_depth_16_and_as_jpeg_8(photo):
    floats = Photo.open(photo.encode("tiff", depth=32))
    assert floats.metadata.depth == 32
    np.testing.assert_array_equal(floats.pixels, photo.pixels)
    assert Photo.open(floats.encode("png")).metadata.depth == 16
    assert Photo.open(floats.encode("jpeg")).metadata.depth == 8


def test_encode_with_depth(photo):
    ramp = np.linspace(0, 1, 300).reshape(10, 10, 3)
    deep = tifffile.imread(io.BytesIO(photo.with_pixels(photo.pixels).encode("tiff", depth=16)))
    assert deep.dtype == np.uint16
    values = tifffile.imread(io.BytesIO(Photo(ramp).encode("tiff", depth=16)))
    np.testing.assert_array_equal(values, np.rint(ramp.astype(np.float32) * 65535))
    assert Photo.open(Photo(ramp).encode("png", depth=8)).metadata.depth == 8


@pytest.mark.parametrize(
    ("format", "depth"), [("jpeg", 16), ("jpeg", 32), ("png", 32), ("webp", 16), ("avif", 32)]
)
def test_encode_depth_unsupported_by_format_raises(photo, format, depth):
    with pytest.raises(PhotoError, match=f"{format}, got {depth}"):
        photo.encode(format, depth=depth)


@pytest.mark.parametrize("depth", [0, 7, 12, -8])
def test_encode_depth_of_no_format_raises_usage_error(photo, depth):
    with pytest.raises(UsageError, match=f"depth: .* got {depth}"):
        photo.encode("tiff", depth=depth)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_encode_quality_outside_range_raises_usage_error(photo, quality):
    with pytest.raises(UsageError, match="1 to 100"):
        photo.encode("jpeg", quality=quality)


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_encode_default_quality_is_95_and_lower_is_smaller(photo, format):
    sizes = [len(photo.encode(format, quality=quality)) for quality in (30, 95)]
    assert sizes[0] < sizes[1] == len(photo.encode(format))


@pytest.mark.parametrize(("subsampling", "expected"), [(0, 0), (1, 0), (2, 2)])
def test_encode_jpeg_keeps_chroma_subsampling(subsampling, expected):
    data = Photo.open(encode_image(smooth_image(), "jpeg", subsampling=subsampling)).encode()
    horizontal, vertical = reopen(data).layer[0][1:3]
    assert (horizontal, vertical) == ((2, 2) if expected == 2 else (1, 1))


def test_encode_jpeg_from_png_has_no_chroma_subsampling(photo):
    assert reopen(photo.encode("jpeg")).layer[0][1:3] == (1, 1)


def test_encode_lossless_webp_stays_lossless_without_quality():
    image = smooth_image()
    lossless = Photo.open(encode_image(image, "webp", lossless=True))
    np.testing.assert_array_equal(np.asarray(reopen(lossless.encode())), np.asarray(image))
    assert b"VP8L" in lossless.encode()
    assert b"VP8L" not in lossless.encode(quality=95)
    assert not Photo.open(encode_image(image, "webp")).metadata.lossless


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_encode_grey_stays_grey(format):
    image = smooth_image().convert("L")
    data = Photo.open(encode_image(image, "png")).encode(format)
    # WebP has no greyscale mode.
    assert reopen(data).mode == ("RGB" if format == "webp" else "L")


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_encode_keeps_resolution(format):
    photo = Photo.open(encode_image(smooth_image(), format, dpi=(300, 300)))
    assert reopen(photo.encode()).info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_save_existing_file_raises_unless_overwrite(tmp_path, photo):
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists"):
        photo.save(path)
    assert path.read_text() == "precious"
    photo.save(path, overwrite=True)
    assert Photo.open(path).size == photo.size
    assert list(tmp_path.iterdir()) == [path]


def test_save_file_created_during_encoding_is_kept(tmp_path, monkeypatch, photo):
    path = tmp_path / "a.png"

    def create_file(*args: object, **options: object) -> bytes:
        path.write_text("precious")
        return b"new"

    monkeypatch.setattr(write, "encode", create_file)
    with pytest.raises(OutputError, match="exists"):
        photo.save(path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_save_full_disk_raises_and_leaves_no_file(tmp_path, monkeypatch, photo):
    def raise_no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", raise_no_space)
    with pytest.raises(OutputError, match="no space left on device"):
        photo.save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_encode_too_large_for_format_raises():
    with pytest.raises(PhotoError, match=r"20000 x 1.*png or tiff"):
        Photo(np.zeros((1, 20_000, 3))).encode("webp")


def test_save_png_texts_are_kept_in_png_and_warn_in_jpeg(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Cup")
    info.add_text("Author", "Renée", zip=True)
    info.add_itxt("Copyright", "© Наталья")
    Image.new("RGB", (5, 4), (9, 80, 200)).save(tmp_path / "a.png", pnginfo=info)
    photo = Photo.open(tmp_path / "a.png")
    photo.save(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as written:
        assert written.text == {"Title": "Cup", "Author": "Renée", "Copyright": "© Наталья"}
    with pytest.warns(UserWarning, match="text .*jpeg"):
        photo.save(tmp_path / "b.jpg")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_write_image_to_full_disk_raises_os_error(format):
    codes = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    image = pyvips.Image.new_from_array(codes)
    with (
        Path("/dev/full").open("r+b", buffering=0) as full,
        pytest.raises(OSError, match="No space left on device"),
    ):
        write.write_image(image, SourceMetadata(), FORMATS[format], full, None, "image")


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("has_metadata", [False, True])
def test_write_image_to_a_file_equals_encode(tmp_path, format, has_metadata):
    exif = b"MM\0*\0\0\0\x08\0\1\1\x0f\0\2\0\0\0\4Abc\0" + bytes(4)
    metadata = SourceMetadata(format=format)
    if has_metadata:
        comment = ((b"\xfe", b"a"),) if format == "jpeg" else ()
        metadata = replace(metadata, exif=exif, xmp=b"<x/>", iptc=b"records", native=comment)
    pixels = np.asarray(smooth_image(), np.float32) / 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of IPTC in WebP and AVIF
        expected = Photo(pixels, metadata=metadata).encode(format)
        codes = write.to_codes(pixels, None, metadata, 8)
        with (tmp_path / "a").open("w+b") as file:
            image = pyvips.Image.new_from_array(codes)
            write.write_image(image, metadata, FORMATS[format], file, None, "image")
    assert (tmp_path / "a").read_bytes() == expected
    if has_metadata:
        assert Photo.open(expected).metadata.exif[-8:] == b"Abc\0" + bytes(4)
        assert Photo.open(expected).metadata.xmp == b"<x/>"
