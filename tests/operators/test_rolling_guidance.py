"""The rolling guidance filter against the definition, pixel by pixel."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from burnish.operators.rolling_guidance import rolling_guidance


def brute_force(rgb, sigma_space, sigma_range, iterations):
    """The paper's algorithm 1: equal iterations, the first one with a constant guide."""
    height, width, _ = rgb.shape
    radius = math.ceil(3 * sigma_space)
    margin = [(radius, radius), (radius, radius), (0, 0)]
    padded = np.pad(rgb, margin, mode="reflect").astype(np.float64)
    offset = np.arange(-radius, radius + 1)
    squares = offset[:, None] ** 2 + offset**2
    spatial_weight = np.exp(-squares / (2 * sigma_space**2))
    guide = np.zeros(rgb.shape)
    for t in range(iterations):
        # The window of the first filter is a square, that of the others a disc.
        window = spatial_weight * (squares <= radius**2) if t else spatial_weight
        padded_guide = np.pad(guide, margin, mode="reflect")
        result = np.empty(rgb.shape)
        for y in range(height):
            for x in range(width):
                neighbours = slice(y, y + 2 * radius + 1), slice(x, x + 2 * radius + 1)
                difference = np.abs(padded_guide[neighbours] - guide[y, x]).mean(axis=2)
                weight = window * np.exp(-(difference**2) / (2 * sigma_range**2))
                result[y, x] = (weight[..., None] * padded[neighbours]).sum((0, 1)) / weight.sum()
        guide = result
    return guide


@pytest.mark.parametrize("shape", [(14, 17), (1, 9), (9, 1), (3, 5), (1, 1)])
@pytest.mark.parametrize("params", [(1.0, 0.05, 4), (2.5, 0.01, 2), (2.0, 0.3, 8), (1.5, 0.1, 1)])
def test_rolling_guidance_equals_definition(shape, params):
    rgb = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    expected = brute_force(rgb, *params)
    np.testing.assert_allclose(rolling_guidance(rgb, *params), expected, atol=1e-5)


def test_rolling_guidance_with_one_iteration_is_gaussian_blur():
    rgb = np.random.default_rng(1).random((20, 24, 3))
    expected = gaussian_filter(rgb, (2.0, 2.0, 0), mode="mirror", radius=(6, 6, 0))
    np.testing.assert_allclose(rolling_guidance(rgb, 2.0, 0.1, 1), expected, atol=1e-6)


def test_rolling_guidance_removes_small_objects_of_any_contrast():
    photo = np.zeros((40, 60, 3))
    photo[:, 30:] = 0.3
    dotted = photo.copy()
    dotted[10:30:10, 10:60:20] = 1
    smooth = rolling_guidance(dotted)
    # Dots of 1 x 1 px are removed, and the fainter edge stays sharp.
    np.testing.assert_allclose(smooth, photo, atol=0.03)


def test_rolling_guidance_with_more_iterations_sharpens_edges():
    photo = np.zeros((40, 40, 3))
    photo[:, 20:] = 0.5
    errors = [np.abs(rolling_guidance(photo, iterations=n) - photo).mean() for n in (1, 2, 3, 4)]
    assert errors[0] > 3 * errors[1] > 0
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_rolling_guidance_of_constant_is_constant(value):
    rgb = np.full((9, 12, 3), value, np.float32)
    np.testing.assert_allclose(rolling_guidance(rgb), rgb, atol=1e-6)


def test_rolling_guidance_commutes_with_flips_and_transposition():
    rgb = np.random.default_rng(4).random((14, 11, 3))
    smooth = rolling_guidance(rgb)
    for transform in (np.flipud, np.fliplr, lambda image: image.transpose(1, 0, 2)):
        np.testing.assert_allclose(rolling_guidance(transform(rgb)), transform(smooth), atol=1e-5)


def test_rolling_guidance_leaves_input_unchanged():
    rgb = np.random.default_rng(5).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    result = rolling_guidance(rgb)
    np.testing.assert_array_equal(rgb, before)
    assert result.dtype == np.float32
