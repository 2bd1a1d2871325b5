"""Multi-scale retinex against the formulas, with Gaussians by spatial sums."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from burnish.operators.multi_scale_retinex import multi_scale_retinex

SCALES = (3.0, 9.0, 30.0)


def brute_force(rgb, scales, clipped, amount):
    intensity = rgb.mean(axis=2)
    photo = 255 * intensity + 1
    R = np.zeros(photo.shape)
    for c in scales:
        # F = exp(-r^2 / c^2) has the standard deviation c / sqrt(2).
        surround = gaussian_filter(photo, c / np.sqrt(2), mode="reflect", truncate=9)
        R += (np.log(photo) - np.log(surround)) / 3
    low, high = np.percentile(R, clipped), np.percentile(R, 100 - clipped)
    result = np.empty(rgb.shape)
    for y, x in np.ndindex(photo.shape):
        stretched = min(max((R[y, x] - low) / (high - low), 0), 1)
        factor = min(stretched / intensity[y, x], 1 / rgb[y, x].max())
        result[y, x] = (1 - amount) * rgb[y, x] + amount * factor * rgb[y, x]
    return result


@pytest.mark.parametrize("shape", [(24, 31), (1, 9), (9, 1), (3, 5)])
@pytest.mark.parametrize(("clipped", "amount"), [(1.0, 1.0), (5.0, 0.5), (0.01, 1.0)])
def test_retinex_equals_definition(shape, clipped, amount):
    rgb = np.random.default_rng(0).random((*shape, 3)) + 0.01
    rgb /= rgb.max()
    expected = brute_force(rgb, SCALES, clipped, amount)
    result = multi_scale_retinex(rgb, *SCALES, clipped=clipped, amount=amount)
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_retinex_with_scales_larger_than_photo_equals_definition():
    rgb = np.random.default_rng(1).random((12, 15, 3)) * 0.9 + 0.1
    expected = brute_force(rgb, (15, 80, 250), 1.0, 0.5)
    np.testing.assert_allclose(multi_scale_retinex(rgb), expected, atol=1e-6)


def test_retinex_keeps_colour_ratios():
    rgb = np.random.default_rng(2).random((20, 24, 3)) * 0.8 + 0.1
    after = multi_scale_retinex(rgb, amount=1)
    factors = after / rgb
    np.testing.assert_allclose(factors, factors[..., :1] * np.ones(3), rtol=1e-6)
    assert after.min() >= 0
    assert after.max() <= 1 + 1e-6


def test_retinex_evens_out_illumination():
    y, x = np.mgrid[:64, :96]
    texture = 0.6 + 0.3 * np.sin(x / 2) * np.sin(y / 2)
    light = np.linspace(1, 0.15, 96)
    scene = np.repeat((texture * light)[..., None], 3, axis=2)
    after = multi_scale_retinex(scene, 5, 10, 20, amount=1)
    bright, dark = (scene[:, columns].mean() for columns in (slice(0, 24), slice(-24, None)))
    bright_after, dark_after = (
        after[:, columns].mean() for columns in (slice(0, 24), slice(-24, None))
    )
    assert bright / dark > 3
    assert bright_after / dark_after < 2


def test_retinex_with_amount_0_changes_nothing():
    rgb = np.random.default_rng(3).random((20, 24, 3)).astype(np.float32)
    np.testing.assert_array_equal(multi_scale_retinex(rgb, amount=0), rgb)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(9, 12), (1, 1), (40, 37)])
def test_retinex_of_constant_is_constant(value, shape):
    rgb = np.full((*shape, 3), value, np.float32)
    np.testing.assert_array_equal(multi_scale_retinex(rgb), rgb)


def test_retinex_keeps_black():
    rgb = np.random.default_rng(4).random((20, 24, 3)).astype(np.float32)
    rgb[:, 12:] = 0
    after = multi_scale_retinex(rgb)
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(after[:, 12:], 0)


def test_retinex_commutes_with_flips_and_transposition():
    rgb = np.random.default_rng(5).random((24, 32, 3))
    after = multi_scale_retinex(rgb)
    for transform in (np.flipud, np.fliplr, lambda image: image.transpose(1, 0, 2)):
        np.testing.assert_allclose(multi_scale_retinex(transform(rgb)), transform(after), atol=1e-9)


def test_retinex_in_single_precision_agrees_with_double():
    rgb = np.random.default_rng(6).random((40, 50, 3))
    single = multi_scale_retinex(rgb.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, multi_scale_retinex(rgb), atol=1e-4)


def test_retinex_leaves_input_unchanged():
    rgb = np.random.default_rng(7).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    multi_scale_retinex(rgb)
    np.testing.assert_array_equal(rgb, before)
