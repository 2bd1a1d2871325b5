"""The bilateral filter against the definition, pixel by pixel."""

import math

import numpy as np
import pytest

from burnish.operators.bilateral import bilateral


def brute_force(rgb, sigma_space, sigma_range):
    height, width, _ = rgb.shape
    radius = math.ceil(3 * sigma_space)
    margin = [(radius, radius), (radius, radius), (0, 0)]
    padded = np.pad(rgb, margin, mode="reflect").astype(np.float64)
    offset = np.arange(-radius, radius + 1)
    squares = offset[:, None] ** 2 + offset**2
    spatial_weight = np.exp(-squares / (2 * sigma_space**2)) * (squares <= radius**2)
    result = np.empty(rgb.shape)
    for y in range(height):
        for x in range(width):
            window = padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1]
            difference = np.abs(window - rgb[y, x]).mean(axis=2)
            weight = spatial_weight * np.exp(-(difference**2) / (2 * sigma_range**2))
            result[y, x] = (weight[..., None] * window).sum((0, 1)) / weight.sum()
    return result


@pytest.mark.parametrize("shape", [(14, 17), (1, 9), (9, 1), (3, 5), (1, 1)])
@pytest.mark.parametrize("sigmas", [(1.0, 0.02), (2.5, 0.1), (4.0, 0.5)])
def test_bilateral_equals_definition(shape, sigmas):
    rgb = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    np.testing.assert_allclose(bilateral(rgb, *sigmas), brute_force(rgb, *sigmas), atol=2e-6)


def test_bilateral_with_large_sigma_range_is_gaussian_blur():
    rgb = np.random.default_rng(1).random((20, 24, 3))
    expected = brute_force(rgb, 2.0, 1e6)
    np.testing.assert_allclose(bilateral(rgb, 2.0, 1e3), expected, atol=1e-5)


def test_bilateral_with_small_sigma_range_changes_nothing():
    rgb = np.random.default_rng(2).random((20, 24, 3)).astype(np.float32)
    np.testing.assert_allclose(bilateral(rgb, 3.0, 1e-4), rgb, atol=1e-6)


def test_bilateral_keeps_edges_and_removes_noise():
    noise = 0.02 * np.random.default_rng(3).standard_normal((40, 40, 3))
    step = np.full((40, 40, 3), 0.2)
    step[:, 20:] = 0.7
    error = bilateral(step + noise) - step
    assert np.abs(error).max() < 0.02
    assert error.std() < noise.std() / 5


def test_bilateral_commutes_with_flips_and_transposition():
    rgb = np.random.default_rng(4).random((14, 11, 3))
    smooth = bilateral(rgb, 2.0)
    for transform in (np.flipud, np.fliplr, lambda image: image.transpose(1, 0, 2)):
        np.testing.assert_allclose(bilateral(transform(rgb), 2.0), transform(smooth), atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_bilateral_of_constant_is_constant(value):
    rgb = np.full((9, 12, 3), value, np.float32)
    np.testing.assert_allclose(bilateral(rgb), rgb, atol=1e-6)


def test_bilateral_leaves_input_unchanged():
    rgb = np.random.default_rng(5).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    result = bilateral(rgb)
    np.testing.assert_array_equal(rgb, before)
    assert result.dtype == np.float32
