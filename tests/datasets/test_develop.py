"""Developing raw files: colours, rotation, crop and damage."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import rawpy

from burnish.datasets.develop import develop
from burnish.errors import PhotoError

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
        (lambda data: b"", "input/output error"),
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

        sizes = SimpleNamespace(crop_width=0, flip=0)
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *error: None  # noqa: E731

        def postprocess(self, **options):
            os.write(2, b"a.dng: data corrupted at 77\nsomething else\n")
            return np.zeros((4, 6, 3), np.uint16)

    monkeypatch.setattr(rawpy, "imread", lambda path: DamagedRaw())
    with pytest.raises(PhotoError, match="data corrupted at 77"):
        develop(tmp_path / "a.dng")
    assert capfd.readouterr().err == "something else\n"
