"""Guided dehazing against a guided filter by loops, and against known haze."""

import numpy as np

from burnish.operators.dark_channel_dehazing import patch_transmission, recover_radiance
from burnish.operators.dark_channel_guided import dark_channel_guided


def guided_filter(rgb, p, radius, epsilon):
    """He et al. 2013, eqs. 19 and 20, window by window; valid away from the border only."""
    height, width = p.shape
    a, b = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(radius, height - radius):
        for x in range(radius, width - radius):
            window = slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1)
            colours, values = rgb[window].reshape(-1, 3), p[window].ravel()
            mean = colours.mean(axis=0)
            covariance = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
            a[y, x] = np.linalg.solve(
                covariance, (colours.T @ values) / len(values) - mean * values.mean()
            )
            b[y, x] = values.mean() - a[y, x] @ mean
    q = np.full((height, width), np.nan)
    for y in range(2 * radius, height - 2 * radius):
        for x in range(2 * radius, width - 2 * radius):
            window = slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1)
            q[y, x] = a[window].mean(axis=(0, 1)) @ rgb[y, x] + b[window].mean()
    return q


def test_guided_dehazing_equals_definition_away_from_border():
    rgb = np.random.default_rng(0).random((20, 22, 3))
    A = np.array([0.9, 0.95, 1.0])
    t = guided_filter(rgb, patch_transmission(rgb, A, 0.95, 3), 2, 0.01)
    inside = slice(4, -4), slice(4, -4)
    expected = recover_radiance(rgb[inside], t[inside], A)
    result = dark_channel_guided(rgb, A, patch=3, radius=2, epsilon=0.01)
    np.testing.assert_allclose(result[inside], expected, atol=2e-3)


def test_guided_dehazing_removes_known_haze():
    rng = np.random.default_rng(1)
    scene = rng.random((60, 80, 3)) * (rng.random((60, 80, 1)) < 0.7)
    t = np.linspace(0.9, 0.4, 80)[None, :, None]
    hazy = scene * t + (1 - t) * 0.9
    clear = dark_channel_guided(hazy, np.full(3, 0.9), omega=1.0, patch=7, radius=10)
    assert np.abs(clear - scene).mean() < 0.2 * np.abs(hazy - scene).mean()


def test_guided_dehazing_with_omega_0_returns_the_photo():
    rgb = np.random.default_rng(2).random((12, 14, 3)).astype(np.float32)
    np.testing.assert_allclose(dark_channel_guided(rgb, omega=0.0), rgb, atol=1e-4)


def test_guided_dehazing_leaves_input_unchanged():
    rgb = np.random.default_rng(3).random((12, 12, 3)).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    dark_channel_guided(rgb)
    np.testing.assert_array_equal(rgb, before)
