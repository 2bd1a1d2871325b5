"""The solver against dense solves, and a direct sparse one on the weights of a real smoother."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from burnish.errors import OperatorError
from burnish.operators import wls_solver as five_point
from burnish.operators.wls_solver import solve


def matrix(mass, right, down):
    """The system as a sparse matrix, put together pair by pair."""
    height, width = mass.shape
    number = np.arange(height * width).reshape(height, width)
    pairs = [(number[:, :-1], number[:, 1:], right[:, :-1]), (number[:-1], number[1:], down[:-1])]
    rows, columns, values = [number.ravel()], [number.ravel()], [mass.ravel()]
    for here, there, weight in pairs:
        p, q, w = here.ravel(), there.ravel(), weight.ravel()
        rows += [p, q, p, q]
        columns += [p, q, q, p]
        values += [w, w, -w, -w]
    parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return scipy.sparse.csc_matrix(parts, shape=(mass.size, mass.size))


def rough_system(shape, seed=0):
    """Weights that jump by factors of thousands from pixel to pixel."""
    rng = np.random.default_rng(seed)
    mass, right, down = np.exp(rng.normal(scale=(2.0, 3.0, 3.0), size=(*shape, 3))).transpose(
        2, 0, 1
    )
    return mass, right, down, rng.normal(size=(3, *shape))


def edges(shape):
    """What weighted least squares make of a picture of flat areas and a few edges."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    picture = 0.2 + 0.5 * ((x - 40) ** 2 + (y - 30) ** 2 < 400) + 0.2 * (x > 60)
    picture += 0.01 * np.random.default_rng(1).normal(size=shape)
    right, down = np.zeros(shape), np.zeros(shape)
    right[:, :-1] = 0.5 / (np.abs(np.diff(picture, axis=1)) ** 1.2 + 1e-4)
    down[:-1] = 0.5 / (np.abs(np.diff(picture, axis=0)) ** 1.2 + 1e-4)
    return np.ones(shape), right, down, picture


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 9), (9, 1), (3, 5), (8, 8), (17, 23), (24, 16), (1, 200)]
)
def test_equals_a_dense_solve(shape):
    mass, right, down, b = rough_system(shape)
    expected = np.linalg.solve(matrix(mass, right, down).toarray(), b.reshape(3, -1).T).T
    x = solve(mass, right, down, b, rtol=1e-10)
    np.testing.assert_allclose(x.reshape(3, -1), expected, atol=1e-7 * np.abs(expected).max())


def test_equals_a_direct_sparse_solve_on_an_edge_aware_system():
    mass, right, down, b = edges((75, 96))
    expected = scipy.sparse.linalg.spsolve(matrix(mass, right, down), b.ravel())
    x = solve(mass, right, down, b, rtol=1e-9)
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-7)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8])
def test_stops_at_the_tolerance_and_not_long_after(tolerance):
    mass, right, down, b = edges((75, 96))
    x = solve(mass, right, down, b, rtol=tolerance)
    residual = np.linalg.norm(b.ravel() - matrix(mass, right, down) @ x.ravel())
    assert 1e-3 * tolerance < residual / np.linalg.norm(b) <= 1.01 * tolerance


def test_multigrid_keeps_the_iterations_few_whatever_the_size(monkeypatch):
    monkeypatch.setattr(five_point, "MAX_ITERATIONS", 40)
    for shape in ((40, 50), (160, 200), (320, 400)):
        assert np.isfinite(solve(*edges(shape), rtol=1e-6)).all()


def test_says_so_when_it_does_not_arrive(monkeypatch):
    monkeypatch.setattr(five_point, "MAX_ITERATIONS", 2)
    with pytest.raises(OperatorError, match="expected a solution within 2 iterations, got none"):
        solve(*edges((75, 96)), rtol=1e-9)


def test_a_start_at_the_solution_stays_there_and_is_left_alone():
    mass, right, down, b = edges((30, 40))
    x = solve(mass, right, down, b, rtol=1e-10)
    before = x.copy()
    np.testing.assert_array_equal(solve(mass, right, down, b, rtol=1e-8, x0=x), before)
    solve(mass, right, down, b[::-1], rtol=1e-8, x0=x)
    np.testing.assert_array_equal(x, before)


def test_channels_do_not_meet():
    mass, right, down, b = rough_system((20, 30))
    together = solve(mass, right, down, b, rtol=1e-10)
    for channel in range(3):
        alone = solve(mass, right, down, b[channel], rtol=1e-10)
        np.testing.assert_allclose(together[channel], alone, atol=1e-8)


def test_zero_in_zero_out():
    mass, right, down, b = rough_system((20, 30))
    b[1] = 0
    x = solve(mass, right, down, b, rtol=1e-6)
    assert (x[1] == 0).all()
    assert np.isfinite(x).all()


def test_mass_may_be_missing_in_places():
    mass, right, down, b = edges((40, 50))
    mass[5:30, 5:40] = 0
    x = solve(mass, right, down, mass * b, rtol=1e-9)
    expected = scipy.sparse.linalg.spsolve(matrix(mass, right, down), (mass * b).ravel())
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-6)


def test_does_not_depend_on_the_threads():
    import numba

    system = rough_system((64, 48))
    every = solve(*system, rtol=1e-8)
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(solve(*system, rtol=1e-8), every)
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
