"""A multigrid V-cycle for a matrix with a stencil of nine points on the pixel grid.

The method is "black box multigrid" (Dendy 1982, https://doi.org/10.1016/0021-9991(82)90057-2). A
coarse grid has every second pixel of every second row. The pixels between are interpolated with
weights from the matrix, so that only strongly coupled pixels are averaged. The coarse matrix is
P'AP for the interpolation P. The cycle is symmetric, as conjugate gradients require of a
preconditioner, and runs in single precision.

Arrays have a ring of zeros, so that loops need no checks at the border. A matrix is stored as its
diagonal C and the couplings E, S, SE, SW of each pixel with the four neighbours that follow it,
which are the negated off-diagonal elements. The other four couplings follow by symmetry.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from burnish.operators.kernels import parallel_njit

# Number of unknowns up to which a grid is solved by its dense inverse.
COARSEST = 64


class Matrix(NamedTuple):
    """Five planes of shape (H + 2, W + 2); SE and SW are None for a stencil of five points."""

    C: NDArray[Any]
    E: NDArray[Any]
    S: NDArray[Any]
    SE: NDArray[Any] | None = None
    SW: NDArray[Any] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the grid, without the ring."""
        return self.C.shape[0] - 2, self.C.shape[1] - 2


class Multigrid:
    """V-cycle for a matrix A: `Multigrid(A)(r)` approximates the solution z of A z = r.

    Parameters
    ----------
    finest : the matrix, symmetric and positive definite, in double precision
    channels : number of right-hand sides
    """

    def __init__(self, finest: Matrix, channels: int) -> None:
        self.levels: list[_Level] = []
        matrix = finest
        while np.prod(matrix.size) > COARSEST:
            weights = _interpolation_weights(*_stencil(matrix))
            self.levels.append(_Level(matrix, weights, channels))
            matrix = Matrix(*_galerkin(*_stencil(matrix), weights))
        self.coarsest = np.linalg.inv(_dense(matrix)).astype(np.float32)
        self.x = np.zeros((channels, *matrix.C.shape), np.float32)
        self.b = np.zeros_like(self.x)

    def __call__(self, r: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return z of shape (C, H, W) for r of the same shape."""
        grids: list[Any] = [*self.levels, self]
        grids[0].b[:, 1:-1, 1:-1] = r
        for fine, coarse in zip(self.levels, grids[1:], strict=True):
            fine.x[...] = 0
            _gauss_seidel(fine.x, fine.b, fine.inverse, *fine.planes[1:], False)
            _residual(fine.x, fine.b, fine.r, *fine.planes)
            _restrict(fine.r, coarse.b, fine.weights)
        inner = self.b[:, 1:-1, 1:-1]
        solved = inner.reshape(len(inner), -1) @ self.coarsest
        self.x[:, 1:-1, 1:-1] = solved.reshape(inner.shape)
        for fine, coarse in zip(self.levels[::-1], grids[:0:-1], strict=True):
            _interpolate(coarse.x, fine.x, fine.weights)
            _gauss_seidel(fine.x, fine.b, fine.inverse, *fine.planes[1:], True)
        z: NDArray[np.float32] = grids[0].x[:, 1:-1, 1:-1]
        return z


class _Level:
    """The matrix, interpolation weights and work arrays of one grid, in single precision."""

    def __init__(self, matrix: Matrix, weights: NDArray[np.float32], channels: int) -> None:
        self.planes = [None if plane is None else plane.astype(np.float32) for plane in matrix]
        self.inverse = np.zeros(matrix.C.shape, np.float32)
        self.inverse[1:-1, 1:-1] = 1 / matrix.C[1:-1, 1:-1]
        self.weights = weights
        self.x = np.zeros((channels, *matrix.C.shape), np.float32)
        self.b, self.r = np.zeros_like(self.x), np.zeros_like(self.x)


def _stencil(matrix: Matrix) -> tuple[NDArray[Any], ...]:
    return tuple(np.zeros_like(matrix.C) if plane is None else plane for plane in matrix)


def _dense(matrix: Matrix) -> NDArray[np.float64]:
    height, width = matrix.size
    C, E, S, SE, SW = _stencil(matrix)
    # Unknown numbers with a ring, where 0 stands for no pixel.
    number = np.zeros(C.shape, np.intp)
    number[1:-1, 1:-1] = 1 + np.arange(height * width).reshape(height, width)
    dense = np.diag(np.r_[0, C[1:-1, 1:-1].ravel()])
    for plane, dy, dx in ((E, 0, 1), (S, 1, 0), (SE, 1, 1), (SW, 1, -1)):
        neighbour = np.roll(number, (-dy, -dx), axis=(0, 1))
        dense[number, neighbour] = dense[neighbour, number] = -plane
    return dense[1:, 1:]


@parallel_njit()
def _gauss_seidel(x, b, inverse, E, S, SE, SW, backward):  # type: ignore[no-untyped-def]
    """Smooth the error by Gauss-Seidel, first in rows of one parity, then of the other.

    Rows of one parity are not coupled, so threads can process them in parallel.
    """
    channels, height, width = x.shape
    for half_sweep in range(2):
        parity = 1 - half_sweep if backward else half_sweep
        for k in numba.prange((height - 1 - parity) // 2):
            y = 2 * k + 1 + parity
            t = np.empty(width, np.float32)
            for c in range(channels):
                above, here, below = x[c, y - 1], x[c, y], x[c, y + 1]
                for i in range(1, width - 1):
                    t[i] = b[c, y, i] + S[y - 1, i] * above[i] + S[y, i] * below[i]
                if SE is not None:
                    for i in range(1, width - 1):
                        t[i] += SE[y - 1, i - 1] * above[i - 1] + SE[y, i] * below[i + 1]
                        t[i] += SW[y - 1, i + 1] * above[i + 1] + SW[y, i] * below[i - 1]
                if backward:
                    for i in range(width - 2, 0, -1):
                        t[i] += E[y, i - 1] * here[i - 1] + E[y, i] * here[i + 1]
                        here[i] = t[i] * inverse[y, i]
                else:
                    for i in range(1, width - 1):
                        t[i] += E[y, i - 1] * here[i - 1] + E[y, i] * here[i + 1]
                        here[i] = t[i] * inverse[y, i]


@parallel_njit()
def _residual(x, b, r, C, E, S, SE, SW):  # type: ignore[no-untyped-def]
    """Write r = b - A x."""
    channels, height, width = x.shape
    for y in numba.prange(1, height - 1):
        for c in range(channels):
            above, here, below, t = x[c, y - 1], x[c, y], x[c, y + 1], r[c, y]
            for i in range(1, width - 1):
                t[i] = (
                    b[c, y, i]
                    - C[y, i] * here[i]
                    + E[y, i - 1] * here[i - 1]
                    + E[y, i] * here[i + 1]
                    + S[y - 1, i] * above[i]
                    + S[y, i] * below[i]
                )
            if SE is not None:
                for i in range(1, width - 1):
                    t[i] += SE[y - 1, i - 1] * above[i - 1] + SE[y, i] * below[i + 1]
                    t[i] += SW[y - 1, i + 1] * above[i + 1] + SW[y, i] * below[i - 1]


# The interpolation weights of a fine pixel are stored at the coarse pixel to its upper left.
# Weights 0 and 1 belong to the fine pixel to the right of the coarse one (from the left, from the
# right), 2 and 3 to the one below (from above, from below), and 4 to 7 to the one diagonally below
# (from upper left, upper right, lower left, lower right).


@parallel_njit()
def _interpolation_weights(C, E, S, SE, SW):  # type: ignore[no-untyped-def]
    """Return the weights of P, (8, coarse H + 2, coarse W + 2)."""
    height, width = C.shape[0] - 2, C.shape[1] - 2
    coarse_height, coarse_width = (height + 1) // 2, (width + 1) // 2
    P = np.zeros((8, coarse_height + 2, coarse_width + 2), np.float32)
    for Y in numba.prange(coarse_height):
        y = 2 * Y + 1
        for X in range(coarse_width):
            x = 2 * X + 1
            has_right, has_below = x + 1 <= width, y + 1 <= height
            if has_right:
                # Between two coarse pixels of a row: sum the stencil over its columns.
                i = x + 1
                before = E[y, i - 1] + SE[y - 1, i - 1] + SW[y, i]
                after = E[y, i] + SW[y - 1, i + 1] + SE[y, i]
                P[0, Y + 1, X + 1], P[1, Y + 1, X + 1] = _normalised_weights(
                    before, after, C[y, i] - S[y - 1, i] - S[y, i]
                )
            if has_below:
                j = y + 1
                before = S[j - 1, x] + SE[j - 1, x - 1] + SW[j - 1, x + 1]
                after = S[j, x] + SE[j, x] + SW[j, x]
                P[2, Y + 1, X + 1], P[3, Y + 1, X + 1] = _normalised_weights(
                    before, after, C[j, x] - E[j, x - 1] - E[j, x]
                )
    for Y in numba.prange(coarse_height):
        y = 2 * Y + 2
        for X in range(coarse_width):
            x = 2 * X + 2
            if x <= width and y <= height:
                # Between four coarse pixels: solve the pixel's own equation.
                north, south, west, east = S[y - 1, x], S[y, x], E[y, x - 1], E[y, x]
                right, below = P[:, Y + 1, X + 2], P[:, Y + 2, X + 1]
                here = P[:, Y + 1, X + 1]
                here[4] = (SE[y - 1, x - 1] + north * here[0] + west * here[2]) / C[y, x]
                here[5] = (SW[y - 1, x + 1] + north * here[1] + east * right[2]) / C[y, x]
                here[6] = (SW[y, x] + south * below[0] + west * here[3]) / C[y, x]
                here[7] = (SE[y, x] + south * below[1] + east * right[3]) / C[y, x]
    return P


@numba.njit(cache=True)
def _normalised_weights(before, after, total):  # type: ignore[no-untyped-def]
    if total <= 0:  # negative couplings: weight both neighbours equally
        return 0.5, 0.5
    return before / total, after / total


@numba.njit(cache=True)
def _prolongation_column(P, Y, X, column):  # type: ignore[no-untyped-def]
    """Write a column of P, the 3 x 3 weights of coarse pixel (Y, X), indexed without the ring."""
    left, up, up_left = P[:, Y + 1, X], P[:, Y, X + 1], P[:, Y, X]
    here = P[:, Y + 1, X + 1]
    column[0, 0], column[0, 1], column[0, 2] = up_left[7], up[3], up[6]
    column[1, 0], column[1, 1], column[1, 2] = left[1], 1, here[0]
    column[2, 0], column[2, 1], column[2, 2] = left[5], here[2], here[4]


@parallel_njit()
def _galerkin(C, E, S, SE, SW, P):  # type: ignore[no-untyped-def]
    """Return the five planes of P' A P."""
    height, width = C.shape[0] - 2, C.shape[1] - 2
    coarse_height, coarse_width = P.shape[1] - 2, P.shape[2] - 2
    planes = np.zeros((5, coarse_height + 2, coarse_width + 2))
    for Y in numba.prange(coarse_height):
        column, image = np.zeros((3, 3)), np.zeros((7, 7))
        for X in range(coarse_width):
            # image = A (column of P), centred at [3, 3].
            _prolongation_column(P, Y, X, column)
            image[...] = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    value = column[dy + 1, dx + 1]
                    y, x = 2 * Y + 1 + dy, 2 * X + 1 + dx
                    if value == 0 or y < 1 or x < 1 or y > height or x > width:
                        continue
                    j, i = 3 + dy, 3 + dx
                    image[j, i] += C[y, x] * value
                    image[j, i + 1] -= E[y, x] * value
                    image[j, i - 1] -= E[y, x - 1] * value
                    image[j + 1, i] -= S[y, x] * value
                    image[j - 1, i] -= S[y - 1, x] * value
                    image[j + 1, i + 1] -= SE[y, x] * value
                    image[j - 1, i - 1] -= SE[y - 1, x - 1] * value
                    image[j + 1, i - 1] -= SW[y, x] * value
                    image[j - 1, i + 1] -= SW[y - 1, x + 1] * value
            for number, (dY, dX) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))):
                if Y + dY >= coarse_height or X + dX >= coarse_width or X + dX < 0:
                    continue
                _prolongation_column(P, Y + dY, X + dX, column)
                value = 0.0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        j, i = 3 + 2 * dY + dy, 3 + 2 * dX + dx
                        if 0 <= i < 7 and j < 7:
                            value += image[j, i] * column[dy + 1, dx + 1]
                planes[number, Y + 1, X + 1] = value if number == 0 else -value
    return planes


