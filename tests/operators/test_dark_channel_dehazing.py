"""Dark channel dehazing against loops over patches, a dense matting Laplacian and known haze."""

import numpy as np
import pymatting
import pytest

from burnish.operators import closed_form_matting as module
from burnish.operators.closed_form_matting import soft_matting
from burnish.operators.dark_channel_dehazing import (
    dark_channel,
    dark_channel_dehazing,
    estimate_airlight,
    patch_transmission,
    recover_radiance,
)


@pytest.fixture(scope="module", autouse=True)
def compiled_kernels():
    """Compile the numba kernels, which takes longer than all tests of this module."""
    soft_matting(np.full((4, 4, 3), 0.5), np.full((4, 4), 0.5))


def dense_laplacian(rgb, epsilon):
    """Return the matting Laplacian by Levin et al., eq. 12, window by window."""
    height, width, _ = rgb.shape
    n = height * width
    L = np.zeros((n, n))
    for y in range(height - 2):
        for x in range(width - 2):
            indices = [(y + dy) * width + x + dx for dy in range(3) for dx in range(3)]
            colours = rgb[y : y + 3, x : x + 3].reshape(9, 3)
            centred = colours - colours.mean(axis=0)
            covariance = centred.T @ centred / 9 + epsilon / 9 * np.eye(3)
            affinity = (1 + centred @ np.linalg.solve(covariance, centred.T)) / 9
            L[np.ix_(indices, indices)] += np.eye(9) - affinity
    return L


@pytest.mark.parametrize("patch", [1, 3, 7])
@pytest.mark.parametrize("shape", [(9, 12, 3), (1, 9, 3), (3, 5, 3)])
def test_dark_channel_is_minimum_over_patch_and_channels(shape, patch):
    rgb = np.random.default_rng(0).random(shape).astype(np.float32)
    radius = patch // 2
    dark = dark_channel(rgb, patch)
    for y in range(shape[0]):
        for x in range(shape[1]):
            rows = slice(max(0, y - radius), y + radius + 1)
            columns = slice(max(0, x - radius), x + radius + 1)
            assert dark[y, x] == rgb[rows, columns].min()


def test_estimate_airlight_returns_brightest_of_haziest_pixels():
    rgb = np.random.default_rng(1).random((40, 50, 3)) * 0.3
    rgb[4:30, 6:40] = [0.7, 0.75, 0.8]
    rgb[10, 12] = [0.9, 0.9, 0.95]  # the brightest pixel in the haze
    rgb[35, 45] = 1  # brighter, but not in the haze
    np.testing.assert_allclose(estimate_airlight(rgb, patch=3), [0.9, 0.9, 0.95])
    np.testing.assert_allclose(estimate_airlight(rgb, patch=1), [1, 1, 1])


@pytest.mark.parametrize("shape", [(9, 11, 3), (3, 3, 3), (12, 5, 3)])
def test_soft_matting_equals_dense_solve(shape, monkeypatch):
    monkeypatch.setattr(module, "TOLERANCE", 1e-10)
    rgb = np.random.default_rng(2).random(shape)
    patches = np.random.default_rng(3).random(shape[:2])
    A = dense_laplacian(rgb, module.EPSILON) + module.LAMBDA * np.eye(patches.size)
    expected = np.linalg.solve(A, module.LAMBDA * patches.ravel())
    np.testing.assert_allclose(soft_matting(rgb, patches).ravel(), expected, atol=1e-6)


def test_matting_matrix_equals_pymatting():
    rgb = np.random.default_rng(4).random((12, 15, 3))
    w = module._affinities(rgb)
    L = pymatting.cf_laplacian(rgb, epsilon=module.EPSILON, radius=1).toarray()
    t = np.random.default_rng(5).random((12, 15))
    ours = module._multiply(w, t) - module.LAMBDA * t
    np.testing.assert_allclose(ours.ravel(), L @ t.ravel(), atol=1e-6)


def test_affinities_of_grey_window_equal_those_of_one_channel():
    # The covariance has rank one: (Sigma + e)^-1 (g, g, g)' = (g, g, g)' / (3 variance + e).
    grey = np.random.default_rng(11).random((3, 3)).round(2)
    w = module._affinities(np.repeat(grey[..., None], 3, axis=2))
    centred = grey - grey.mean()
    scale = 3 / (3 * grey.var() + module.EPSILON / 9)
    for k, (dy, dx) in enumerate(module._PAIRS):
        for y in range(3 - dy):
            for x in range(max(0, -dx), min(3, 3 - dx)):
                product = centred[y, x] * centred[y + dy, x + dx]
                assert w[k, y, x] == pytest.approx((1 + scale * product) / 9, abs=1e-9)


def test_soft_matting_of_image_without_windows_returns_transmission():
    patches = np.random.default_rng(6).random((2, 9))
    np.testing.assert_allclose(soft_matting(np.random.rand(2, 9, 3), patches), patches, atol=1e-6)


def hazy_scene():
    """Flat tiles with black joints; matting is nearly exact without texture."""
    tiles = np.random.default_rng(7).random((5, 8, 3))
    scene = np.kron(tiles, np.ones((8, 8, 1)))[:, :60]
    scene[::4], scene[:, ::4] = 0, 0
    t = np.linspace(0.9, 0.4, 60)[None, :, None]
    A = np.array([0.85, 0.9, 0.95])
    return scene, t, A, scene * t + (1 - t) * A


def test_dehazing_removes_known_haze():
    scene, t, A, hazy = hazy_scene()
    transmission = patch_transmission(hazy, A, omega=1.0, patch=7)
    # The transmission of a patch is that of its farthest pixel.
    np.testing.assert_allclose(
        transmission, np.broadcast_to(t[..., 0], transmission.shape), atol=0.1
    )
    clear = dark_channel_dehazing(hazy, A, omega=1.0, patch=7)
    assert np.abs(clear - scene).mean() < 0.35 * np.abs(hazy - scene).mean()


def test_recover_radiance_inverts_haze_model():
    scene, t, A, hazy = hazy_scene()
    np.testing.assert_allclose(
        recover_radiance(hazy, np.broadcast_to(t[..., 0], (40, 60)), A), scene, atol=1e-12
    )


def test_dehazing_with_omega_0_returns_the_photo():
    rgb = np.random.default_rng(8).random((12, 14, 3)).astype(np.float32)
    np.testing.assert_allclose(dark_channel_dehazing(rgb, omega=0.0), rgb, atol=1e-3)


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, lambda rgb: rgb.transpose(1, 0, 2)])
def test_dehazing_commutes_with_flips_and_transposition(flip):
    rgb = np.random.default_rng(9).random((21, 18, 3))
    result = flip(dark_channel_dehazing(rgb, patch=5))
    np.testing.assert_allclose(dark_channel_dehazing(flip(rgb), patch=5), result, atol=5e-3)


def test_dehazing_leaves_input_unchanged():
    rgb = np.random.default_rng(10).random((12, 12, 3)).astype(np.float32)
    rgb.setflags(write=False)
    before = rgb.copy()
    dark_channel_dehazing(rgb)
    np.testing.assert_array_equal(rgb, before)
