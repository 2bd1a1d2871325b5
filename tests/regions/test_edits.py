"""Each region edit against its definition, computed in another way."""

import numpy as np
import pytest

from burnish.errors import UsageError
from burnish.params import ColourParam, FileParam
from burnish.regions import patch_match, retouch
from burnish.regions.edits import (
    adjust,
    anonymise,
    fill,
    from_linear,
    greyscale,
    pixelate,
    to_linear,
)
from burnish.regions.options import RegionOptions
from burnish.regions.patch_match import fill_hole
from burnish.regions.registry import EDITS
from burnish.regions.retouch import background, blur, cover_resize, gaussian_blur, inpaint

ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
color = pytest.importorskip("skimage.color", reason="scikit-image is not installed")


@pytest.fixture
def photo(astronaut):
    """The pixels of a photo of a person, and the person's mask."""
    pixels, mask = astronaut
    return pixels, mask.astype(np.float32)


def luminance(pixels):
    return color.rgb2xyz(pixels)[..., 1]


def test_to_linear_equals_scikit_image():
    """rgb2xyz multiplies linear light by a matrix, so that the Y of grey is the linear value."""
    codes = np.linspace(0, 1, 1001).astype(np.float32)
    y = luminance(np.repeat(codes[:, None], 3, axis=1))
    np.testing.assert_allclose(to_linear(codes), y, atol=2e-6)
    np.testing.assert_allclose(from_linear(to_linear(codes)), codes, atol=1e-6)


def test_greyscale_keeps_luminance(photo):
    pixels, mask = photo
    grey = greyscale(pixels, mask)
    assert np.ptp(grey, axis=2).max() == 0
    np.testing.assert_allclose(luminance(grey), luminance(pixels), atol=1e-4)


@pytest.mark.parametrize("sigma", [0.7, 3, 8.1, 17, 40])
def test_gaussian_blur_equals_scipy(photo, sigma):
    pixels, _ = photo
    expected = ndimage.gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest", truncate=5)
    np.testing.assert_allclose(gaussian_blur(pixels, sigma), expected, atol=1.5 / 255)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (37, 2), (65, 97)])
@pytest.mark.parametrize("sigma", [0.1, 9, 60, 500])
def test_gaussian_blur_keeps_a_constant_image_of_any_shape(shape, sigma):
    flat = np.full((*shape, 3), 0.3, np.float32)
    blurred = gaussian_blur(flat, sigma)
    assert blurred.shape == flat.shape
    np.testing.assert_allclose(blurred, 0.3, atol=1e-5)


def test_blur_is_a_weighted_mean_over_the_region(photo):
    pixels, mask = photo
    sigma = 3 / 100 * 128
    weight = np.where(mask > 0, 1, 1e-4)[..., None]
    colours, weights = (
        ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="nearest", truncate=5)
        for values in (pixels * weight, weight)
    )
    inside = mask > 0
    blurred = blur(pixels, mask, size=3)
    np.testing.assert_allclose(blurred[inside], (colours / weights)[inside], atol=1e-3)


def test_blur_mixes_no_colour_from_outside():
    pixels = np.zeros((40, 40, 3), np.float32)
    pixels[:, 20:] = 1
    assert blur(pixels, pixels[..., 0], size=10)[:, 20:].min() > 0.99


def test_background_blur_has_no_halo_around_the_object():
    pixels = np.full((60, 60, 3), 0.2, np.float32)
    pixels[20:40, 20:40] = 1
    mask = np.zeros((60, 60), np.float32)
    mask[20:40, 20:40] = 1
    mask[20, 20:40] = 0.5
    blurred = background(pixels, mask, size=4)
    assert blurred[mask < 1].max() < 0.21


