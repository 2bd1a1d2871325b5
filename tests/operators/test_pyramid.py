"""The pyramid against convolutions with zeros outside, divided by the sum of the weights."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from burnish.operators.pyramid import (
    collapse,
    expand,
    gaussian_pyramid,
    laplacian_pyramid,
    reduce,
)

KERNEL = (0.05, 0.25, 0.4, 0.25, 0.05)


def kernel_for(shape):
    """Return the outer product of the kernels of both sides, [1] for a side that is kept."""
    along_y, along_x = ([1.0] if side <= 2 else KERNEL for side in shape)
    return np.outer(along_y, along_x)


def every_other(shape):
    return tuple(slice(None, None, 1 if side <= 2 else 2) for side in shape)


def convolved_reduce(plane):
    kernel = kernel_for(plane.shape)
    blurred = convolve2d(plane, kernel, "same") / convolve2d(np.ones_like(plane), kernel, "same")
    return blurred[every_other(plane.shape)]


def convolved_expand(plane, shape):
    kernel = kernel_for(shape)
    sparse, known = np.zeros(shape), np.zeros(shape)
    sparse[every_other(shape)] = plane
    known[every_other(shape)] = 1
    return convolve2d(sparse, kernel, "same") / convolve2d(known, kernel, "same")


SHAPES = [(1, 1), (1, 9), (7, 1), (2, 5), (3, 5), (6, 4), (9, 17), (12, 11)]


@pytest.mark.parametrize("shape", SHAPES)
def test_pyramid_equals_convolutions(shape):
    plane = np.random.default_rng(0).random(shape)
    small = reduce(plane)
    np.testing.assert_allclose(small, convolved_reduce(plane), atol=1e-12)
    np.testing.assert_allclose(expand(small, shape), convolved_expand(small, shape), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
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
