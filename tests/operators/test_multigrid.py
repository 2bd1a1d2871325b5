"""The parts of the V-cycle against their definitions as dense matrices."""

import numpy as np
import pytest

from burnish.operators import multigrid
from burnish.operators.multigrid import Matrix, Multigrid


@pytest.fixture(scope="module", autouse=True)
def compiled_kernels():
    """Compile the numba kernels, which takes longer than all tests of this module."""
    Multigrid(random_system((9, 9)), channels=1)(np.ones((1, 9, 9)))


def random_system(shape, seed=0):
    rng = np.random.default_rng(seed)
    C, E, S = np.zeros((3, shape[0] + 2, shape[1] + 2))
    E[1:-1, 1:-2] = np.exp(rng.normal(scale=3, size=(shape[0], shape[1] - 1)))
    S[1:-2, 1:-1] = np.exp(rng.normal(scale=3, size=(shape[0] - 1, shape[1])))
    C[1:-1, 1:-1] = 1 + E[1:-1, 1:-1] + E[1:-1, :-2] + S[1:-1, 1:-1] + S[:-2, 1:-1]
    return Matrix(C, E, S)


def prolongation(weights, shape):
    """Return P as a dense matrix, by interpolating one coarse pixel at a time."""
    coarse_shape = weights.shape[1] - 2, weights.shape[2] - 2
    columns = []
    for index in range(np.prod(coarse_shape)):
        coarse = np.zeros((1, *weights.shape[1:]), np.float32)
        coarse[0, 1:-1, 1:-1].flat[index] = 1
        fine = np.zeros((1, shape[0] + 2, shape[1] + 2), np.float32)
        multigrid._interpolate(coarse, fine, weights)
        columns.append(fine[0, 1:-1, 1:-1].ravel())
    return np.array(columns, np.float64).T


SHAPES = [(9, 11), (8, 11), (9, 10), (12, 8), (1, 14), (15, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_coarse_matrix_equals_galerkin_product(shape):
    fine = random_system(shape)
    weights = multigrid._interpolation_weights(*multigrid._stencil(fine))
    coarse = Matrix(*multigrid._galerkin(*multigrid._stencil(fine), weights))
    P = prolongation(weights, shape)
    expected = P.T @ multigrid._dense(fine) @ P
    np.testing.assert_allclose(multigrid._dense(coarse), expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize("shape", SHAPES)
def test_restriction_is_transpose_of_interpolation(shape):
    fine = random_system(shape)
    weights = multigrid._interpolation_weights(*multigrid._stencil(fine))
    r = np.zeros((1, shape[0] + 2, shape[1] + 2), np.float32)
    r[0, 1:-1, 1:-1] = np.random.default_rng(2).normal(size=shape)
    b = np.zeros((1, *weights.shape[1:]), np.float32)
    multigrid._restrict(r, b, weights)
    expected = prolongation(weights, shape).T @ r[0, 1:-1, 1:-1].ravel()
    np.testing.assert_allclose(b[0, 1:-1, 1:-1].ravel(), expected, atol=1e-5)


def test_interpolation_with_small_mass_keeps_constants():
    fine = random_system((9, 11))
    inner = fine.C[1:-1, 1:-1]
    inner -= 1 - 1e-9
    weights = multigrid._interpolation_weights(*multigrid._stencil(fine))
    np.testing.assert_allclose(prolongation(weights, (9, 11)).sum(axis=1), 1, atol=1e-4)


def test_interpolation_does_not_cross_edges():
    C, E, S = np.zeros((3, 7, 11))
    E[1:-1, 1:-2], S[1:-2, 1:-1] = 100.0, 100.0
    E[:, 4] = 1e-4  # between the fourth column and the fifth
    C[1:-1, 1:-1] = 1e-6 + E[1:-1, 1:-1] + E[1:-1, :-2] + S[1:-1, 1:-1] + S[:-2, 1:-1]
    weights = multigrid._interpolation_weights(*multigrid._stencil(Matrix(C, E, S)))
    P = prolongation(weights, (5, 9)).reshape(5, 9, 3, 5)
    assert P[:, 3, :, 2:].max() < 1e-5  # the fourth column is interpolated from the left only
    np.testing.assert_allclose(P[:, 3, :, :2].sum(axis=(1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 5), (20, 25), (33, 48)])
def test_multigrid_is_symmetric_positive_and_close_to_inverse(shape):
    fine = random_system(shape)
    cycle = Multigrid(fine, channels=1)
    n = shape[0] * shape[1]
    pixels = np.random.default_rng(0).permutation(n)[:40]
    basis = np.zeros((len(pixels), *shape))
    basis.reshape(len(pixels), -1)[np.arange(len(pixels)), pixels] = 1
    inverse = np.array([cycle(e[None])[0].ravel().copy() for e in basis], np.float64)
    block = inverse[:, pixels]
    np.testing.assert_allclose(block, block.T, atol=1e-4 * np.abs(block).max())
    assert np.linalg.eigvalsh((block + block.T) / 2).min() > 0
    exact = np.linalg.inv(multigrid._dense(fine))[pixels]
    assert np.linalg.norm(inverse - exact) < 0.6 * np.linalg.norm(exact)
