"""One function, four kinds of picture: what goes in comes out."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import burnish
from burnish.errors import OutputError, PhotoError, UsageError
from burnish.runtime.model import Model


def expected(rgb: np.ndarray) -> np.ndarray:
    return Model.open("l0-smoothing")(rgb.astype(np.float32))


@pytest.fixture
def rgb(picture):
    return picture(3)


def test_path(photos):
    result = burnish.apply(photos / "1.png", "l0-smoothing")
    assert result == photos / "1.l0-smoothing.png"
    assert result.is_file()
    with pytest.raises(OutputError, match="overwrite=True"):
        burnish.apply(photos / "1.png", "l0-smoothing")
    named = burnish.apply(str(photos / "1.png"), "l0-smoothing", output=photos / "x.tif")
    assert isinstance(named, str)
    assert Path(named).is_file()


def test_bytes(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    result = burnish.apply(file.getvalue(), "l0-smoothing")
    with Image.open(io.BytesIO(result)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), np.rint(255 * expected(rgb / 255)))


@pytest.mark.parametrize(
    ("dtype", "full", "step"),
    [(np.uint8, 255, 0.5), (np.uint16, 65535, 0.5), (np.float32, 1, 1e-6), (np.float64, 1, 1e-6)],
)
def test_arrays_keep_dtype(rgb, dtype, full, step):
    array = (rgb / 255 * full).astype(dtype)
    result = burnish.apply(array, "l0-smoothing")
    assert result.dtype == dtype
    np.testing.assert_allclose(result, full * expected(array / full), atol=step + 1e-4 * full / 255)


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_arrays_keep_shape_and_alpha(rgb, channels):
    planes = np.dstack([rgb, rgb[..., :1]])
    array = planes[..., 0] if channels is None else planes[..., :channels]
    result = burnish.apply(array, "l0-smoothing")
    assert result.shape == array.shape
    if channels in (2, 4):
        np.testing.assert_array_equal(result[..., -1], array[..., -1])
    assert not np.array_equal(result, array)


def test_the_array_is_left_alone(rgb):
    before = rgb.copy()
    burnish.apply(rgb, "l0-smoothing")
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_images_keep_their_mode(rgb, mode):
    if mode == "I;16":
        image = Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(rgb).convert(mode)
    image.info["dpi"] = (300, 300)
    result = burnish.apply(image, "l0-smoothing")
    assert (result.mode, result.size, result.info) == (mode, image.size, image.info)
    assert result.tobytes() != image.tobytes()


def test_slow_and_its_parameters(rgb):
    array = rgb / 255
    weak = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.002)
    strong = burnish.apply(array, "l0-smoothing", slow=True, lambda_=0.2)
    roughness = [np.abs(np.diff(x, axis=0)).mean() for x in (array, weak, strong)]
    assert roughness[0] > roughness[1] > roughness[2]


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4, 5), np.uint8), r"got shape \(4, 4, 5\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got shape \(0, 4, 3\)"),
        (np.zeros((4,), np.uint8), "got shape"),
        (np.zeros((4, 4, 3), np.int32), "got dtype int32"),
        (np.full((4, 4, 3), 1.5), r"got values outside \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), r"got values outside \[0, 1\]"),
        (Image.new("P", (4, 4)), "got mode P; convert it first"),
        (3, "got int"),
    ],
)
def test_other_things_are_refused(image, complaint):
    with pytest.raises(UsageError, match=complaint):
        burnish.apply(image, "l0-smoothing")


def test_a_pil_image_with_a_transparent_colour_is_refused(rgb):
    image = Image.fromarray(rgb)
    image.info["transparency"] = (0, 0, 0)
    with pytest.raises(UsageError, match=r"got mode RGB with a transparent colour.*'RGBA'"):
        burnish.apply(image, "l0-smoothing")


def test_a_folder_that_cannot_be_made(photos):
    (photos / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="expected a folder that can be made"):
        burnish.apply(photos / "1.png", "l0-smoothing", output=photos / "file" / "x.png")


def test_a_result_that_is_all_black_is_an_error(photos, tmp_path):
    (tmp_path / "night.py").write_text("def night(rgb):\n    return 0 * rgb\n")
    with pytest.raises(OutputError, match="expected a picture, got all black"):
        burnish.apply(photos / "1.png", f"python:{tmp_path / 'night.py'}:night", slow=True)
    assert not (photos / "1.night.png").exists()


@pytest.mark.parametrize("image", ["", ".", "a\0b.jpg"])
def test_paths_that_are_no_photo(image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(burnish.BurnishError):
        burnish.apply(image, "l0-smoothing")


def test_an_unknown_parameter_is_an_error(rgb):
    with pytest.raises(UsageError, match="among lambda, kappa, got strength"):
        burnish.apply(rgb, "l0-smoothing", strength=0.4)


def test_a_value_the_network_was_not_trained_for_is_an_error(rgb):
    with pytest.raises(UsageError, match=r"expected 2, which model l0-smoothing was trained at"):
        burnish.apply(rgb, "l0-smoothing", kappa=3)
    same = burnish.apply(rgb, "l0-smoothing", lambda_=0.02, kappa=2)
    np.testing.assert_array_equal(same, burnish.apply(rgb, "l0-smoothing"))


def test_bytes_that_are_no_picture():
    with pytest.raises(PhotoError):
        burnish.apply(b"no picture", "l0-smoothing")


def test_output_is_for_paths(rgb, tmp_path):
    with pytest.raises(UsageError, match="expected a path as image"):
        burnish.apply(rgb, "l0-smoothing", output=tmp_path / "x.png")


def photo_with_everything(pixels, path):
    """An upright photo stored lying down, with a profile and EXIF, as a camera writes it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    exif[0x010F] = "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(path, quality=95, exif=exif, icc_profile=profile)


def test_a_photo_keeps_what_belongs_to_it(picture, tmp_path):
    photo_with_everything(picture(5), tmp_path / "a.jpg")
    result = burnish.apply(tmp_path / "a.jpg", "l0-smoothing")
    with Image.open(tmp_path / "a.jpg") as before, Image.open(result) as after:
        assert after.size == (40, 56)
        assert after.getexif().get(0x0112, 1) == 1
        assert after.getexif()[0x010F] == "Maker"
        assert after.info["icc_profile"] == before.info["icc_profile"]


def test_sixteen_bits_stay_sixteen_also_in_the_dark(tmp_path):
    import pyvips

    dark = np.random.default_rng(0).integers(0, 200, (20, 30, 3)).astype(np.uint16)
    pyvips.Image.new_from_array(dark, interpretation="rgb16").write_to_file(tmp_path / "dark.png")
    result = burnish.apply(tmp_path / "dark.png", "l0-smoothing", slow=True)
    image = pyvips.Image.new_from_file(str(result))
    assert image.format == "ushort"
    assert 0 < image.avg() < 200
