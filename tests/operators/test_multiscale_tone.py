"""Tone manipulation against dense weighted least squares and an explicit sum of layers."""

import math

import numpy as np
import pytest
from skimage.color import lab2rgb, rgb2lab

from burnish.operators.multiscale_tone import multiscale_tone, wls_filter


def dense_wls(g, lambda_, alpha):
    """Return the minimum of the paper's energy, from dense normal equations."""
    height, width = g.shape
    A = np.eye(g.size)
    for y in range(height):
        for x in range(width):
            for neighbour in ((y, x + 1), (y + 1, x)):
                if neighbour[0] == height or neighbour[1] == width:
                    continue
                step = abs(math.log(g[neighbour] + 1e-4) - math.log(g[y, x] + 1e-4))
                a = lambda_ / (step**alpha + 1e-4)
                p, q = y * width + x, neighbour[0] * width + neighbour[1]
                A[p, p] += a
                A[q, q] += a
                A[p, q] -= a
                A[q, p] -= a
    return np.linalg.solve(A, g.ravel()).reshape(g.shape)


def sigmoid(x, a):
    """Return the S-curve from [-50, 50] to [-50, 50], by the logistic function."""

    def curve(value):
        return 1 / (1 + math.exp(-a * value)) - 0.5

    return np.vectorize(lambda value: 50 * curve(value / 100) / curve(0.5))(x)


def rendering(rgb, exposure, detail, middle, base):
    lab = rgb2lab(rgb)
    L = lab[..., 0]
    u0, u1 = dense_wls(L, 0.125, 1.2), dense_wls(L, 0.5, 1.2)
    lab[..., 0] = (
        sigmoid(exposure * u1 - 56, base) + 56 + sigmoid(u0 - u1, middle) + sigmoid(L - u0, detail)
    )
    lab[..., 1:] *= 1.1
    return lab2rgb(lab)


@pytest.mark.parametrize("shape", [(9, 8), (1, 12), (7, 1), (1, 1), (16, 12)])
@pytest.mark.parametrize(("lambda_", "alpha"), [(0.125, 1.2), (2.0, 1.8)])
def test_wls_filter_equals_dense_solve(shape, lambda_, alpha):
    g = 100 * np.random.default_rng(0).random(shape)
    np.testing.assert_allclose(
        wls_filter(g, lambda_, alpha), dense_wls(g, lambda_, alpha), atol=2e-3
    )


def test_wls_filter_of_black_beside_white_is_finite():
    g = np.zeros((12, 16))
    g[:, 8:] = 100
    np.testing.assert_allclose(wls_filter(g, 0.5), dense_wls(g, 0.5, 1.2), atol=2e-3)


def test_multiscale_tone_equals_mean_of_renderings():
    rgb = 0.2 + 0.6 * np.random.default_rng(1).random((10, 9, 3))
    fine, medium, coarse = (
        rendering(rgb, *values) for values in ((1, 25, 1, 1), (1, 1, 40, 1), (1.1, 4, 1, 15))
    )
    mean = (fine + medium + coarse) / 3
    np.testing.assert_allclose(multiscale_tone(rgb), mean, atol=5e-4)
    np.testing.assert_allclose(multiscale_tone(rgb, 3, 0, 0), fine, atol=5e-4)
    np.testing.assert_allclose(multiscale_tone(rgb, 0, 3, 0), medium, atol=5e-4)
    np.testing.assert_allclose(multiscale_tone(rgb, 0, 0, 3), coarse, atol=5e-4)


def test_multiscale_tone_with_weights_0_returns_the_photo():
    rgb = np.random.default_rng(2).random((10, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(multiscale_tone(rgb, 0, 0, 0), rgb)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_multiscale_tone_of_constant_is_constant(value):
    result = multiscale_tone(np.full((9, 12, 3), value))
    assert np.ptp(result) < 1e-3


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, lambda rgb: rgb.transpose(1, 0, 2)])
def test_multiscale_tone_commutes_with_flips_and_transposition(flip):
    rgb = np.random.default_rng(3).random((12, 11, 3))
    np.testing.assert_allclose(multiscale_tone(flip(rgb)), flip(multiscale_tone(rgb)), atol=1e-3)


def test_multiscale_tone_has_no_halo_at_strong_edge():
    rgb = np.full((24, 32, 3), 0.25)
    rgb[:, 16:] = 0.7
    result = multiscale_tone(rgb)
    assert np.abs(result[:, :16] - result[0, 0]).max() < 0.01
    assert np.abs(result[:, 16:] - result[0, -1]).max() < 0.01


def test_multiscale_tone_leaves_input_unchanged():
    rgb = np.random.default_rng(4).random((8, 8, 3)).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    multiscale_tone(rgb)
    np.testing.assert_array_equal(rgb, before)