@parallel_njit()
def _restrict(r, b, P):  # type: ignore[no-untyped-def]
    """Write b = P' r."""
    channels, height, width = b.shape
    for Y in numba.prange(1, height - 1):
        y = 2 * Y - 1
        for c in range(channels):
            above, here, below = r[c, y - 1], r[c, y], r[c, y + 1]
            for X in range(1, width - 1):
                x = 2 * X - 1
                b[c, Y, X] = (
                    here[x]
                    + P[0, Y, X] * here[x + 1]
                    + P[1, Y, X - 1] * here[x - 1]
                    + P[2, Y, X] * below[x]
                    + P[3, Y - 1, X] * above[x]
                    + P[4, Y, X] * below[x + 1]
                    + P[5, Y, X - 1] * below[x - 1]
                    + P[6, Y - 1, X] * above[x + 1]
                    + P[7, Y - 1, X - 1] * above[x - 1]
                )


@parallel_njit()
def _interpolate(coarse, x, P):  # type: ignore[no-untyped-def]
    """Update x to x + P coarse."""
    channels, height, width = coarse.shape
    for Y in numba.prange(1, height - 1):
        y = 2 * Y - 1
        for c in range(channels):
            here, below = coarse[c, Y], coarse[c, Y + 1]
            for X in range(1, width - 1):
                i = 2 * X - 1
                x[c, y, i] += here[X]
                x[c, y, i + 1] += P[0, Y, X] * here[X] + P[1, Y, X] * here[X + 1]
                x[c, y + 1, i] += P[2, Y, X] * here[X] + P[3, Y, X] * below[X]
                x[c, y + 1, i + 1] += (
                    P[4, Y, X] * here[X]
                    + P[5, Y, X] * here[X + 1]
                    + P[6, Y, X] * below[X]
                    + P[7, Y, X] * below[X + 1]
                )
