"""The most frequent complaints about such tools, tested on files of common programs.

ImageMagick, ExifTool and Pillow make the files and check the results. burnish runs as a command.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.evaluation.doctor import SAMPLE

ADOBE_RGB = Path("/usr/share/color/icc/ghostscript/a98.icc")
SRGB = Path("/usr/share/color/icc/ghostscript/srgb.icc")


def needs(*programs):
    missing = [program for program in programs if not is_installed(program)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def is_installed(program):
    if shutil.which(program) is None:
        return False
    # Windows has another program called convert, for disks.
    return program != "convert" or "ImageMagick" in run(program, "-version", code=None)[0]


def run(*command, code=0, **options):
    process = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert code in (None, process.returncode), process.stderr
    return process.stdout, process.stderr


def burnish(*arguments, code=0, **options):
    return run(sys.executable, "-m", "burnish", *arguments, code=code, **options)


def tags(path):
    """Return the metadata that ExifTool reads, by group and name, with numbers as numbers."""
    return json.loads(run("exiftool", "-j", "-n", "-G", path)[0])[0]


def read(path, mode=None):
    with Image.open(path) as image:
        return np.asarray(image.convert(mode) if mode else image)


def codes_of(path):
    """Return the 16-bit codes of an image as ImageMagick reads them, flattened."""
    command = ["convert", path, "-depth", "16", "rgb:-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<u2")


@pytest.fixture
def identity_operator(tmp_path):
    """The options of an operator that changes nothing."""
    script = tmp_path / "identity.py"
    script.write_text("def identity(rgb):\n    return rgb\n")
    return "--slow", f"python:{script}:identity"


@needs("convert", "exiftool")
@pytest.mark.skipif(not ADOBE_RGB.exists(), reason="no Adobe RGB profile (package ghostscript)")
class TestCameraPhoto:
    """A photo rotated by 90 degrees, in Adobe RGB, with a location and a serial number."""

    @pytest.fixture
    def photo(self, tmp_path):
        path = tmp_path / "camera.jpg"
        convert = ["convert", SAMPLE, "-resize", "320x", "-profile", SRGB, "-profile", ADOBE_RGB]
        run(*convert, "-sampling-factor", "4:2:0", "-quality", "97", path)
        location = ["-GPSLatitude=47.5", "-GPSLatitudeRef=N", "-GPSLongitude=8.25"]
        location += ["-GPSLongitudeRef=E", "-SerialNumber=7", "-Artist=Zoë"]
        run("exiftool", "-q", "-overwrite_original", "-Orientation#=6", *location, path)
        return path

    def test_output_is_upright_and_tagged_within_one_code(self, photo, identity_operator, tmp_path):
        upright = tmp_path / "upright.png"
        run("convert", photo, "-auto-orient", upright)
        burnish("apply", *identity_operator, photo, "-o", tmp_path / "out.png")
        ours, theirs = read(tmp_path / "out.png").astype(int), read(upright).astype(int)
        assert ours.shape == theirs.shape
        assert ours.shape[0] > ours.shape[1]
        assert np.abs(ours - theirs).max() <= 1
        with Image.open(tmp_path / "out.png") as image:
            assert image.info["icc_profile"] == ADOBE_RGB.read_bytes()

    def test_output_keeps_metadata_and_resets_orientation(self, photo, tmp_path):
        burnish("apply", "l0-smoothing", photo)
        before, after = tags(photo), tags(photo.with_name("camera.l0-smoothing.jpg"))
        for name in ("GPSLatitude", "GPSLongitude", "SerialNumber", "Artist"):
            assert after[f"EXIF:{name}"] == before[f"EXIF:{name}"]
        assert before["EXIF:Orientation"] == 6
        assert after.get("EXIF:Orientation", 1) == 1
        assert after["ICC_Profile:ProfileDescription"] == before["ICC_Profile:ProfileDescription"]
        sides = ("File:ImageWidth", "File:ImageHeight")
        assert [after[side] for side in sides] == [before[side] for side in reversed(sides)]
        assert after["File:YCbCrSubSampling"] == before["File:YCbCrSubSampling"]

    def test_output_equals_editing_in_srgb_by_imagemagick(self, photo, tmp_path):
        """ImageMagick converts to sRGB before the edit, and back to Adobe RGB after it."""
        untagged, edited, back = (tmp_path / f"{name}.png" for name in ("in", "out", "back"))
        run("convert", photo, "-auto-orient", "-depth", "16", "-profile", SRGB, untagged)
        burnish("apply", "l0-smoothing", untagged, "--guide", "network", "-o", edited)
        run("convert", edited, "-profile", SRGB, "-profile", ADOBE_RGB, "-depth", "8", back)
        burnish("apply", "l0-smoothing", photo, "--guide", "network", "-o", tmp_path / "ours.png")
        difference = np.abs(read(tmp_path / "ours.png").astype(int) - read(back, "RGB"))
        # Colours outside of sRGB are clipped there, and kept by burnish.
        codes = codes_of(untagged).reshape(difference.shape)
        in_gamut = ((codes > 0) & (codes < 65535)).all(axis=2)
        assert in_gamut.mean() > 0.9
        assert difference[in_gamut].max() <= 1


@needs("convert")
def test_dark_16_bit_image_keeps_every_code(identity_operator, tmp_path):
    dark, out = tmp_path / "dark.png", tmp_path / "out.png"
    run("convert", "-size", "60x40", "gradient:black-gray1", "-depth", "16", f"PNG48:{dark}")
    burnish("apply", *identity_operator, dark, "-o", out)
    before, after = codes_of(dark), codes_of(out)
    np.testing.assert_array_equal(before, after)
    assert run("identify", "-format", "%z", out)[0] == "16"
    assert 0 < before.max() < 800


@needs("convert")
def test_palette_image_keeps_its_transparency(identity_operator, tmp_path):
    palette, out = tmp_path / "palette.png", tmp_path / "out.png"
    draw = ["-fill", "tomato", "-draw", "circle 30,20 30,5", "-fill", "navy"]
    run("convert", "-size", "60x40", "xc:none", *draw, "-draw", "point 1,1", f"PNG8:{palette}")
    with Image.open(palette) as image:
        assert image.mode == "P"
    burnish("apply", *identity_operator, palette, "-o", out)
    before, after = read(palette, "RGBA"), read(out, "RGBA")
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    visible = before[..., 3] > 0
    np.testing.assert_array_equal(after[visible], before[visible])
    assert set(np.unique(before[..., 3])) == {0, 255}


FORMATS = ("jpg", "png", "tif", "webp")


@needs("convert")
def test_photos_that_differ_in_their_extension_give_separate_outputs(tmp_path):
    for extension in FORMATS:
        run("convert", SAMPLE, "-resize", "64x", tmp_path / f"a.{extension}")
    burnish("apply", "l0-smoothing", tmp_path, "-o", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"a.l0-smoothing.{extension}" for extension in FORMATS
    }


def test_truncated_photo_gives_one_line_and_exit_code_1(tmp_path):
    content = SAMPLE.read_bytes()
    (tmp_path / "whole.jpg").write_bytes(content)
    (tmp_path / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    out, err = burnish("apply", "l0-smoothing", tmp_path, "-o", tmp_path / "out", code=1)
    [line] = [line for line in err.splitlines() if line.startswith("burnish: ")]
    assert "truncated.jpg" in line
    assert out.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole.l0-smoothing.jpg"]


@pytest.mark.parametrize(
    "name", ["Катя на море.jpg", "写真 1.jpg", "e\u0301te\u0301.jpg", "-q.jpg"]
)
def test_file_name_in_any_script_is_accepted(name, tmp_path):
    photo = tmp_path / name
    shutil.copy(SAMPLE, photo)
    burnish("apply", "l0-smoothing", photo)
    assert photo.with_suffix(".l0-smoothing.jpg").is_file()


def test_missing_device_gives_exit_code_3(tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    shutil.copy(SAMPLE, tmp_path / "a.jpg")
    _, err = burnish("apply", "l0-smoothing", tmp_path / "a.jpg", "--device", "cuda", code=3)
    assert err.startswith("burnish: device cuda: ")
    assert len(list(tmp_path.iterdir())) == 1


def test_link_to_the_input_is_not_accepted_as_output(tmp_path):
    photo, link = tmp_path / "a.jpg", tmp_path / "b.jpg"
    shutil.copy(SAMPLE, photo)
    link.symlink_to(photo)
    _, err = burnish("apply", "l0-smoothing", photo, "-o", link, "--overwrite", code=2)
    assert "input" in err
    assert photo.read_bytes() == SAMPLE.read_bytes()
    assert link.is_symlink()
