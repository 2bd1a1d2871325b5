"""Style transfer against an implementation by sorting and loops, and its properties."""

import numpy as np
import pytest
from scipy.stats import rankdata

from burnish.operators.local_laplacian import local_laplacian_filter
from burnish.operators.photographic_style import photographic_style


def grey_image(plane):
    return np.repeat(plane[..., None], 3, axis=2)


def texture(shape, seed, contrast=0.15):
    """Return a plane with smooth areas, edges and grain, so with gradients of many sizes."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 20
    rng = np.random.default_rng(seed)
    plane = 0.5 + contrast * np.sin(3 * x + 2 * y * x) + contrast * (np.sin(2 * x - y) > 0.3)
    return np.clip(plane + 0.02 * contrast * rng.standard_normal(shape), 0, 1)


def gradient_magnitude(plane):
    result = np.zeros_like(plane)
    height, width = plane.shape
    for y in range(height):
        for x in range(width):
            right = plane[y, min(x + 1, width - 1)] - plane[y, x]
            below = plane[min(y + 1, height - 1), x] - plane[y, x]
            result[y, x] = (right**2 + below**2) ** 0.5
    return result


def match_histogram(plane, target):
    """Map each value to the target's quantile of its mean rank; ties are equal in 16 bits."""
    values = np.sort(target, axis=None)
    rounded = np.rint((plane - plane.min()) * 2**16)
    rank = (rankdata(rounded, method="average") - 0.5) / plane.size
    return np.interp(rank, (np.arange(values.size) + 0.5) / values.size, values).reshape(
        plane.shape
    )


def brute_force(plane, reference, iterations, gain):
    target = np.sort(gradient_magnitude(reference), axis=None)
    result = match_histogram(plane, reference)
    for _ in range(iterations):
        current = gradient_magnitude(result).ravel()
        magnitudes = np.arange(1025) / 1024
        largest = current.max()
        transfer = []
        for magnitude in magnitudes:
            rank = np.mean(current <= magnitude)
            centres = (np.arange(target.size) + 0.5) / target.size
            same_rank = np.interp(rank, centres, target) + max(magnitude - largest, 0)
            transfer.append(min(same_rank, gain * magnitude))

        def remap(values, g, transfer=transfer, magnitudes=magnitudes):
            return g + np.sign(values - g) * np.interp(abs(values - g), magnitudes, transfer)

        result = match_histogram(local_laplacian_filter(result, remap, 32), reference)
    return result


@pytest.mark.parametrize("shape", [(12, 15), (1, 30), (23, 8)])
def test_photographic_style_equals_definition(shape):
    plane, reference = texture(shape, 0), texture((5, 6), 1, contrast=0.3)
    expected = brute_force(plane, reference, iterations=2, gain=2.0)
    result = photographic_style(grey_image(plane), grey_image(reference), iterations=2)
    np.testing.assert_allclose(result, grey_image(expected), atol=1e-9)


def test_photographic_style_matches_tones_of_reference():
    plane, reference = texture((40, 50), 2), texture((30, 40), 3, contrast=0.3) ** 2
    result = photographic_style(grey_image(plane), grey_image(reference))[..., 0]
    ranks = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(result, ranks), np.quantile(reference, ranks), atol=0.01)


def test_photographic_style_matches_gradients_of_reference():
    plane, reference = texture((64, 64), 4), texture((64, 64), 5, contrast=0.3)
    reference = np.clip(
        reference + 0.05 * np.random.default_rng(6).standard_normal(reference.shape), 0, 1
    )

    def distance(result):
        return np.abs(
            np.sort(gradient_magnitude(result), axis=None)
            - np.sort(gradient_magnitude(reference), axis=None)
        ).mean()

    tones_only = distance(
        photographic_style(grey_image(plane), grey_image(reference), iterations=0)[..., 0]
    )
    few = distance(
        photographic_style(grey_image(plane), grey_image(reference), iterations=1)[..., 0]
    )
    many = distance(
        photographic_style(grey_image(plane), grey_image(reference), iterations=8)[..., 0]
    )
    assert many < few < tones_only


def test_photographic_style_of_own_style_changes_nothing():
    plane = texture((40, 40), 7)
    np.testing.assert_allclose(
        photographic_style(grey_image(plane), grey_image(plane)), grey_image(plane), atol=0.02
    )


