"""Relative total variation against loops over pixels and dense linear solves."""

import math

import numpy as np
import pytest

from burnish.operators.relative_total_variation import relative_total_variation


def gaussian_window(length, sigma):
    """Return the weights of a Gaussian cut off at 2.5 sigma."""
    radius = int(2.5 * sigma + 0.5)
    weights = {d: math.exp(-(d**2) / (2 * sigma**2)) for d in range(-radius, radius + 1)}
    total = sum(weights.values())
    return {d: weight / total for d, weight in weights.items()}


def gaussian_blur(plane, sigma):
    height, width = plane.shape
    result = np.zeros_like(plane)
    weights = gaussian_window(height, sigma)
    for y in range(height):
        for x in range(width):
            for dy, along_y in weights.items():
                for dx, along_x in weights.items():
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        result[y, x] += along_y * along_x * plane[y + dy, x + dx]
    return result


def dense_rtv(rgb, lambda_, sigma, sharpness):
    height, width, channels = rgb.shape
    S = rgb.copy()
    for _ in range(4):
        smooth = np.stack([gaussian_blur(S[..., c], sigma) for c in range(channels)], axis=2)
        A = np.eye(height * width)
        for y in range(height):
            for x in range(width):
                right = S[y, x + 1] - S[y, x] if x + 1 < width else np.zeros(channels)
                below = S[y + 1, x] - S[y, x] if y + 1 < height else np.zeros(channels)
                w = 1 / max(np.mean(np.sqrt(right**2 + below**2)), sharpness)
                for neighbour in ((y, x + 1), (y + 1, x)):
                    if neighbour[0] == height or neighbour[1] == width:
                        continue
                    u = 1 / max(np.mean(np.abs(smooth[neighbour] - smooth[y, x])), 1e-3)
                    p, q = y * width + x, neighbour[0] * width + neighbour[1]
                    a = lambda_ * u * w / 2
                    A[p, p] += a
                    A[q, q] += a
                    A[p, q] -= a
                    A[q, p] -= a
        S = np.linalg.solve(A, rgb.reshape(-1, channels)).reshape(rgb.shape)
        sigma = max(sigma / 2, 0.5)
    return S


@pytest.mark.parametrize("shape", [(9, 8, 3), (12, 7, 3), (1, 9, 3), (5, 1, 3), (1, 1, 3)])
@pytest.mark.parametrize("values", [(0.01, 3.0, 0.02), (0.05, 1.0, 0.005)])
def test_rtv_equals_loops_and_dense_solves(shape, values):
    rgb = np.random.default_rng(3).random(shape)
    np.testing.assert_allclose(
        relative_total_variation(rgb, *values), dense_rtv(rgb, *values), atol=2e-3
    )


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_rtv_of_constant_is_constant(value):
    rgb = np.full((9, 12, 3), value, np.float32)
    np.testing.assert_allclose(relative_total_variation(rgb), rgb, atol=1e-4)


def test_rtv_commutes_with_transposition():
    rgb = np.random.default_rng(0).random((12, 10, 3))
    np.testing.assert_allclose(
        relative_total_variation(rgb.transpose(1, 0, 2)),
        relative_total_variation(rgb).transpose(1, 0, 2),
        atol=1e-3,
    )


def test_rtv_with_small_lambda_is_identity():
    rgb = np.random.default_rng(1).random((12, 10, 3))
    np.testing.assert_allclose(relative_total_variation(rgb, lambda_=1e-9), rgb, atol=1e-4)


def test_rtv_removes_texture_and_keeps_step():
    image = np.where(np.arange(48) < 24, 0.3, 0.7)[None, :] * np.ones((32, 1))
    texture = 0.1 * np.sin(np.arange(32) * 2.1)[:, None] * np.sin(np.arange(48) * 1.9)[None, :]
    smooth = relative_total_variation(np.repeat((image + texture)[..., None], 3, axis=2))
    left, right = smooth[:, 2:20], smooth[:, 28:46]
    assert left.std() < 0.1 * texture.std()
    assert right.std() < 0.1 * texture.std()
    assert right.mean() - left.mean() > 0.95 * 0.4


def test_rtv_leaves_input_unchanged():
    rgb = np.random.default_rng(2).random((8, 8, 3)).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    relative_total_variation(rgb)
    np.testing.assert_array_equal(rgb, before)
