"""The solver against dense solves, and against a sparse solve with edge-aware weights."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from burnish.errors import OperatorError
from burnish.operators import wls_solver
from burnish.operators.wls_solver import solve


def sparse_matrix(mass, right, down):
    """Return the system as a sparse matrix, assembled pair by pair."""
    height, width = mass.shape
    number = np.arange(height * width).reshape(height, width)
    pairs = [(number[:, :-1], number[:, 1:], right[:, :-1]), (number[:-1], number[1:], down[:-1])]
    rows, columns, values = [number.ravel()], [number.ravel()], [mass.ravel()]
    for first, second, weight in pairs:
        p, q, w = first.ravel(), second.ravel(), weight.ravel()
        rows += [p, q, p, q]
        columns += [p, q, q, p]
        values += [w, w, -w, -w]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csc_matrix(entries, shape=(mass.size, mass.size))


def rough_system(shape, seed=0):
    """Return a system with weights that vary by factors of thousands between neighbours."""
    rng = np.random.default_rng(seed)
    mass, right, down = np.exp(rng.normal(scale=(2.0, 3.0, 3.0), size=(*shape, 3))).transpose(
        2, 0, 1
    )
    return mass, right, down, rng.normal(size=(3, *shape))


def edge_aware_system(shape):
    """Return the system of weighted least squares for an image of flat areas and edges."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 0.2 + 0.5 * ((x - 40) ** 2 + (y - 30) ** 2 < 400) + 0.2 * (x > 60)
    image += 0.01 * np.random.default_rng(1).normal(size=shape)
    right, down = np.zeros(shape), np.zeros(shape)
    right[:, :-1] = 0.5 / (np.abs(np.diff(image, axis=1)) ** 1.2 + 1e-4)
    down[:-1] = 0.5 / (np.abs(np.diff(image, axis=0)) ** 1.2 + 1e-4)
    return np.ones(shape), right, down, image


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (17, 23), (24, 16), (1, 200)]
)
def test_solve_equals_dense_solve(shape):
    mass, right, down, b = rough_system(shape)
    expected = np.linalg.solve(sparse_matrix(mass, right, down).toarray(), b.reshape(3, -1).T).T
    x = solve(mass, right, down, b, rtol=1e-10)
    np.testing.assert_allclose(x.reshape(3, -1), expected, atol=1e-7 * np.abs(expected).max())


def test_solve_of_edge_aware_system_equals_sparse_solve():
    mass, right, down, b = edge_aware_system((75, 96))
    expected = scipy.sparse.linalg.spsolve(sparse_matrix(mass, right, down), b.ravel())
    x = solve(mass, right, down, b, rtol=1e-9)
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-7)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8])
def test_solve_reaches_rtol_and_not_much_more(tolerance):
    mass, right, down, b = edge_aware_system((75, 96))
    x = solve(mass, right, down, b, rtol=tolerance)
    residual = np.linalg.norm(b.ravel() - sparse_matrix(mass, right, down) @ x.ravel())
    assert 1e-3 * tolerance < residual / np.linalg.norm(b) <= 1.01 * tolerance


def test_solve_needs_few_iterations_at_any_size(monkeypatch):
    monkeypatch.setattr(wls_solver, "MAX_ITERATIONS", 40)
    for shape in ((40, 50), (160, 200), (320, 400)):
        assert np.isfinite(solve(*edge_aware_system(shape), rtol=1e-6)).all()


def test_solve_without_convergence_raises(monkeypatch):
    monkeypatch.setattr(wls_solver, "MAX_ITERATIONS", 2)
    with pytest.raises(OperatorError, match="not converged after 2"):
        solve(*edge_aware_system((75, 96)), rtol=1e-9)


def test_solve_from_solution_returns_it_and_keeps_x0():
    mass, right, down, b = edge_aware_system((30, 40))
    x = solve(mass, right, down, b, rtol=1e-10)
    before = x.copy()
    np.testing.assert_array_equal(solve(mass, right, down, b, rtol=1e-8, x0=x), before)
    solve(mass, right, down, b[::-1], rtol=1e-8, x0=x)
    np.testing.assert_array_equal(x, before)


def test_solve_treats_channels_separately():
    mass, right, down, b = rough_system((20, 30))
    all_channels = solve(mass, right, down, b, rtol=1e-10)
    for channel in range(3):
        single = solve(mass, right, down, b[channel], rtol=1e-10)
        np.testing.assert_allclose(all_channels[channel], single, atol=1e-8)


def test_solve_of_zero_is_zero():
    mass, right, down, b = rough_system((20, 30))
    b[1] = 0
    x = solve(mass, right, down, b, rtol=1e-6)
    assert (x[1] == 0).all()
    assert np.isfinite(x).all()


def test_solve_with_partly_zero_mass_equals_dense_solve():
    mass, right, down, b = edge_aware_system((40, 50))
    mass[5:30, 5:40] = 0
    x = solve(mass, right, down, mass * b, rtol=1e-9)
    expected = scipy.sparse.linalg.spsolve(sparse_matrix(mass, right, down), (mass * b).ravel())
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-6)


def test_solve_does_not_depend_on_threads():
    import numba

    system = rough_system((64, 48))
    expected = solve(*system, rtol=1e-8)
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(solve(*system, rtol=1e-8), expected)
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
