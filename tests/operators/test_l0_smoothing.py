"""L0 smoothing against dense linear solves and loops, without Fourier transforms."""

import numpy as np
import pytest

from burnish.operators.l0_smoothing import BETA_MAX, l0_smoothing


def difference_matrices(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Dx and Dy as dense matrices; each row is a circular neighbour minus the pixel."""
    n = height * width
    along_x, along_y = np.zeros((n, n)), np.zeros((n, n))
    for y in range(height):
        for x in range(width):
            index = y * width + x
            along_x[index, index] -= 1
            along_x[index, y * width + (x + 1) % width] += 1
            along_y[index, index] -= 1
            along_y[index, ((y + 1) % height) * width + x] += 1
    return along_x, along_y


def dense_l0(rgb: np.ndarray, lambda_: float, kappa: float) -> np.ndarray:
    height, width, channels = rgb.shape
    along_x, along_y = difference_matrices(height, width)
    stiffness = along_x.T @ along_x + along_y.T @ along_y
    photo = rgb.reshape(-1, channels).astype(np.float64)
    smooth = photo.copy()
    beta = 2 * lambda_
    while beta < BETA_MAX:
        h, v = along_x @ smooth, along_y @ smooth
        for pixel in range(len(photo)):
            if sum(h[pixel] ** 2) + sum(v[pixel] ** 2) <= lambda_ / beta:
                h[pixel], v[pixel] = 0, 0
        right = photo + beta * (along_x.T @ h + along_y.T @ v)
        smooth = np.linalg.solve(np.eye(len(photo)) + beta * stiffness, right)
        beta *= kappa
    return smooth.reshape(rgb.shape)


@pytest.mark.parametrize("shape", [(7, 6, 3), (8, 8, 1), (1, 9, 3), (5, 1, 3)])
@pytest.mark.parametrize(("lambda_", "kappa"), [(0.02, 2.0), (0.005, 1.5), (0.2, 4.0)])
def test_l0_smoothing_equals_dense_solves(shape, lambda_, kappa):
    rgb = np.random.default_rng(3).random(shape)
    expected = dense_l0(rgb, lambda_, kappa)
    np.testing.assert_allclose(l0_smoothing(rgb, lambda_, kappa), expected, atol=1e-9)


def test_l0_smoothing_in_single_precision_agrees_with_double():
    # A photo-like image, because on noise the hard threshold amplifies rounding errors.
    y, x = np.mgrid[:48, :64] / 64
    rgb = np.stack([x, y, (x > 0.5) * 0.6], axis=2) + 0.01 * np.sin(40 * x * y)[..., None]
    double = l0_smoothing(rgb)
    single = l0_smoothing(rgb.astype(np.float32))
    assert single.dtype == np.float32
    assert np.sqrt(np.mean((single - double) ** 2)) < 1e-3


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_l0_smoothing_of_constant_is_constant(value):
    rgb = np.full((9, 12, 3), value, np.float32)
    np.testing.assert_allclose(l0_smoothing(rgb), rgb, atol=1e-6)


def test_l0_smoothing_commutes_with_transposition_and_circular_shifts():
    # It does not commute with flips, because differences are forward differences.
    rgb = np.random.default_rng(0).random((12, 10, 3))
    smooth = l0_smoothing(rgb)
    np.testing.assert_allclose(
        l0_smoothing(rgb.transpose(1, 0, 2)), smooth.transpose(1, 0, 2), atol=1e-9
    )
    np.testing.assert_allclose(
        l0_smoothing(np.roll(rgb, (3, 4), axis=(0, 1))),
        np.roll(smooth, (3, 4), axis=(0, 1)),
        atol=1e-9,
    )


def test_l0_smoothing_with_larger_lambda_has_fewer_edges():
    rgb = 0.5 + 0.1 * np.random.default_rng(1).standard_normal((24, 24, 3))

    def edges(lambda_):
        smooth = l0_smoothing(rgb, lambda_)
        return (np.abs(np.diff(smooth, axis=0)).sum(axis=2) > 1e-2).sum()

    counts = [edges(lambda_) for lambda_ in (0.002, 0.02, 0.2)]
    assert counts[0] > counts[1] > counts[2]


def test_l0_smoothing_lowers_energy():
    lambda_ = 0.02
    rgb = np.full((24, 24, 3), 0.2)
    rgb[6:18, 8:20] = 0.8
    rgb += 0.02 * np.random.default_rng(4).standard_normal(rgb.shape)
    smooth = l0_smoothing(rgb, lambda_)

    def energy(image):
        h = np.roll(image, -1, axis=1) - image
        v = np.roll(image, -1, axis=0) - image
        jumps = (h**2 + v**2).sum(axis=2) > 1e-4  # 1 % of the range
        return ((image - rgb) ** 2).sum() + lambda_ * jumps.sum()

    assert energy(smooth) < energy(rgb)


def test_l0_smoothing_leaves_input_unchanged():
    rgb = np.random.default_rng(2).random((8, 8, 3)).astype(np.float32)
    before = rgb.copy()
    l0_smoothing(rgb)
    np.testing.assert_array_equal(rgb, before)
