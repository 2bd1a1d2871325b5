"""`burnish.apply`: paths, bytes, arrays and PIL images return the same kind."""

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

import burnish
from burnish.errors import OutputError, PhotoError, UsageError
from burnish.runtime.model import Model


def network_output(rgb):
    """Return the output with the guide "network"."""
    return Model.open("l0-smoothing")(rgb.astype(np.float32))


@pytest.fixture
def rgb(make_image):
    """A uint8 RGB image."""
    return make_image(3)


def test_apply_to_path_returns_the_output_path(photo_folder):
    output = burnish.apply(photo_folder / "1.png", "l0-smoothing")
    assert output == photo_folder / "1.l0-smoothing.png"
    assert output.is_file()
    with pytest.raises(OutputError, match="overwrite"):
        burnish.apply(photo_folder / "1.png", "l0-smoothing")
    output = burnish.apply(
        str(photo_folder / "1.png"), "l0-smoothing", output=photo_folder / "x.tif"
    )
    assert isinstance(output, str)
    assert Path(output).is_file()


def test_apply_to_bytes_returns_a_file_of_the_same_format(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    output = burnish.apply(file.getvalue(), "l0-smoothing", guide="network")
    with Image.open(io.BytesIO(output)) as image:
        assert image.format == "PNG"
        expected = np.rint(255 * network_output(rgb / 255))
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(
    ("dtype", "max_value", "tolerance"),
    [(np.uint8, 255, 0.5), (np.uint16, 65535, 0.5), (np.float32, 1, 1e-6), (np.float64, 1, 1e-6)],
)
def test_apply_to_array_keeps_the_dtype(rgb, dtype, max_value, tolerance):
    array = (rgb / 255 * max_value).astype(dtype)
    output = burnish.apply(array, "l0-smoothing", guide="network")
    assert output.dtype == dtype
    expected = max_value * network_output(array / max_value)
    np.testing.assert_allclose(output, expected, atol=tolerance + 1e-4 * max_value / 255)


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_apply_to_array_keeps_shape_and_alpha(rgb, channels):
    rgba = np.dstack([rgb, rgb[..., :1]])
    array = rgba[..., 0] if channels is None else rgba[..., :channels]
    output = burnish.apply(array, "l0-smoothing")
    assert output.shape == array.shape
    if channels in (2, 4):
        np.testing.assert_array_equal(output[..., -1], array[..., -1])
    assert not np.array_equal(output, array)


def test_apply_to_array_does_not_change_it(rgb):
    before = rgb.copy()
    burnish.apply(rgb, "l0-smoothing")
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_apply_to_pil_image_keeps_mode_and_info(rgb, mode):
    if mode == "I;16":
        image = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(rgb).convert(mode)
    image.info["dpi"] = (300, 300)
    output = burnish.apply(image, "l0-smoothing")
    assert (output.mode, output.size, output.info) == (mode, image.size, image.info)
    assert output.tobytes() != image.tobytes()


def test_apply_slow_uses_the_operator_s_parameters(rgb):
    array = rgb / 255
    weak = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.002)
    strong = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.2)
    roughness = [np.abs(np.diff(x, axis=0)).mean() for x in (array, weak, strong)]
    assert roughness[0] > roughness[1] > roughness[2]


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.zeros((4,), np.uint8), "shape"),
        (np.zeros((4, 4, 3), np.int32), "dtype int32"),
        (np.full((4, 4, 3), 1.5), r"outside \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"outside \[0, 1\]"),
        (Image.new("P", (4, 4)), "mode P"),
        (3, "int"),
    ],
)
def test_apply_to_unsupported_image_raises(image, word):
    with pytest.raises(UsageError, match=f"^image: .*{word}"):
        burnish.apply(image, "l0-smoothing")


def test_apply_to_pil_image_with_transparent_colour_raises(rgb):
    image = Image.fromarray(rgb)
    image.info["transparency"] = (0, 0, 0)
    with pytest.raises(UsageError, match=r"^image: .*'RGBA'"):
        burnish.apply(image, "l0-smoothing")


def test_apply_to_folder_that_cannot_be_created_raises(photo_folder):
    (photo_folder / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be created"):
        burnish.apply(
            photo_folder / "1.png", "l0-smoothing", output=photo_folder / "file" / "x.png"
        )


def test_apply_of_operator_with_black_output_raises(photo_folder, tmp_path):
    (tmp_path / "night.py").write_text("def night(rgb):\n    return 0 * rgb\n")
    with pytest.raises(OutputError, match=r"^operator night: .*black"):
        burnish.apply(photo_folder / "1.png", f"python:{tmp_path / 'night.py'}:night", slow=True)
    assert not (photo_folder / "1.night.png").exists()


@pytest.mark.parametrize("path", ["", ".", "a\0b.jpg"])
def test_apply_to_path_of_no_photo_raises(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(burnish.BurnishError):
        burnish.apply(path, "l0-smoothing")


def test_apply_with_unknown_parameter_raises(rgb):
    with pytest.raises(UsageError, match="vigour"):
        burnish.apply(rgb, "l0-smoothing", vigour=0.4)


def test_apply_with_value_that_was_not_trained_raises(rgb):
    with pytest.raises(UsageError, match=r"^kappa: .*model l0-smoothing"):
        burnish.apply(rgb, "l0-smoothing", kappa=3)
    output = burnish.apply(rgb, "l0-smoothing", lambda_=0.02, kappa=2)
    np.testing.assert_array_equal(output, burnish.apply(rgb, "l0-smoothing"))


def test_apply_to_bytes_of_no_image_raises():
    with pytest.raises(PhotoError):
        burnish.apply(b"text", "l0-smoothing")


def test_apply_to_array_with_output_raises(rgb, tmp_path):
    with pytest.raises(UsageError, match=r"^output: "):
        burnish.apply(rgb, "l0-smoothing", output=tmp_path / "x.png")


def test_apply_to_rotated_photo_keeps_profile_and_exif(make_image, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    exif[0x010F] = "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = tmp_path / "a.jpg"
    Image.fromarray(make_image(5)).save(source, quality=95, exif=exif, icc_profile=profile)
    output = burnish.apply(source, "l0-smoothing")
    with Image.open(source) as before, Image.open(output) as after:
        assert after.size == (40, 56)
        assert after.getexif().get(0x0112, 1) == 1
        assert after.getexif()[0x010F] == "Maker"
        assert after.info["icc_profile"] == before.info["icc_profile"]


def test_apply_to_dark_photo_of_16_bits_keeps_the_depth(tmp_path):
    dark = np.random.default_rng(0).integers(0, 200, (20, 30, 3)).astype(np.uint16)
    pyvips.Image.new_from_array(dark, interpretation="rgb16").write_to_file(tmp_path / "dark.png")
    output = burnish.apply(tmp_path / "dark.png", "l0-smoothing", slow=True)
    image = pyvips.Image.new_from_file(str(output))
    assert image.format == "ushort"
    assert 0 < image.avg() < 200


def test_apply_passes_the_progress_of_photos_and_arrays(rgb, photo_folder):
    for image in (photo_folder / "1.png", rgb):
        fractions: list[float] = []
        burnish.apply(image, "l0-smoothing", on_progress=fractions.append)
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