def test_pixelate_is_the_mean_of_each_block(photo):
    pixels, mask = photo
    blocks = pixelate(pixels, mask, size=7)
    side = round(0.07 * 128)
    for top in range(0, 128, side):
        for left in range(0, 128, side):
            block = slice(top, top + side), slice(left, left + side)
            expected = pixels[block].astype(float).mean(axis=(0, 1))
            np.testing.assert_allclose(
                blocks[block], np.broadcast_to(expected, blocks[block].shape), atol=1e-5
            )


def test_fill_and_background_colour_are_constant(photo):
    pixels, mask = photo
    colour = np.float32([0.1, 0.5, 0.9])
    for filled in (fill(pixels, mask, colour), background(pixels, mask, colour=colour)):
        assert (filled == colour).all()
    assert not fill(pixels, mask).any()


def test_cover_resize_crops_the_centre():
    image = np.zeros((10, 40, 3), np.float32)
    image[:, 15:25] = 1
    np.testing.assert_array_equal(cover_resize(image, (10, 10)), 1)
    enlarged = cover_resize(image, (20, 20))
    assert enlarged.shape == (20, 20, 3)
    assert enlarged[:, 3:17].min() > 0.9
    np.testing.assert_array_equal(cover_resize(image, (40, 10)), image)


def test_background_colour_and_image_raises_usage_error(photo):
    with pytest.raises(UsageError, match="background"):
        background(*photo, colour=np.zeros(3), image=np.zeros((2, 2, 3)))


def test_adjust_exposure_scales_linear_light(photo):
    pixels, mask = photo
    darker = adjust(pixels, mask, exposure=-1)
    np.testing.assert_allclose(color.rgb2xyz(darker), color.rgb2xyz(pixels) / 2, atol=1e-5)
    np.testing.assert_array_equal(adjust(pixels, mask), pixels)


def test_adjust_saturation_keeps_luminance(photo):
    pixels, mask = photo
    np.testing.assert_allclose(
        adjust(pixels, mask, saturation=0), greyscale(pixels, mask), atol=1e-5
    )
    saturated = adjust(pixels, mask, saturation=1.3)
    unclipped = (saturated > 0).all(axis=2) & (saturated < 1).all(axis=2)
    assert unclipped.mean() > 0.3
    np.testing.assert_allclose(
        luminance(saturated)[unclipped], luminance(pixels)[unclipped], atol=1e-4
    )


@pytest.mark.parametrize("method", ["smooth", "texture"])
def test_inpaint_continues_the_surroundings(method):
    """A red square on a grey gradient: the gradient takes its place."""
    gradient = np.linspace(0.3, 0.6, 80, dtype=np.float32)[None, :, None]
    gradient = gradient.repeat(60, 0).repeat(3, 2)
    pixels, mask = gradient.copy(), np.zeros((60, 80), np.float32)
    pixels[20:36, 30:50], mask[20:36, 30:50] = (1, 0, 0), 1
    painted = inpaint(pixels, mask, method)
    np.testing.assert_array_equal(painted[mask == 0], pixels[mask == 0])
    np.testing.assert_allclose(painted, gradient, atol=0.12)
    assert np.ptp(painted, axis=2).max() < 0.02


def test_inpaint_of_a_large_object_works_at_a_lower_resolution(monkeypatch):
    monkeypatch.setattr(retouch, "_MAX_SIDE", 40)
    monkeypatch.setattr(patch_match, "_MAX_TARGETS", 500)
    pixels, mask = np.full((99, 130, 3), 0.4, np.float32), np.zeros((99, 130), np.float32)
    pixels[31:70, 41:92], mask[31:70, 41:92] = (1, 0, 0), 1
    np.testing.assert_allclose(inpaint(pixels, mask, "smooth"), 0.4, atol=0.02)
    np.testing.assert_allclose(inpaint(pixels, mask), 0.4, atol=1e-6)


