"""The pyramid against convolutions, and the filter against the paper's direct algorithm.

The convolutions have zeros outside and are divided by the sum of the weights. The direct algorithm
builds a pyramid for each coefficient.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import convolve2d

from burnish.operators.local_laplacian import (
    collapse,
    expand,
    gaussian_pyramid,
    local_laplacian,
    reduce,
)

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)


def reduce_plane(plane):
    kernel = np.outer(*([1.0] if side <= 2 else KERNEL for side in plane.shape))
    blurred = convolve2d(plane, kernel, "same") / convolve2d(np.ones_like(plane), kernel, "same")
    return blurred[:: 1 if len(plane) <= 2 else 2, :: 1 if plane.shape[1] <= 2 else 2]


def expand_plane(plane, shape):
    kernel = np.outer(*([1.0] if side <= 2 else KERNEL for side in shape))
    sparse, mask = np.zeros(shape), np.zeros(shape)
    grid = tuple(slice(None, None, 1 if side <= 2 else 2) for side in shape)
    sparse[grid], mask[grid] = plane, 1
    return convolve2d(sparse, kernel, "same") / convolve2d(mask, kernel, "same")


def gaussian_levels(plane):
    levels = [plane]
    while max(levels[-1].shape) > 2:
        levels.append(reduce_plane(levels[-1]))
    return levels


def laplacian_levels(plane):
    levels = gaussian_levels(plane)
    return [
        levels[n] - expand_plane(levels[n + 1], levels[n].shape) for n in range(len(levels) - 1)
    ] + levels[-1:]


def collapse_levels(bands):
    plane = bands[-1]
    for band in bands[-2::-1]:
        plane = band + expand_plane(plane, band.shape)
    return plane


def remap_plane(plane, g, detail, sigma, beta):
    """Return the remapped plane, one pixel at a time."""
    result = np.empty_like(plane)
    for index, i in np.ndenumerate(plane):
        distance, sign = abs(i - g), np.sign(i - g)
        power = 1 / detail if detail < 1 else 1
        slope = max(detail, 1)
        if distance <= sigma:
            result[index] = g + sign * slope * sigma * (distance / sigma) ** power
        else:
            result[index] = g + sign * (slope * sigma + beta * (distance - sigma))
    return result


def direct_filter(plane, *parameters):
    """Section 4 of Paris et al.: one remapped pyramid for each coefficient."""
    gaussian = gaussian_levels(plane)
    bands = [np.empty_like(level) for level in gaussian[:-1]]
    for level, band in enumerate(bands):
        for index in np.ndindex(band.shape):
            remapped = remap_plane(plane, gaussian[level][index], *parameters)
            band[index] = laplacian_levels(remapped)[level][index]
    return collapse_levels([*bands, gaussian[-1]])


def interpolated_filter(plane, references, *parameters):
    """Section 5 of Aubry et al., with all N pyramids in memory."""
    centres = np.linspace(0, 1, references)
    pyramids = [laplacian_levels(remap_plane(plane, g, *parameters)) for g in centres]
    gaussian = gaussian_levels(plane)
    bands = []
    for level, values in enumerate(gaussian[:-1]):
        band = np.empty_like(values)
        for index, value in np.ndenumerate(values):
            coefficients = [pyramid[level][index] for pyramid in pyramids]
            band[index] = np.interp(value, centres, coefficients)
        bands.append(band)
    return collapse_levels([*bands, gaussian[-1]])


def grey_image(plane):
    return np.repeat(plane[..., None], 3, axis=2)


PARAMETERS = [(3.0, 0.1, 1.0), (2.0, 0.3, 0.5), (0.25, 0.2, 1.0), (1.0, 0.1, 0.3)]


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("shape", [(7, 6), (1, 9), (3, 5)])
def test_local_laplacian_with_many_references_equals_direct_filter(shape, parameters):
    plane = np.random.default_rng(3).random(shape)
    result = local_laplacian(grey_image(plane), *parameters, references=2001)
    np.testing.assert_allclose(result, grey_image(direct_filter(plane, *parameters)), atol=2e-4)


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("references", [2, 7, 20])
def test_local_laplacian_with_few_references_equals_interpolated_filter(references, parameters):
    plane = np.random.default_rng(4).random((9, 12))
    result = local_laplacian(grey_image(plane), *parameters, references=references)
    # For a detail below 1, the power function is tabulated.
    exact = 1e-6 if parameters[0] < 1 else 1e-12
    expected = interpolated_filter(plane, references, *parameters)
    np.testing.assert_allclose(result, grey_image(expected), atol=exact)


def test_local_laplacian_by_default_is_close_to_direct_filter():
    y, x = np.mgrid[:13, :17] / 16
    plane = 0.3 + 0.4 * (x + y > 0.8) + 0.05 * np.sin(30 * x * y)
    error = local_laplacian(grey_image(plane)) - grey_image(direct_filter(plane, 3.0, 0.1, 1.0))
    assert np.sqrt(np.mean(error**2)) < 10 ** (-65 / 20)


def test_local_laplacian_with_detail_1_is_identity():
    rgb = np.random.default_rng(5).random((19, 14, 3))
    np.testing.assert_allclose(local_laplacian(rgb, detail=1.0), rgb, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (16, 9)])
def test_local_laplacian_of_constant_is_constant(shape, value):
    rgb = np.full((*shape, 3), value, np.float32)
    np.testing.assert_allclose(local_laplacian(rgb), rgb, atol=1e-6)


def test_local_laplacian_filters_luminance():
    rgb = 0.3 + 0.4 * np.random.default_rng(10).random((8, 9, 3))
    Y, result = (
        0.299 * c[..., 0] + 0.587 * c[..., 1] + 0.114 * c[..., 2]
        for c in (rgb, local_laplacian(rgb, 1.5))
    )
    np.testing.assert_allclose(result, local_laplacian(grey_image(Y), 1.5)[..., 0], atol=1e-12)


def test_local_laplacian_keeps_colour_ratios():
    y, x = np.mgrid[:24, :24] / 24
    rgb = (0.6 + 0.1 * np.sin(9 * x + 5 * y))[..., None] * np.array([1.0, 0.6, 0.3])
    result = local_laplacian(rgb, detail=2.0)
    assert np.abs(result - rgb).max() > 0.05
    np.testing.assert_allclose(result[..., 1] / result[..., 0], 0.6, atol=0.01)
    np.testing.assert_allclose(result[..., 2] / result[..., 0], 0.3, atol=0.01)


def test_local_laplacian_scales_detail_and_keeps_edges():
    ripple = np.tile(np.where(np.arange(32) % 2, 0.02, 0.0), (32, 1))
    plane = ripple + np.where(np.arange(32) < 16, 0.2, 0.7)

    def ripple_and_step(**parameters):
        row = local_laplacian(grey_image(plane), **parameters)[16, :, 0]
        return abs(row[8] - row[7]), row[18:30].mean() - row[2:14].mean()

    smooth, smooth_step = ripple_and_step(detail=0.25)
    strong, _ = ripple_and_step(detail=3.0)
    assert smooth < 0.005
    assert smooth_step == pytest.approx(0.5, abs=0.03)
    assert strong == pytest.approx(0.06, abs=0.005)
    _, compressed = ripple_and_step(detail=1.0, beta=0.5)
    assert compressed < 0.4


def test_local_laplacian_commutes_with_transposition_and_flips_of_odd_sides():
    rgb = np.random.default_rng(6).random((17, 33, 3))
    result = local_laplacian(rgb)
    for axis in (0, 1):
        flipped = local_laplacian(np.flip(rgb, axis))
        np.testing.assert_allclose(np.flip(flipped, axis), result, atol=1e-10)
    transposed = local_laplacian(rgb.transpose(1, 0, 2)).transpose(1, 0, 2)
    np.testing.assert_allclose(transposed, result, atol=1e-10)


def test_local_laplacian_in_single_precision_agrees_with_double():
    rgb = np.random.default_rng(7).random((48, 37, 3))
    single = local_laplacian(rgb.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, local_laplacian(rgb), atol=1e-4)


def test_local_laplacian_does_not_depend_on_threads(monkeypatch):
    rgb = np.random.default_rng(8).random((40, 40, 3)).astype(np.float32)
    results = []
    for count in ("1", "3"):
        monkeypatch.setenv("BURNISH_THREADS", count)
        results.append(local_laplacian(rgb))
    np.testing.assert_array_equal(*results)


def test_local_laplacian_leaves_input_unchanged():
    rgb = np.random.default_rng(9).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    rgb.flags.writeable = False
    local_laplacian(rgb)
    np.testing.assert_array_equal(rgb, before)


PYRAMID_SHAPES = [(1, 1), (1, 9), (7, 1), (2, 5), (3, 5), (6, 4), (9, 17), (12, 11)]


def laplacian_pyramid(plane):
    levels = gaussian_pyramid(plane)
    bands = [fine - expand(coarse, fine.shape) for fine, coarse in pairwise(levels)]
    return [*bands, levels[-1]]


@pytest.mark.parametrize("shape", PYRAMID_SHAPES)
def test_pyramid_equals_convolutions(shape):
    plane = np.random.default_rng(0).random(shape)
    small = reduce(plane)
    np.testing.assert_allclose(small, reduce_plane(plane), atol=1e-12)
    np.testing.assert_allclose(expand(small, shape), expand_plane(small, shape), atol=1e-12)


@pytest.mark.parametrize("shape", PYRAMID_SHAPES)
def test_collapse_inverts_laplacian_pyramid(shape):
    plane = np.random.default_rng(1).random(shape)
    bands = laplacian_pyramid(plane)
    assert [band.shape for band in bands] == [level.shape for level in gaussian_pyramid(plane)]
    np.testing.assert_allclose(collapse(bands), plane, atol=1e-12)


def test_laplacian_pyramid_of_constant_is_zero():
    bands = laplacian_pyramid(np.full((9, 14), 0.7))
    for band in bands[:-1]:
        np.testing.assert_allclose(band, 0, atol=1e-15)
    np.testing.assert_allclose(bands[-1], 0.7, atol=1e-15)


def test_laplacian_pyramid_of_ramp_is_zero_inside():
    # The kernel is symmetric, so linear functions are kept where all taps are inside.
    ramp = np.tile(np.arange(33.0), (33, 1))
    finest = laplacian_pyramid(ramp)[0]
    np.testing.assert_allclose(finest[:, 6:-6], 0, atol=1e-12)
    assert np.abs(finest[:, 0]).min() > 0.1


def test_gaussian_pyramid_ends_at_two_pixels():
    assert [level.shape for level in gaussian_pyramid(np.zeros((17, 2)))] == [
        (17, 2),
        (9, 2),
        (5, 2),
        (3, 2),
        (2, 2),
    ]


@pytest.mark.parametrize("axis", [0, 1])
def test_pyramid_commutes_with_flips_of_odd_sides(axis):
    plane = np.random.default_rng(2).random((17, 33))
    flipped = laplacian_pyramid(np.flip(plane, axis))
    for band, mirrored in zip(laplacian_pyramid(plane), flipped, strict=True):
        np.testing.assert_allclose(np.flip(mirrored, axis), band, atol=1e-12)


def test_pyramid_commutes_with_transposition():
    plane = np.random.default_rng(3).random((14, 9))
    for band, transposed in zip(
        laplacian_pyramid(plane), laplacian_pyramid(np.ascontiguousarray(plane.T)), strict=True
    ):
        np.testing.assert_allclose(transposed.T, band, atol=1e-12)


def test_pyramid_in_single_precision_agrees_with_double():
    plane = np.random.default_rng(4).random((40, 31))
    for single, double in zip(
        laplacian_pyramid(plane.astype(np.float32)), laplacian_pyramid(plane), strict=True
    ):
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, atol=1e-6)


def test_pyramid_leaves_input_unchanged():
    plane = np.random.default_rng(5).random((8, 8))
    before = plane.copy()
    plane.flags.writeable = False
    collapse(laplacian_pyramid(plane))
    np.testing.assert_array_equal(plane, before)
