"""Headers: the size that `Photo.open` returns, and its errors, without decoding."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from burnish.detection.detect import resize
from burnish.errors import PhotoError
from burnish.files import temporary_file
from burnish.photo import Photo, header
from burnish.photo.colour import parse_lut_profile
from burnish.photo.stored_photo import RawTiff

OPEN_FILES = Path("/proc/self/fd")
FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "gif"]


def encode_image(format: str, orientation: int = 1, width: int = 120, height: int = 90) -> bytes:
    codes = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(codes)
    exif = image.getexif()
    exif[0x0112] = orientation
    with io.BytesIO() as file:
        image.save(file, format, **({"exif": exif} if orientation > 1 else {}))
        return file.getvalue()


@pytest.fixture
def no_decoding(monkeypatch):
    monkeypatch.setattr("pyvips.Image.write_to_memory", lambda self: pytest.fail("decoded"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", [format for format in FORMATS if format != "gif"])
def test_size_of_equals_size_of_open_photo(tmp_path, format, orientation):
    path = tmp_path / "image"
    path.write_bytes(encode_image(format, orientation))
    expected = (90, 120) if orientation >= 5 else (120, 90)
    assert Photo.open(path).size == expected
    assert Photo.size_of(path) == Photo.size_of(str(path)) == expected
    assert Photo.size_of(path.read_bytes()) == expected


@pytest.mark.parametrize("format", FORMATS)
def test_size_of_decodes_nothing(tmp_path, no_decoding, format):
    path = tmp_path / "ü 写.dat"
    path.write_bytes(encode_image(format))
    assert Photo.size_of(path) == (120, 90)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_size_of_truncated_file_needs_only_header(tmp_path, format):
    path = tmp_path / "image"
    path.write_bytes(encode_image(format, orientation=6, width=400, height=300)[:2000])
    assert Photo.size_of(path) == Photo.size_of(path.read_bytes()) == (300, 400)
    with pytest.raises(PhotoError, match="broken"):
        Photo.open(path)


def cmyk() -> bytes:
    with io.BytesIO() as file:
        Image.new("CMYK", (4, 4)).save(file, "jpeg")
        return file.getvalue()


def animation(format: str) -> bytes:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    with io.BytesIO() as file:
        frames[0].save(file, format, save_all=True, append_images=frames[1:])
        return file.getvalue()


def raw() -> bytes:
    with io.BytesIO() as file:
        tifffile.imwrite(file, np.zeros((4, 4, 3), np.uint8), photometric="rgb", subfiletype=1)
        return file.getvalue()


UNSUPPORTED = {
    "empty": b"",
    "text": b"hello, world",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "jpeg's first bytes": b"\xff\xd8\xff\xe0",
    "png's first bytes": b"\x89PNG\r\n\x1a\n",
    "tiff's first bytes": b"II*\0\x08\0\0\0",
    "cmyk": cmyk(),
    "raw": raw(),
} | {f"animated {format}": animation(format) for format in ("png", "gif", "webp", "tiff", "avif")}


@pytest.mark.parametrize("data", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_size_of_unsupported_file_raises_the_error_of_open(tmp_path, data):
    path = tmp_path / "image"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(PhotoError) as open_error:
            Photo.open(source)
        with pytest.raises(PhotoError) as size_error:
            Photo.size_of(source)
        assert str(size_error.value) == str(open_error.value)


def test_size_of_above_max_pixels_raises(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_image("png"))
    assert Photo.size_of(path, max_pixels=120 * 90) == (120, 90)
    with pytest.raises(PhotoError, match="max_pixels"):
        Photo.size_of(path, max_pixels=120 * 90 - 1)
    assert header.MAX_PIXELS == 10**9


def test_size_of_unreadable_path_raises(tmp_path):
    for path in (tmp_path / "none.png", tmp_path, "a\0b.png"):
        with pytest.raises(PhotoError, match="cannot be read") as caught:
            Photo.size_of(path)
        assert caught.value.where == str(path)
        assert str(path).replace("\0", "\\x00") in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="no list of open files")
def test_size_of_closes_files(tmp_path, format):
    path = tmp_path / "image"
    path.write_bytes(encode_image(format))
    before = len(list(OPEN_FILES.iterdir()))
    for _ in range(20):
        Photo.size_of(path)
    assert len(list(OPEN_FILES.iterdir())) <= before + 2


def encode_photo(_):
    Photo.open(encode_image("png")).encode("jpeg")


def write_raw_tiff(folder):
    with temporary_file(folder) as file:
        RawTiff(file, 4, 5, 3, np.dtype(np.uint8)).image()


def resize_photo(_):
    resize(np.ones((8, 6, 3), np.float32), (3, 4))


def parse_profile(_):
    parse_lut_profile(pyvips.Operation.call("profile_load", "srgb"))


# libvips keeps one error text for the whole process, not one for each thread.
@pytest.mark.parametrize("other", [encode_photo, write_raw_tiff, resize_photo, parse_profile])
def test_decode_error_text_survives_work_of_other_threads(tmp_path, other):
    done = Event()

    def until_done():
        while not done.is_set():
            other(tmp_path)

    with ThreadPoolExecutor() as pool:
        background = pool.submit(until_done)
        try:
            for _ in range(4000):
                with pytest.raises(PhotoError, match="premature end of JPEG image"):
                    header.open_image("cut.jpg", b"\xff\xd8\xff\xe0 half")
        finally:
            done.set()
        background.result()
