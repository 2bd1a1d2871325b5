"""Each edit against its definition, worked out in another way."""

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.params import ColourParam, FileParam, resolve_params
from burnish.regions.edits.adjust import adjusted
from burnish.regions.edits.anonymise import hidden
from burnish.regions.edits.background import background, cover_resize
from burnish.regions.edits.blur import blurred, gaussian
from burnish.regions.edits.fill import filled
from burnish.regions.edits.pixelate import pixelated
from burnish.regions.edits.remove import removed
from burnish.regions.edits.splash import greyed
from burnish.regions.edits.srgb import from_linear, to_linear
from burnish.regions.edits.table import EDITS

ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
color = pytest.importorskip("skimage.color", reason="scikit-image is not installed")


@pytest.fixture
def photo(astronaut):
    pixels, mask = astronaut
    return pixels, mask.astype(np.float32)


def test_light_is_srgb_s():
    """scikit-image goes from linear light to XYZ by one matrix; grey tells the curve alone."""
    codes = np.linspace(0, 1, 1001).astype(np.float32)
    y = color.rgb2xyz(np.repeat(codes[:, None], 3, axis=1))[..., 1]
    np.testing.assert_allclose(to_linear(codes), y, atol=2e-6)
    np.testing.assert_allclose(from_linear(to_linear(codes)), codes, atol=1e-6)


def test_splash_keeps_luminance_and_nothing_else(photo):
    pixels, mask = photo
    grey = greyed(pixels, mask)
    assert np.ptp(grey, axis=2).max() == 0
    luminance = color.rgb2xyz(pixels)[..., 1]
    np.testing.assert_allclose(color.rgb2xyz(grey)[..., 1], luminance, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.7, 3, 8.1, 17, 40])
def test_the_gaussian_is_scipy_s(photo, sigma):
    pixels, _ = photo
    theirs = ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest", truncate=5)
    np.testing.assert_allclose(gaussian(pixels, sigma), theirs, atol=1.5 / 255)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (37, 2), (65, 97)])
@pytest.mark.parametrize("sigma", [0.1, 9, 60, 500])
def test_the_gaussian_of_any_picture_is_one(shape, sigma):
    flat = np.full((*shape, 3), 0.3, np.float32)
    result = gaussian(flat, sigma)
    assert result.shape == flat.shape
    np.testing.assert_allclose(result, 0.3, atol=1e-5)


def test_blur_weighs_the_region_s_own_colours_only(photo):
    pixels, mask = photo
    sigma = 3 / 100 * 128
    weight = np.where(mask > 0, 1, 1e-4)[..., None]
    both = [
        ndimage.gaussian_filter(part, (sigma, sigma, 0), mode="nearest", truncate=5)
        for part in (pixels * weight, weight)
    ]
    inside = mask > 0
    result = blurred(pixels, mask, size=3)
    np.testing.assert_allclose(result[inside], (both[0] / both[1])[inside], atol=1e-3)


def test_blur_takes_nothing_from_around():
    pixels = np.zeros((40, 40, 3), np.float32)
    pixels[:, 20:] = 1
    mask = np.zeros((40, 40), np.float32)
    mask[:, 20:] = 1
    assert blurred(pixels, mask, size=10)[:, 20:].min() > 0.99


def test_background_blur_has_no_halo_of_the_object():
    pixels = np.full((60, 60, 3), 0.2, np.float32)
    pixels[20:40, 20:40] = 1
    mask = np.zeros((60, 60), np.float32)
    mask[20:40, 20:40] = 1
    mask[20, 20:40] = 0.5
    result = background(pixels, mask, size=4)
    assert result[mask < 1].max() < 0.21


def test_pixelate_is_the_mean_of_each_block(photo):
    pixels, mask = photo
    result = pixelated(pixels, mask, size=7)
    side = round(0.07 * 128)
    for top in range(0, 128, side):
        for left in range(0, 128, side):
            block = slice(top, top + side), slice(left, left + side)
            expected = pixels[block].astype(float).mean(axis=(0, 1))
            np.testing.assert_allclose(
                result[block], np.broadcast_to(expected, result[block].shape), atol=1e-5
            )


def test_fill_and_background_colour(photo):
    pixels, mask = photo
    colour = np.float32([0.1, 0.5, 0.9])
    for result in (filled(pixels, mask, colour), background(pixels, mask, colour=colour)):
        assert (result == colour).all()
    assert not filled(pixels, mask).any()


