"""Minimise TV(u) + lambda D(u, f) over images u for a photo f, by a primal-dual method.

TV(u) is the sum over pixels of |grad u|, the length of the differences of all channels together
("vectorial" total variation: an edge at the same place in three channels costs less than edges at
three places):

    |grad u| = sqrt(sum_c (u_c[y, x+1] - u_c[y, x])^2 + (u_c[y+1, x] - u_c[y, x])^2)

with differences of 0 across the border (Neumann). It equals max_p <grad u, p> over dual variables p
with |p| <= 1 at every pixel. u and p are updated alternately (Chambolle and Pock 2011,
https://doi.org/10.1007/s10851-010-0251-1):

    u_new = prox(u + tau div p)                                     proximal map of D
    p_new = project(p + sigma grad(u_new + theta (u_new - u)))      projection onto |p| <= 1

From u = f and p = 0 the first step does not change u, so that p is updated first, as in the paper.

An iteration is limited by memory bandwidth, so several run in one pass over memory: each iteration
runs one row behind the previous one, whose output is then still in the cache. Threads work on
strips of rows. Each strip has a halo: rows copied from its neighbours, one for each iteration of a
pass. The halos are updated after each pass. The results do not depend on the number of strips.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from burnish.operators import thread_count
from burnish.operators.kernels import parallel_njit

# Iterations in one pass over memory, and rows in the halo of a strip on either side.
ITERATIONS_PER_PASS = 8

DataTerm = Literal["squares", "absolute"]


class StepSizes(NamedTuple):
    """The step sizes of one iteration: tau for u, sigma for p, and the extrapolation theta."""

    tau: float
    theta: float
    sigma: float


class PrimalDual:
    """Primal-dual iterations for a photo f, starting at u = f and p = 0.

    Parameters
    ----------
    rgb : ndarray f of shape (H, W, C), floating; computed in its own precision, at least single
    lambda_ : weight of the data term D
    data : "squares" for D = sum (u - f)^2 / 2, "absolute" for D = sum |u - f|
    """

    def __init__(self, rgb: NDArray[np.floating], lambda_: float, data: DataTerm) -> None:
        height, width, channels = rgb.shape
        strips = max(1, min(thread_count(), height // (2 * ITERATIONS_PER_PASS)))
        edges = np.arange(strips + 1) * height // strips
        self.strip_edges = edges
        self.strip_starts = np.maximum(edges[:-1] - ITERATIONS_PER_PASS, 0)
        self.strip_rows = np.minimum(edges[1:] + ITERATIONS_PER_PASS, height) - self.strip_starts
        # The rows of each strip without its halo.
        self.cores = [
            slice(top - start, bottom - start)
            for (top, bottom), start in zip(pairwise(edges), self.strip_starts, strict=True)
        ]
        self.lambda_ = lambda_
        self.absolute = data == "absolute"
        # The layout (strip, row, channel, column) gives long runs of memory to vectorise.
        shape = (strips, int(self.strip_rows.max()), channels, width)
        self.f = np.zeros(shape, np.result_type(rgb.dtype, np.float32))
        for s, (start, rows) in enumerate(zip(self.strip_starts, self.strip_rows, strict=True)):
            self.f[s, :rows] = rgb[start : start + rows].transpose(0, 2, 1)
        self.u = self.f.copy()
        self.p = np.zeros((*shape[:2], 2, *shape[2:]), self.f.dtype)  # along x, along y

    def iterate(self, steps: Sequence[StepSizes]) -> None:
        """Run one iteration for each of `steps`."""
        f, lambda_ = self.f, self.f.dtype.type(self.lambda_)
        for start in range(0, len(steps), ITERATIONS_PER_PASS):
            pass_steps = np.array(steps[start : start + ITERATIONS_PER_PASS], f.dtype)
            _run_pass(f, self.u, self.p, self.strip_rows, pass_steps, lambda_, self.absolute)
            self._exchange_halos()

    def gap(self) -> float:
        """Return the primal-dual gap, which bounds the energy of u minus the minimum.

        For data "squares" it is a sum of terms that are not negative:

            sum (|grad u| - <grad u, p>) + lambda / 2 sum (u - f - div(p) / lambda)^2
        """
        sums = np.zeros(self.strip_edges[-1])
        lambda_ = self.f.dtype.type(self.lambda_)
        for s, (top, bottom) in enumerate(pairwise(self.strip_edges)):
            f, u, p = (field[s, : self.strip_rows[s]] for field in (self.f, self.u, self.p))
            core = self.cores[s]
            _gap(f, u, p, core.start, core.stop, lambda_, sums[top:bottom])
        return float(sums.sum())

    def solution(self) -> NDArray[np.floating]:
        """Return u, (H, W, C)."""
        strips = [u[core] for u, core in zip(self.u, self.cores, strict=True)]
        return np.concatenate(strips).transpose(0, 2, 1)

    def _exchange_halos(self) -> None:
        """Update the halo of every strip from its neighbours."""
        halo = ITERATIONS_PER_PASS
        for s, (above, below) in enumerate(pairwise(self.cores)):
            for field in (self.u, self.p):
                upper, lower = field[s], field[s + 1]
                upper[above.stop : above.stop + halo] = lower[below.start : below.start + halo]
                lower[below.start - halo : below.start] = upper[above.stop - halo : above.stop]


# The numpy error model omits checks for division by zero, which would prevent vectorisation. These
# flags do not allow reordering of sums, so the results do not depend on the vector length.
_FAST = {"error_model": "numpy", "fastmath": {"contract", "nnan", "ninf"}}


@parallel_njit()
def _run_pass(f, u, p, rows, steps, lambda_, absolute):  # type: ignore[no-untyped-def]
    for s in numba.prange(len(f)):
        _pass_strip(f[s], u[s], p[s], rows[s], steps, lambda_, absolute)


@numba.njit(cache=True)
def _pass_strip(f, u, p, rows, steps, lambda_, absolute):  # type: ignore[no-untyped-def]
    """Run the iterations, where iteration k works on row r - k after iteration k - 1 has passed it.

    The first and last row of a strip are treated as borders of the image. If they are not, the
    error moves inwards by one row an iteration, and therefore stays within the halo.
    """
    channels, width = f.shape[1:]
    extrapolated = np.empty((len(steps), 2, channels, width), f.dtype)
    scale = np.empty(width, f.dtype)
    zeros = np.zeros((channels, width), f.dtype)
    for r in range(rows + len(steps)):
        for k in range(len(steps)):
            y = r - k
            tau, theta, sigma = steps[k, 0], steps[k, 1], steps[k, 2]
            here, before = extrapolated[k, y % 2], extrapolated[k, (y - 1) % 2]
            if 0 <= y < rows:
                above = p[y - 1, 1] if y > 0 else zeros
                _primal_step(f[y], u[y], p[y], above, here, tau, theta, lambda_, absolute)
            if 0 < y <= rows:
                _dual_step(p[y - 1], before, here if y < rows else before, scale, sigma)


@numba.njit(cache=True, **_FAST)
def _primal_step(f, u, p, above, extrapolated, tau, theta, lambda_, absolute):  # type: ignore[no-untyped-def]
    """Update u to prox(u + tau div p) in one row; `above` is p along y in the row above."""
    one = u.dtype.type(1)
    weight = tau * lambda_
    scale = one / (one + weight)
    channels, width = u.shape
    for c in range(channels):
        F, U, X, Y, A, E = f[c], u[c], p[0, c], p[1, c], above[c], extrapolated[c]
        for x in range(width):
            # The last column of X and the last row of Y are 0.
            divergence = X[x] + Y[x] - A[x]
            if x > 0:
                divergence -= X[x - 1]
            v = U[x] + tau * divergence
            new = (
                v - min(max(v - F[x], -weight), weight) if absolute else (v + weight * F[x]) * scale
            )
            E[x] = new + theta * (new - U[x])
            U[x] = new


@numba.njit(cache=True, **_FAST)
def _dual_step(p, u, below, scale, sigma):  # type: ignore[no-untyped-def]
    """Update p to project(p + sigma grad u) in one row; `below` is the next row of u."""
    one = scale.dtype.type(1)
    channels, width = u.shape
    scale[:] = 0
    for c in range(channels):
        U, B, X, Y = u[c], below[c], p[0, c], p[1, c]
        for x in range(width - 1):
            X[x] += sigma * (U[x + 1] - U[x])
            scale[x] += X[x] * X[x]
        for x in range(width):
            Y[x] += sigma * (B[x] - U[x])
            scale[x] += Y[x] * Y[x]
    for x in range(width):
        scale[x] = one / np.sqrt(max(scale[x], one))
    for c in range(channels):
        X, Y = p[0, c], p[1, c]
        for x in range(width):
            X[x] *= scale[x]
            Y[x] *= scale[x]


@parallel_njit(**_FAST)
def _gap(f, u, p, top, bottom, lambda_, sums):  # type: ignore[no-untyped-def]
    """Write the sums of the terms of `PrimalDual.gap` in the rows from `top` to `bottom`."""
    zeros = np.zeros_like(f[0])
    for y in numba.prange(top, bottom):
        above = p[y - 1, 1] if y > 0 else zeros
        below = u[y + 1] if y + 1 < len(u) else u[y]
        sums[y - top] = _gap_row(f[y], u[y], p[y], above, below, lambda_)


@numba.njit(cache=True, **_FAST)
def _gap_row(f, u, p, above, below, lambda_):  # type: ignore[no-untyped-def]
    one = u.dtype.type(1)
    half, inverse = lambda_ / (one + one), one / lambda_
    channels, width = u.shape
    terms, squares = np.zeros(width, u.dtype), np.zeros(width, u.dtype)
    for c in range(channels):
        F, U, B, X, Y, A = f[c], u[c], below[c], p[0, c], p[1, c], above[c]
        for x in range(width - 1):
            right = U[x + 1] - U[x]
            squares[x] += right * right
            terms[x] -= right * X[x]
        for x in range(width):
            down = B[x] - U[x]
            squares[x] += down * down
            terms[x] -= down * Y[x]
        for x in range(width):
            divergence = X[x] + Y[x] - A[x]
            if x > 0:
                divergence -= X[x - 1]
            residual = U[x] - F[x] - inverse * divergence
            terms[x] += half * residual * residual
    total = 0.0
    for x in range(width):
        total += terms[x] + np.sqrt(squares[x])
    return total
