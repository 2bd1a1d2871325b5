"""CLAHE against loops over tiles and pixels, and against OpenCV's where the two agree."""

import cv2
import numpy as np
import pytest
from skimage.color import rgb2lab

from burnish.operators.local_contrast import BINS, local_contrast


def grey_of_lightness(lightness):
    """Return the sRGB greys of lightnesses in [0, 1], by the formulas of CIELAB and sRGB."""
    f = (100 * np.asarray(lightness) + 16) / 116
    linear = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2)
    encoded = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    )
    return np.repeat(encoded[..., None], 3, axis=2)


def lightness_of(rgb):
    return rgb2lab(rgb)[..., 0] / 100


def clip_histogram(histogram, limit):
    """Clip and distribute the excess evenly below the limit, until there is no excess."""
    histogram = histogram.copy()
    for _ in range(10000):
        excess = np.maximum(histogram - limit, 0).sum()
        histogram = np.minimum(histogram, limit)
        below = histogram < limit
        if excess < 1e-12 or not below.any():
            break
        histogram[below] += excess / below.sum()
    return histogram


def brute_force(lightness, clip_limit, tiles):
    height, width = lightness.shape
    rows, columns = min(tiles, height), min(tiles, width)
    edges = np.arange(BINS + 1) / BINS
    curves = {}
    for row in range(rows):
        for column in range(columns):
            values = [
                min(lightness[y, x], 1 - 1e-9)
                for y in range(height)
                for x in range(width)
                if y * rows // height == row and x * columns // width == column
            ]
            histogram = np.histogram(values, edges)[0] / len(values)
            curve = np.cumsum(clip_histogram(histogram, clip_limit / BINS))
            curves[row, column] = np.concatenate([[0], curve])
    result = np.empty(lightness.shape)
    for y in range(height):
        for x in range(width):
            ty = np.clip((y + 0.5) * rows / height - 0.5, 0, rows - 1)
            tx = np.clip((x + 0.5) * columns / width - 0.5, 0, columns - 1)
            total = 0.0
            for row in {int(ty), min(int(ty) + 1, rows - 1)}:
                for column in {int(tx), min(int(tx) + 1, columns - 1)}:
                    weight = (1 - abs(ty - row)) * (1 - abs(tx - column))
                    total += weight * np.interp(lightness[y, x], edges, curves[row, column])
            result[y, x] = total
    return result


@pytest.mark.parametrize("shape", [(24, 32), (13, 17), (1, 9), (3, 5), (1, 1)])
@pytest.mark.parametrize(("clip_limit", "tiles"), [(1.5, 8), (4.0, 3), (8.0, 1)])
def test_local_contrast_equals_definition(shape, clip_limit, tiles):
    lightness = lightness_of(
        grey_of_lightness(0.1 + 0.6 * np.random.default_rng(0).random(shape) ** 2)
    )
    expected = brute_force(lightness, clip_limit, tiles)
    result = local_contrast(grey_of_lightness(lightness), clip_limit, tiles)
    # Rounding decides the bin of a value at the edge of two bins, so both are accepted.
    np.testing.assert_allclose(lightness_of(result), expected, atol=2e-5)


def test_local_contrast_without_clipping_agrees_with_opencv():
    # OpenCV's curves are steps of one bin; on a smooth photo the bins are low.
    y, x = np.mgrid[:128, :160] / 160
    codes = np.rint(255 * (0.1 + 0.5 * x + 0.3 * np.sin(9 * y * x) ** 2)).astype(np.uint8)
    expected = cv2.createCLAHE(clipLimit=0, tileGridSize=(4, 4)).apply(codes) / 255
    ours = lightness_of(local_contrast(grey_of_lightness(codes / 255), clip_limit=256, tiles=4))
    assert np.sqrt(np.mean((ours - expected) ** 2)) < 0.015
    assert np.sqrt(np.mean((codes / 255 - expected) ** 2)) > 0.1


def test_local_contrast_with_limit_1_changes_nothing():
    rgb = np.random.default_rng(1).random((20, 24, 3))
    np.testing.assert_allclose(local_contrast(rgb, clip_limit=1), rgb, atol=1e-3)


@pytest.mark.parametrize("clip_limit", [1.5, 4.0])
def test_local_contrast_slope_is_below_limit(clip_limit):
    ramp = grey_of_lightness(np.tile(np.linspace(0.45, 0.55, 1024), (8, 1)))
    before, after = lightness_of(ramp), lightness_of(local_contrast(ramp, clip_limit, tiles=1))
    slopes = np.diff(after[4]) / np.diff(before[4])
    assert slopes.max() < clip_limit * 1.01
    assert slopes.max() > clip_limit * 0.9
    assert slopes.min() > 0


def test_local_contrast_of_faint_gradient_has_no_bands():
    # 2000 different lightnesses, far more than bins, stay different.
    sky = grey_of_lightness(np.tile(np.linspace(0.7, 0.8, 2000), (4, 1)))
    after = lightness_of(local_contrast(sky, 4.0, tiles=1))[0]
    assert len(np.unique(after.round(7))) == 2000
    assert np.diff(after).min() > 0


@pytest.mark.parametrize("clip_limit", [1.5, 8.0])
def test_local_contrast_keeps_black_white_and_hue(clip_limit):
    rgb = np.random.default_rng(2).random((32, 40, 3)) * 0.5 + 0.2
    rgb[3, 4], rgb[20, 30] = 0, 1
    after = local_contrast(rgb, clip_limit)
    np.testing.assert_allclose(after[3, 4], 0, atol=1e-6)
    np.testing.assert_allclose(after[20, 30], 1, atol=1e-4)
    inside = (after > 0.001).all(axis=2) & (after < 0.999).all(axis=2)
    lab, lab_after = rgb2lab(rgb)[inside], rgb2lab(after)[inside]
    cross_product = lab[:, 1] * lab_after[:, 2] - lab[:, 2] * lab_after[:, 1]
    assert inside.sum() > 500
    np.testing.assert_allclose(cross_product, 0, atol=0.05)


@pytest.mark.parametrize("colour", [(0, 0, 0), (1, 1, 1)])
def test_local_contrast_keeps_black_and_white_images(colour):
    rgb = np.full((9, 12, 3), colour, np.float32)
    np.testing.assert_allclose(local_contrast(rgb), rgb, atol=1e-4)


@pytest.mark.parametrize("colour", [(0.3, 0.3, 0.3), (0.9, 0.1, 0.2), (0, 0, 1)])
def test_local_contrast_of_constant_hardly_changes_it(colour):
    rgb = np.full((9, 12, 3), colour, np.float32)
    np.testing.assert_allclose(local_contrast(rgb, 1.5), rgb, atol=1.5 / BINS + 2e-3)


def test_local_contrast_commutes_with_flips_and_transposition():
    rgb = np.random.default_rng(3).random((24, 32, 3))
    after = local_contrast(rgb, 3.0, 4)
    for transform in (np.flipud, np.fliplr, lambda image: image.transpose(1, 0, 2)):
        np.testing.assert_allclose(
            local_contrast(transform(rgb), 3.0, 4), transform(after), atol=1e-6
        )


def test_local_contrast_in_single_precision_agrees_with_double():
    rgb = np.random.default_rng(4).random((40, 50, 3))
    single = local_contrast(rgb.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, local_contrast(rgb), atol=1e-3)


def test_local_contrast_leaves_input_unchanged():
    rgb = np.random.default_rng(5).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    local_contrast(rgb)
    np.testing.assert_array_equal(rgb, before)
