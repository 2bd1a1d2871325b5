"""The primal-dual method against dense matrices, and strips against one strip."""

import numpy as np
import pytest

from burnish.operators.total_variation import ITERATIONS_PER_PASS, PrimalDual, StepSizes

# Different step sizes in each iteration, for more iterations than one pass has.
STEPS = [
    StepSizes(0.3 / (1 + k / 4), 1 / (1 + k / 9), 0.4 + k / 40)
    for k in range(2 * ITERATIONS_PER_PASS + 3)
]


def gradient_matrix(height: int, width: int) -> np.ndarray:
    """Return forward differences along x, then along y, as one dense matrix."""
    n = height * width
    matrix = np.zeros((2, n, n))
    for y in range(height):
        for x in range(width):
            index = y * width + x
            if x + 1 < width:
                matrix[0, index, [index, index + 1]] = -1, 1
            if y + 1 < height:
                matrix[1, index, [index, index + width]] = -1, 1
    return matrix.reshape(2 * n, n)


def dense_primal_dual(rgb, lambda_, data, steps):
    """Return u and p of shape (2, pixels, channels) after the steps."""
    height, width, channels = rgb.shape
    gradient = gradient_matrix(height, width)
    photo = rgb.reshape(-1, channels)
    u, p = photo, np.zeros((2, height * width, channels))
    for tau, theta, sigma in steps:
        v = u - tau * gradient.T @ p.reshape(-1, channels)
        if data == "squares":
            new = (v + tau * lambda_ * photo) / (1 + tau * lambda_)
        else:
            difference = v - photo
            new = photo + np.sign(difference) * np.maximum(abs(difference) - tau * lambda_, 0)
        p = p + sigma * (gradient @ (new + theta * (new - u))).reshape(p.shape)
        length = np.sqrt((p**2).sum(axis=(0, 2)))
        p = p / np.maximum(length, 1)[:, None]
        u = new
    return u.reshape(rgb.shape), p


def primal_dual(rgb, lambda_, data, steps=STEPS):
    solver = PrimalDual(rgb, lambda_, data)
    solver.iterate(steps)
    return solver


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 3), (3, 5, 1), (6, 7, 2)])
@pytest.mark.parametrize("data", ["squares", "absolute"])
def test_primal_dual_equals_dense_matrices(shape, data):
    rgb = np.random.default_rng(1).random(shape)
    expected, _ = dense_primal_dual(rgb, 1.5, data, STEPS)
    np.testing.assert_allclose(primal_dual(rgb, 1.5, data).solution(), expected, atol=1e-12)


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("data", ["squares", "absolute"])
def test_primal_dual_does_not_depend_on_strips(monkeypatch, data, threads):
    rgb = np.random.default_rng(2).random((8 * ITERATIONS_PER_PASS + 5, 7, 3))

    def run(number):
        monkeypatch.setenv("BURNISH_THREADS", str(number))
        solver = primal_dual(rgb, 0.8, data)
        assert len(solver.strip_rows) == number
        return solver.solution(), solver.gap()

    whole, gap = run(1)
    in_strips, gap_in_strips = run(threads)
    np.testing.assert_allclose(in_strips, whole, rtol=0, atol=1e-13)
    assert gap_in_strips == pytest.approx(gap, rel=1e-12)


def test_primal_dual_of_image_with_few_rows_has_one_strip(monkeypatch):
    monkeypatch.setenv("BURNISH_THREADS", "64")
    rgb = np.random.default_rng(3).random((2 * ITERATIONS_PER_PASS + 1, 5, 3))
    expected, _ = dense_primal_dual(rgb, 1.5, "squares", STEPS)
    solver = primal_dual(rgb, 1.5, "squares")
    assert len(solver.strip_rows) == 1
    np.testing.assert_allclose(solver.solution(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (6, 7, 3)])
def test_gap_is_difference_of_energies(shape):
    lambda_ = 1.5
    rgb = np.random.default_rng(4).random(shape)
    u, p = dense_primal_dual(rgb, lambda_, "squares", STEPS)
    gradient = gradient_matrix(*shape[:2])
    channels = shape[2]
    differences = (gradient @ u.reshape(-1, channels)).reshape(p.shape)
    energy = np.sqrt((differences**2).sum(axis=(0, 2))).sum() + lambda_ / 2 * ((u - rgb) ** 2).sum()
    divergence = -gradient.T @ p.reshape(-1, channels)
    photo = rgb.reshape(-1, channels)
    # min over v of <grad v, p> + lambda / 2 |v - f|^2, by completing the square
    dual_energy = -(divergence * photo).sum() - (divergence**2).sum() / (2 * lambda_)
    gap = primal_dual(rgb, lambda_, "squares").gap()
    assert gap == pytest.approx(energy - dual_energy, abs=1e-12)
    assert gap >= 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_primal_dual_uses_at_least_single_precision(dtype):
    rgb = np.random.default_rng(5).random((9, 11, 3)).astype(dtype)
    rgb.flags.writeable = False
    before = rgb.copy()
    image = primal_dual(rgb, 2.0, "squares").solution()
    assert image.dtype == np.result_type(dtype, np.float32)
    expected, _ = dense_primal_dual(rgb.astype(np.float64), 2.0, "squares", STEPS)
    np.testing.assert_allclose(image, expected, atol=2e-6 if dtype != np.float64 else 1e-12)
    np.testing.assert_array_equal(rgb, before)
