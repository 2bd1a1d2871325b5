"""Raw files: developed by LibRaw, with colours, crop and rotation, and opened with their EXIF."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import pyvips
import rawpy
from PIL import Image

from burnish.errors import MissingLibraryError, PhotoError
from burnish.photo import Photo
from burnish.photo.raw import with_metadata


def develop(path):
    return Photo.open(path).pixels


# The light of the brightest 1 % of the pixels, which LibRaw makes white.
WHITE = 0.5


def patches(height=96, width=144):
    """Return light of three flat colours, with enough white to determine the brightness."""
    light = np.full((height, width, 3), 0.18)
    light[:, : width // 4] = WHITE
    light[: height // 2, 100:] = [0.3, 0.1, 0.05]
    return light


@pytest.mark.parametrize("compressed", [False, True])
def test_develop_returns_colours_of_the_light(tmp_path, writer, compressed):
    # The expected colour is the light, scaled until WHITE is 1, with the curve of sRGB.
    writer.write_dng(tmp_path / "a.dng", patches(), compressed=compressed)
    pixels = develop(tmp_path / "a.dng")
    assert pixels.shape == (96, 144, 3)
    assert pixels.dtype == np.float32
    for at in ((70, 15), (70, 70), (20, 120)):
        expected = writer.encode(np.minimum(patches()[at] / WHITE, 1))
        np.testing.assert_allclose(pixels[at], expected, atol=3e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_develop_rotates_like_libraw(tmp_path, writer, orientation):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(3), orientation=orientation)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(use_camera_wb=True, gamma=(2.4, 12.92), output_bps=16)
    np.testing.assert_array_equal(develop(path), expected.astype(np.float32) / 65535)


def test_develop_crops_before_rotating(tmp_path, writer):
    light = writer.draw_scene(3)
    writer.write_dng(tmp_path / "whole.dng", light, orientation=6)
    writer.write_dng(tmp_path / "cropped.dng", light, orientation=6, crop=(8, 6, 60, 40))
    whole, cropped = develop(tmp_path / "whole.dng"), develop(tmp_path / "cropped.dng")
    assert whole.shape == (72, 48, 3)
    # The image is rotated clockwise: 8 from the left becomes 8 from the top, and so on.
    np.testing.assert_array_equal(cropped, whole[8:68, 2:42])


def test_develop_odd_crop_is_off_by_one_at_most(tmp_path, writer):
    writer.write_dng(tmp_path / "a.dng", writer.draw_scene(3), crop=(15, 7, 40, 30))
    height, width = develop(tmp_path / "a.dng").shape[:2]
    assert 29 <= height <= 30
    assert 39 <= width <= 40


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda data: data[: len(data) // 2], "end of file|input/output error"),
        (lambda data: b"", "file is empty"),
        (lambda data: b"no raw file" * 50, "unsupported file format"),
    ],
)
def test_develop_of_damaged_file_raises(tmp_path, writer, capfd, damage, problem):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(1))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PhotoError, match=problem) as caught:
        develop(path)
    assert caught.value.where == str(path)
    assert capfd.readouterr().err == ""


def test_develop_of_damaged_data_raises(tmp_path, writer, capfd):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(1), compressed=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xda") + 1000
    data[start : start + 300] = b"\xb6" * 300  # differences too large for 14 bits
    path.write_bytes(data)
    with pytest.raises(PhotoError, match="data"):
        develop(path)
    assert capfd.readouterr().err == ""  # LibRaw's own message is not printed


def test_develop_raises_if_libraw_only_prints_damage(tmp_path, writer, monkeypatch, capfd):
    class DamagedRaw:
        """A raw file for which LibRaw prints damage and raises no error."""

        sizes = SimpleNamespace(crop_width=0, flip=0, height=4, width=6, pixel_aspect=1)
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *error: None  # noqa: E731

        def postprocess(self, **options):
            os.write(2, b"a.dng: data corrupted at 77\nsomething else\n")
            return np.zeros((4, 6, 3), np.uint16)

    writer.write_dng(tmp_path / "a.dng", writer.draw_scene(1))
    monkeypatch.setattr(rawpy, "imread", lambda path: DamagedRaw())
    with pytest.raises(PhotoError, match="data corrupted at 77"):
        develop(tmp_path / "a.dng")
    assert capfd.readouterr().err == "something else\n"


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("crop", [None, (8, 6, 60, 40)])
def test_raw_photo_has_16_bits_and_the_size_of_its_header(tmp_path, writer, orientation, crop):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(3), orientation=orientation, crop=crop)
    photo = Photo.open(path)
    assert photo.metadata.depth == 16
    assert photo.size == Photo.size_of(path) == Photo.size_of(path.read_bytes())
    # A DNG is recognised by its content, too.
    np.testing.assert_array_equal(Photo.open(path.read_bytes()).pixels, photo.pixels)


def test_raw_photo_is_written_as_tiff_of_16_bits(tmp_path, writer):
    path = tmp_path / "a.nef"
    writer.write_dng(path, writer.draw_scene(3), orientation=6)
    photo = Photo.open(path)
    result = Photo.open(photo.encode())
    assert (result.metadata.format, result.metadata.depth) == ("tiff", 16)
    np.testing.assert_array_equal(result.pixels, photo.pixels)


def read_tags(path, *arguments):
    command = ["exiftool", "-j", "-G1", "-EXIF:all", "-XMP:all", *arguments, path]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
def test_exif_and_xmp_of_a_dng_are_kept(tmp_path, writer):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(3), orientation=6)
    tags = {
        "IFD0:Artist": "A. Person",
        "IFD0:ModifyDate": "2024:05:06 07:08:09",
        "ExifIFD:ISO": 400,
        "ExifIFD:ExposureTime": "1/250",
        "ExifIFD:LensModel": "35mm F2",
        "GPS:GPSLatitude": "48 deg 12' 30.00\" N",
        "GPS:GPSLatitudeRef": "North",
        "XMP-dc:Title": "A scene",
    }
    arguments = [f"-{name}={value}" for name, value in tags.items()]
    subprocess.run(["exiftool", "-q", *arguments, path], check=True, capture_output=True)
    Photo.open(path).save(tmp_path / "result.tif")
    kept = read_tags(tmp_path / "result.tif")
    assert {name: kept.get(name) for name in tags} == tags | {
        "GPS:GPSLatitude": kept["GPS:GPSLatitude"]
    }
    assert kept["IFD0:Model"] == "Camera"
    assert kept.get("IFD0:Orientation", "Horizontal (normal)") == "Horizontal (normal)"


def exif_block(note: bytes = b"") -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x8827] = 400
    if note:
        exif.get_ifd(0x8769)[0x927C] = note
    return exif.tobytes().removeprefix(b"Exif\0\0")


def preview(note: bytes = b"") -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", (8, 8)).save(file, "jpeg", exif=b"Exif\0\0" + exif_block(note))
        return file.getvalue()


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def sub_ifd(tag: int, value: int) -> bytes:
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, tag, 3, 1, value, 0)


def panasonic(jpeg: bytes) -> bytes:
    head = b"IIU\0" + struct.pack("<IHHHIII", 8, 1, 0x2E, 7, len(jpeg), 26, 0)
    return head + jpeg


CONTAINERS = {
    "nef": exif_block(b"Nikon\0\2\0\0and so on"),
    "orf": b"MMOR" + exif_block(b"OLYMPUS\0II and so on")[4:],
    "raf": b"FUJIFILMCCD-RAW ".ljust(84, b"\0")
    + struct.pack(">II", 92, len(preview()))
    + preview(),
    "rw2": panasonic(preview()),
    "cr3": box(b"ftyp", b"crx \0\0\0\1")
    + box(b"moov", box(b"CMT1", exif_block()) + box(b"CMT2", sub_ifd(0x8827, 400))),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_exif_of_other_raw_files_is_read(name):
    data = CONTAINERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = with_metadata(pyvips_image(), "a", data)
    exif = Image.Exif()
    exif.load(image.get("exif-data"))
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769)[0x8827] == 400
    assert 0x0112 not in exif  # the developed image is upright
    note = exif.get_ifd(0x8769).get(0x927C, b"")
    assert note.startswith({"nef": b"Nikon", "orf": b"OLYMPUS"}.get(name, b""))


def test_maker_notes_keep_their_offset_in_the_raw_file():
    data = exif_block(b"SONY DSC \0\0\0 note")
    exif = with_metadata(pyvips_image(), "a", data).get("exif-data").removeprefix(b"Exif\0\0")
    assert exif.index(b"SONY DSC") == data.index(b"SONY DSC")


def test_maker_notes_without_an_offset_in_a_block_are_left_out():
    notes = box(b"CMT3", b"II*\0 and so on")
    data = CONTAINERS["cr3"] + notes
    with pytest.warns(UserWarning, match="maker notes are left out"):
        image = with_metadata(pyvips_image(), "a", data)
    exif = Image.Exif()
    exif.load(image.get("exif-data"))
    assert 0x927C not in exif.get_ifd(0x8769)


def test_raw_file_without_exif_is_said():
    with pytest.warns(UserWarning, match="EXIF is left out"):
        with_metadata(pyvips_image(), "a", b"FOVb and so on")


def pyvips_image():
    return pyvips.Image.black(4, 4)


def test_missing_rawpy_names_the_extra(tmp_path, writer, monkeypatch):
    path = tmp_path / "a.dng"
    writer.write_dng(path, writer.draw_scene(3))
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingLibraryError, match=r"a.dng: the library rawpy .* extra 'raw'"):
        Photo.open(path)