def test_a_background_image_covers_with_its_middle():
    image = np.zeros((10, 40, 3), np.float32)
    image[:, 15:25] = 1
    np.testing.assert_array_equal(cover_resize(image, (10, 10)), 1)
    enlarged = cover_resize(image, (20, 20))
    assert enlarged.shape == (20, 20, 3)
    assert enlarged[:, 3:17].min() > 0.9
    np.testing.assert_array_equal(cover_resize(image, (40, 10)), image)


def test_a_background_is_one_thing(photo):
    with pytest.raises(UsageError, match="expected a colour or an image, got both"):
        background(*photo, colour=np.zeros(3), image=np.zeros((2, 2, 3)))


def test_adjust_is_in_stops_of_light(photo):
    pixels, mask = photo
    result = adjusted(pixels, mask, exposure=-1)
    linear = color.rgb2xyz(pixels), color.rgb2xyz(result)
    np.testing.assert_allclose(linear[1], linear[0] / 2, atol=1e-5)
    np.testing.assert_array_equal(adjusted(pixels, mask), pixels)


def test_saturation_keeps_luminance(photo):
    pixels, mask = photo
    np.testing.assert_allclose(
        adjusted(pixels, mask, saturation=0), greyed(pixels, mask), atol=1e-5
    )
    more = adjusted(pixels, mask, saturation=1.3)
    unclipped = (more > 0).all(axis=2) & (more < 1).all(axis=2)
    assert unclipped.mean() > 0.3
    luminance = [color.rgb2xyz(picture)[..., 1][unclipped] for picture in (pixels, more)]
    np.testing.assert_allclose(*luminance, atol=1e-4)


@pytest.mark.parametrize("method", ["smooth", "texture"])
def test_removed_leaves_nothing_of_the_object_and_all_around(method):
    """A red square on a slope of grey: what comes in its place is of the slope."""
    slope = np.linspace(0.3, 0.6, 80, dtype=np.float32)[None, :, None].repeat(60, 0).repeat(3, 2)
    pixels, mask = slope.copy(), np.zeros((60, 80), np.float32)
    pixels[20:36, 30:50], mask[20:36, 30:50] = (1, 0, 0), 1
    result = removed(pixels, mask, method)
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])
    np.testing.assert_allclose(result, slope, atol=0.12)
    assert np.ptp(result, axis=2).max() < 0.02


@pytest.mark.parametrize("method", ["smooth", "texture"])
def test_a_large_object_is_removed_in_smaller(method, monkeypatch):
    from burnish.regions.edits import remove

    monkeypatch.setitem(remove._SIDES, method, 40)
    pixels, mask = np.full((99, 130, 3), 0.4, np.float32), np.zeros((99, 130), np.float32)
    pixels[31:70, 41:92], mask[31:70, 41:92] = (1, 0, 0), 1
    np.testing.assert_allclose(removed(pixels, mask, method), 0.4, atol=0.02)


def test_removing_everything_or_nothing():
    pixels = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(removed(pixels, np.zeros((9, 8), np.float32)), pixels)
    assert np.isfinite(removed(pixels, np.ones((9, 8), np.float32))).all()
    almost = np.ones((9, 8), np.float32)
    almost[0, 0] = 0
    assert np.isfinite(removed(pixels, almost)).all()


def test_anonymise_is_its_methods(photo):
    pixels, mask = photo
    assert not hidden(pixels, mask).any()
    np.testing.assert_array_equal(hidden(pixels, mask, "blur", size=4), blurred(pixels, mask, 4))
    np.testing.assert_array_equal(
        hidden(pixels, mask, "pixelate", size=4), pixelated(pixels, mask, 4)
    )


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_every_edit_of_the_table_runs_at_its_defaults(edit, photo):
    pixels, mask = photo
    values = edit.resolve_params({})
    for param in edit.params:
        if isinstance(param, ColourParam):
            assert values[param.name] is None
        if isinstance(param, FileParam):
            assert param.default_text
    if edit.call:
        result = edit.prepared(values)(pixels, mask)
        assert result.shape == pixels.shape
        assert 0 <= result.min() <= result.max() <= 1


def test_no_edit_is_called_like_an_operator_or_a_network():
    from burnish.operators.registry import OPERATORS
    from burnish.runtime.model_registry import model_names

    assert not set(EDITS) & {*OPERATORS, *model_names()}


def test_a_method_that_there_is_none_of():
    with pytest.raises(UsageError, match="method: expected fill, blur or pixelate, got smudge"):
        resolve_params(EDITS["anonymise"].params, {"method": "smudge"}, owner="anonymise")