def test_photographic_style_does_not_depend_on_tone_curve():
    # The first step uses only the ranks of the photo's values.
    plane, reference = texture((30, 30), 8), texture((30, 30), 9, contrast=0.3)
    difference = photographic_style(
        grey_image(plane**2), grey_image(reference)
    ) - photographic_style(grey_image(plane), grey_image(reference))
    # Values that are equal in 16 bits before or after the curve may differ.
    assert np.sqrt(np.mean(difference**2)) < 2e-3


def test_photographic_style_with_smaller_gain_keeps_smooth_areas():
    rng = np.random.default_rng(10)
    plane = np.tile(np.linspace(0.2, 0.8, 48), (48, 1)) + 1e-3 * rng.standard_normal((48, 48))
    reference = rng.random((48, 48))
    grain = [
        gradient_magnitude(
            photographic_style(grey_image(plane), grey_image(reference), gain=gain)[..., 0]
        ).mean()
        for gain in (1.0, 2.0, 8.0)
    ]
    assert grain[0] < grain[1] < grain[2]


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (20, 21)])
def test_photographic_style_of_constant_is_constant(shape, value):
    flat = np.full((*shape, 3), value, np.float32)
    reference = grey_image(texture((12, 12), 11)).astype(np.float32)
    styled = photographic_style(flat, reference)
    assert np.ptp(styled) < 1e-6
    assert reference.min() <= styled.mean() <= reference.max()
    np.testing.assert_allclose(photographic_style(flat, flat), flat, atol=1e-6)
    # A constant reference makes any photo constant.
    np.testing.assert_allclose(photographic_style(reference, flat), value, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5)])
def test_photographic_style_of_tiny_image_is_finite_and_grey(shape):
    rgb = np.random.default_rng(12).random((*shape, 3))
    for reference in (
        rgb,
        grey_image(texture((25, 30), 13)),
        np.random.default_rng(1).random((1, 1, 3)),
    ):
        result = photographic_style(rgb, reference)
        assert result.shape == rgb.shape
        assert np.isfinite(result).all()
        np.testing.assert_array_equal(result, grey_image(result[..., 0]))


def test_photographic_style_reduces_larger_reference():
    plane, reference = texture((24, 24), 14), texture((24, 24), 15, contrast=0.3)
    doubled = np.kron(reference, np.ones((2, 2)))
    np.testing.assert_allclose(
        photographic_style(grey_image(plane), grey_image(doubled)),
        photographic_style(grey_image(plane), grey_image(reference)),
        atol=1e-9,
    )


def test_photographic_style_commutes_with_transposition():
    plane, reference = (
        grey_image(texture((18, 23), 16)),
        grey_image(texture((20, 20), 17, contrast=0.3)),
    )
    transposed = photographic_style(plane.transpose(1, 0, 2), reference.transpose(1, 0, 2))
    np.testing.assert_allclose(
        transposed.transpose(1, 0, 2), photographic_style(plane, reference), atol=1e-3
    )


def test_photographic_style_in_single_precision_agrees_with_double():
    plane, reference = (
        grey_image(texture((48, 40), 18)),
        grey_image(texture((40, 40), 19, contrast=0.3)),
    )
    single = photographic_style(plane.astype(np.float32), reference.astype(np.float32))
    assert single.dtype == np.float32
    assert np.sqrt(np.mean((single - photographic_style(plane, reference)) ** 2)) < 1e-3


def test_photographic_style_does_not_depend_on_threads(monkeypatch):
    plane, reference = grey_image(texture((40, 40), 20)), grey_image(texture((30, 30), 21))
    results = []
    for count in ("1", "3"):
        monkeypatch.setenv("BURNISH_THREADS", count)
        results.append(photographic_style(plane, reference))
    np.testing.assert_array_equal(*results)


def test_photographic_style_leaves_inputs_unchanged():
    rgb, reference = np.random.default_rng(22).random((2, 8, 8, 3)).astype(np.float32)
    before = rgb.copy(), reference.copy()
    rgb.flags.writeable = reference.flags.writeable = False
    photographic_style(rgb, reference)
    np.testing.assert_array_equal(rgb, before[0])
    np.testing.assert_array_equal(reference, before[1])
