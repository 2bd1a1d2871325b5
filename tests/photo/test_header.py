"""The size without decoding: what `open` gives, from the header alone."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from burnish.detection.resize import resize
from burnish.errors import PhotoError
from burnish.files import temporary_file
from burnish.photo import Photo, header, lut
from burnish.photo.raw_tiff import RawTiff

OPEN_FILES = Path("/proc/self/fd")
FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "gif"]


def encoded(format: str, orientation: int = 1, width: int = 120, height: int = 90) -> bytes:
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
def test_the_size_is_that_of_the_opened_photo(tmp_path, format, orientation):
    path = tmp_path / "picture"
    path.write_bytes(encoded(format, orientation))
    wanted = (90, 120) if orientation >= 5 else (120, 90)
    assert Photo.open(path).size == wanted
    assert Photo.size_of(path) == Photo.size_of(str(path)) == wanted
    assert Photo.size_of(path.read_bytes()) == wanted


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_decoded(tmp_path, no_decoding, format):
    path = tmp_path / "ü 写.dat"
    path.write_bytes(encoded(format))
    assert Photo.size_of(path) == (120, 90)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_what_follows_the_header_is_not_missed(tmp_path, format):
    path = tmp_path / "picture"
    path.write_bytes(encoded(format, orientation=6, width=400, height=300)[:2000])
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


REFUSED = {
    "empty": b"",
    "text": b"hello, world",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "jpeg's first bytes": b"\xff\xd8\xff\xe0",
    "png's first bytes": b"\x89PNG\r\n\x1a\n",
    "tiff's first bytes": b"II*\0\x08\0\0\0",
    "cmyk": cmyk(),
    "raw": raw(),
} | {f"animated {format}": animation(format) for format in ("png", "gif", "webp", "tiff", "avif")}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_open_refuses_is_refused_in_the_same_words(tmp_path, data):
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(PhotoError) as opening:
            Photo.open(source)
        with pytest.raises(PhotoError) as measuring:
            Photo.size_of(source)
        assert str(measuring.value) == str(opening.value)


def test_the_pixel_limit_holds(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded("png"))
    assert Photo.size_of(path, max_pixels=120 * 90) == (120, 90)
    with pytest.raises(PhotoError, match=r"in Python: Photo\.open\(\.\.\., max_pixels=\.\.\.\)"):
        Photo.size_of(path, max_pixels=120 * 90 - 1)
    assert header.MAX_PIXELS == 10**9


def test_missing_file_folder_and_impossible_name(tmp_path):
    for path in (tmp_path / "none.png", tmp_path, "a\0b.png"):
        with pytest.raises(PhotoError, match="expected a picture file") as caught:
            Photo.size_of(path)
        assert caught.value.where == str(path)
        assert str(path).replace("\0", "\\x00") in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="no list of open files")
def test_no_file_stays_open(tmp_path, format):
    path = tmp_path / "picture"
    path.write_bytes(encoded(format))
    before = len(list(OPEN_FILES.iterdir()))
    for _ in range(20):
        Photo.size_of(path)
    assert len(list(OPEN_FILES.iterdir())) <= before + 2


def encode_one(_):
    Photo.open(encoded("png")).encode("jpeg")


def lay_out_one(folder):
    with temporary_file(folder) as file:
        RawTiff(file, 4, 5, 3, np.dtype(np.uint8)).image()


def scale_one(_):
    resize(np.ones((8, 6, 3), np.float32), (3, 4))


def convert_one(_):
    lut.parse(pyvips.Operation.call("profile_load", "srgb"))


# libvips keeps the text of an error for the process, not for a thread.
@pytest.mark.parametrize("other", [encode_one, lay_out_one, scale_one, convert_one])
def test_why_a_file_is_refused_is_told_whatever_runs_beside(tmp_path, other):
    done = Event()

    def until_done():
        while not done.is_set():
            other(tmp_path)

    with ThreadPoolExecutor() as pool:
        beside = pool.submit(until_done)
        try:
            for _ in range(4000):
                with pytest.raises(PhotoError, match="VipsJpeg: premature end of JPEG image"):
                    header.open_image("cut.jpg", b"\xff\xd8\xff\xe0 half")
        finally:
            done.set()
        beside.result()
