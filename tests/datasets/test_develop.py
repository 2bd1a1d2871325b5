"""Raw files come out with the colours that went in, upright and cropped."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import rawpy

from burnish.datasets.develop import develop
from burnish.errors import PhotoError

WHITE = 0.5  # as bright as the brightest hundredth: what LibRaw makes white


def patches(height=96, width=144):
    """Three flat colours, and enough white for the brightness to follow from it."""
    light = np.full((height, width, 3), 0.18)
    light[:, : width // 4] = WHITE
    light[: height // 2, 100:] = [0.3, 0.1, 0.05]
    return light


@pytest.mark.parametrize("compressed", [False, True])
def test_colours_are_those_of_the_light(tmp_path, official, compressed):
    # Independent of LibRaw: the light, brought up until WHITE is 1, under the curve of sRGB.
    official.write_dng(tmp_path / "a.dng", patches(), compressed=compressed)
    pixels = develop(tmp_path / "a.dng")
    assert pixels.shape == (96, 144, 3)
    assert pixels.dtype == np.float32
    for at in ((70, 15), (70, 70), (20, 120)):
        expected = official.encode(np.minimum(patches()[at] / WHITE, 1))
        np.testing.assert_allclose(pixels[at], expected, atol=3e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_photo_is_upright_as_libraw_turns_it(tmp_path, official, orientation):
    path = tmp_path / "a.dng"
    official.write_dng(path, official.scene(3), orientation=orientation)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(use_camera_wb=True, gamma=(2.4, 12.92), output_bps=16)
    np.testing.assert_array_equal(develop(path), expected.astype(np.float32) / 65535)


def test_the_crop_that_the_file_asks_for_is_made_before_it_is_turned(tmp_path, official):
    light = official.scene(3)
    official.write_dng(tmp_path / "whole.dng", light, orientation=6)
    official.write_dng(tmp_path / "cropped.dng", light, orientation=6, crop=(8, 6, 60, 40))
    whole, cropped = develop(tmp_path / "whole.dng"), develop(tmp_path / "cropped.dng")
    assert whole.shape == (72, 48, 3)
    # A quarter turn clockwise: what was 8 from the left is 8 from the top, and so on.
    np.testing.assert_array_equal(cropped, whole[8:68, 2:42])


def test_an_odd_crop_is_off_by_one_at_most(tmp_path, official):
    official.write_dng(tmp_path / "a.dng", official.scene(3), crop=(15, 7, 40, 30))
    height, width = develop(tmp_path / "a.dng").shape[:2]
    assert 29 <= height <= 30
    assert 39 <= width <= 40


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda data: data[: len(data) // 2], "got .*(end of file|input/output error)"),
        (lambda data: b"", "got input/output error"),
        (lambda data: b"no raw file" * 50, "got unsupported file format"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, official, capfd, damage, complaint):
    path = tmp_path / "a.dng"
    official.write_dng(path, official.scene(1))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PhotoError, match=complaint) as caught:
        develop(path)
    assert str(caught.value).startswith(f"{path}: expected a camera's raw file")
    assert capfd.readouterr().err == ""


def test_damage_inside_the_data_is_one_line(tmp_path, official, capfd):
    path = tmp_path / "a.dng"
    official.write_dng(path, official.scene(1), compressed=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xda") + 1000
    data[start : start + 300] = b"\xb6" * 300  # differences that 14 bits do not hold
    path.write_bytes(data)
    with pytest.raises(PhotoError, match="got data"):
        develop(path)
    assert capfd.readouterr().err == ""  # LibRaw itself prints another line


def test_damage_that_libraw_only_prints_is_an_error(tmp_path, official, monkeypatch, capfd):
    class Muttering:
        """A LibRaw that goes on; which damage it takes so lightly depends on its version."""

        sizes = SimpleNamespace(crop_width=0, flip=0)
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *error: None  # noqa: E731

        def postprocess(self, **how):
            os.write(2, b"a.dng: data corrupted at 77\nsomething else\n")
            return np.zeros((4, 6, 3), np.uint16)

    monkeypatch.setattr(rawpy, "imread", lambda path: Muttering())
    with pytest.raises(PhotoError, match=r"got a\.dng: data corrupted at 77"):
        develop(tmp_path / "a.dng")
    assert capfd.readouterr().err == "something else\n"
