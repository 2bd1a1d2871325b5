"""Non-local means against the definition, pixel by pixel and patch by patch."""

import numpy as np
import pytest

from burnish.operators.non_local_means import BAND_ROWS, non_local_means


def brute_force(rgb, h, patch, search):
    height, width, _ = rgb.shape
    margin = [(patch, patch), (patch, patch), (0, 0)]
    padded = np.pad(rgb.astype(np.float64), margin, mode="reflect")
    offset = np.arange(-patch, patch + 1)
    gaussian = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * (patch / 2) ** 2))
    gaussian /= gaussian.sum()

    def patch_at(y, x):
        return padded[y : y + 2 * patch + 1, x : x + 2 * patch + 1]

    result = np.empty(rgb.shape)
    for y in range(height):
        for x in range(width):
            total, weights = 0, 0
            for v in range(max(0, y - search), min(height, y + search + 1)):
                for u in range(max(0, x - search), min(width, x + search + 1)):
                    squares = ((patch_at(y, x) - patch_at(v, u)) ** 2).mean(axis=2)
                    weight = np.exp(-(gaussian * squares).sum() / h**2)
                    total = total + weight * rgb[v, u]
                    weights += weight
            result[y, x] = total / weights
    return result


@pytest.mark.parametrize("shape", [(12, 15), (9, 1), (1, 9), (3, 5), (1, 1), (2, 2)])
@pytest.mark.parametrize(("h", "patch", "search"), [(0.1, 3, 10), (0.3, 1, 2), (0.2, 2, 4)])
def test_non_local_means_equals_definition(shape, h, patch, search):
    rgb = np.random.default_rng(5).random((*shape, 3)) * 0.6
    expected = brute_force(rgb, h, patch, search)
    np.testing.assert_allclose(non_local_means(rgb, h, patch, search), expected, atol=1e-6)


def test_non_local_means_does_not_depend_on_bands():
    # The output does not depend on the position of the bands.
    rgb = np.random.default_rng(0).random((BAND_ROWS + 40, 8, 3)) * 0.3
    whole = non_local_means(rgb, 0.1, 2, 5)
    part = non_local_means(rgb[20:], 0.1, 2, 5)
    np.testing.assert_allclose(part[7:], whole[27:], atol=1e-6)


def test_non_local_means_does_not_depend_on_threads(monkeypatch):
    rgb = np.random.default_rng(1).random((2 * BAND_ROWS + 3, 12, 3))
    results = []
    for count in (1, 3):
        monkeypatch.setenv("BURNISH_THREADS", str(count))
        results.append(non_local_means(rgb, search_radius=3))
    np.testing.assert_array_equal(*results)


def test_non_local_means_commutes_with_flips_and_transposition():
    rgb = np.random.default_rng(2).random((14, 11, 3)) * 0.4
    smooth = non_local_means(rgb, 0.1, 2, 4)
    for transform in (np.flipud, np.fliplr, lambda image: image.transpose(1, 0, 2)):
        np.testing.assert_allclose(
            non_local_means(transform(rgb), 0.1, 2, 4), transform(smooth), atol=1e-6
        )


def test_non_local_means_denoises_repeated_texture():
    y, x = np.mgrid[:40, :40]
    texture = np.stack(
        [0.5 + 0.2 * np.sin(x * np.pi / 3), 0.5 + 0.2 * (y % 4 > 1), 0.3 + 0 * x], axis=2
    )
    noise = 0.05 * np.random.default_rng(3).standard_normal(texture.shape)
    error = non_local_means(texture + noise, h=0.06) - texture
    assert error.std() < noise.std() / 2


def test_non_local_means_with_extreme_h_is_identity_or_mean():
    rgb = np.random.default_rng(4).random((12, 12, 3))
    np.testing.assert_allclose(non_local_means(rgb, h=0.005), rgb, atol=1e-6)
    mean = non_local_means(rgb, h=1e3, search_radius=12)
    np.testing.assert_allclose(mean, np.broadcast_to(rgb.mean((0, 1)), rgb.shape), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_non_local_means_of_constant_is_constant(value):
    rgb = np.full((9, 12, 3), value, np.float32)
    np.testing.assert_allclose(non_local_means(rgb), rgb, atol=1e-6)


def test_non_local_means_leaves_input_unchanged():
    rgb = np.random.default_rng(6).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.setflags(write=False)
    result = non_local_means(rgb)
    np.testing.assert_array_equal(rgb, before)
    assert result.dtype == np.float32
    assert result.shape == rgb.shape