def test_inpaint_of_an_empty_or_full_mask_is_finite():
    pixels = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(inpaint(pixels, np.zeros((9, 8), np.float32)), pixels)
    mask = np.ones((9, 8), np.float32)
    assert np.isfinite(inpaint(pixels, mask)).all()
    mask[0, 0] = 0
    assert np.isfinite(inpaint(pixels, mask, "smooth")).all()
    with pytest.warns(UserWarning, match="too little of the photo"):
        smooth = inpaint(pixels, mask)
    np.testing.assert_array_equal(smooth, inpaint(pixels, mask, "smooth"))


def make_tiles(height=120, width=140):
    """Return a periodic texture of tiles, no two pixels of which are equal."""
    tile = np.random.default_rng(3).random((10, 14, 3)).astype(np.float32)
    return np.tile(tile, (height // 10, width // 14, 1))


@pytest.mark.parametrize("place", [(40, 50), (0, 60), (95, 115)])
@pytest.mark.parametrize("max_targets", [30_000, 600])
def test_fill_hole_continues_a_periodic_texture(place, max_targets, monkeypatch):
    """The filling consists of copied pixels, even if the matches are those of a smaller size."""
    monkeypatch.setattr(patch_match, "_MAX_TARGETS", max_targets)
    texture, hole = make_tiles(), np.zeros((120, 140), bool)
    hole[place[0] : place[0] + 25, place[1] : place[1] + 25] = True
    damaged = np.where(hole[..., None], np.float32(0.5), texture)
    filled = fill_hole(damaged, hole)
    np.testing.assert_array_equal(filled[~hole], texture[~hole])
    exact = (filled == texture).all(axis=2)[hole].mean()
    assert exact > (0.99 if max_targets == 30_000 else 0)
    known = {row.tobytes() for row in texture.reshape(-1, 3)}
    assert {row.tobytes() for row in filled[hole]} <= known


def test_fill_hole_depends_on_the_pixels_outside_and_the_seed_only():
    random = np.random.default_rng(0)
    pixels, hole = random.random((40, 50, 3)).astype(np.float32), np.zeros((40, 50), bool)
    hole[18:24, 20:28] = True
    other = np.where(hole[..., None], np.float32(0), pixels)
    np.testing.assert_array_equal(fill_hole(pixels, hole), fill_hole(other, hole))
    assert not np.array_equal(fill_hole(pixels, hole, seed=1), fill_hole(pixels, hole))


def test_anonymise_calls_the_edit_of_its_method(photo):
    pixels, mask = photo
    assert not anonymise(pixels, mask).any()
    np.testing.assert_array_equal(anonymise(pixels, mask, "blur", size=4), blur(pixels, mask, 4))
    np.testing.assert_array_equal(
        anonymise(pixels, mask, "pixelate", size=4), pixelate(pixels, mask, 4)
    )


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_edit_runs_at_its_defaults(edit, photo):
    pixels, mask = photo
    if edit.name == "adjust":
        with pytest.raises(UsageError, match="--exposure or --saturation"):
            edit.resolve_params({"exposure": None})
        return
    values = edit.resolve_params({})
    for param in edit.params:
        if isinstance(param, ColourParam):
            assert values[param.name] is None
        if isinstance(param, FileParam):
            assert param.default_text
    RegionOptions().with_defaults(edit.region_defaults)
    if edit.function:
        pixels, mask = pixels[:64:2, ::2], mask[:64:2, ::2]
        edited = edit.prepare(values)(pixels, mask)
        assert edited.shape == pixels.shape
        assert 0 <= edited.min() <= edited.max() <= 1


def test_edits_have_other_names_than_operators_and_models():
    from burnish.operators.registry import OPERATORS
    from burnish.runtime.model_registry import model_names

    assert not set(EDITS) & {*OPERATORS, *model_names()}


def test_resolve_params_unknown_method_raises_usage_error():
    with pytest.raises(UsageError, match="smudge") as raised:
        EDITS["anonymise"].resolve_params({"method": "smudge"})
    assert raised.value.where == "method"
