"""Minimise TV(u) + lambda D(u, f) over pictures u near a photo f, by a primal-dual method.

TV(u) = sum over pixels of |grad u|, the length of all differences of all channels at once
("vectorial" total variation: an edge in three channels at the same place costs less than three
edges apart):

    |grad u| = sqrt(sum_c (u_c[y, x+1] - u_c[y, x])^2 + (u_c[y+1, x] - u_c[y, x])^2)

with differences across the border 0 (Neumann). With a dual picture p, |p| <= 1 at every pixel, it
is max_p <grad u, p>, and the two are found in turn (Chambolle and Pock 2011,
https://doi.org/10.1007/s10851-010-0251-1):

    u_new = prox(u + tau div p)                      the step towards f that D asks for
    p_new = project(p + sigma grad(u_new + theta (u_new - u)))      back onto |p| <= 1

From u = f and p = 0 the first step leaves u where it is, so p moves first, as in the paper.

An iteration is little arithmetic on much memory. So several are made in one pass: the next follows
one row behind the last, while that is still in the cache. Threads work on strips of rows; each
strip keeps copies of its neighbours' nearest rows, as many as a pass has iterations, and renews
them after it. The numbers are the same for any number of strips.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from burnish.operators.threads import thread_count

# Iterations in one pass over memory, and rows that a strip copies from each neighbour.
ITERATIONS_PER_PASS = 8

DataTerm = Literal["squares", "absolute"]


class StepSizes(NamedTuple):
    """What one iteration does: u moves by tau, is extrapolated by theta, p moves by sigma."""

    tau: float
    theta: float
    sigma: float


class PrimalDual:
    """A photo f, and the pair u, p that approaches the saddle point, from u = f and p = 0.

    Parameters
    ----------
    rgb : ndarray of shape (H, W, C), floating; computed in its own precision, single at least
    lambda_ : weight of the data term
    data : "squares" for D = sum (u - f)^2 / 2, "absolute" for D = sum |u - f|, each over pixels and
        channels alike
    """

    def __init__(self, rgb: NDArray[np.floating], lambda_: float, data: DataTerm) -> None:
        height, width, channels = rgb.shape
        strips = max(1, min(thread_count(), height // (2 * ITERATIONS_PER_PASS)))
        self.strip_edges = [height * s // strips for s in range(strips + 1)]
        self.strip_starts = [max(0, edge - ITERATIONS_PER_PASS) for edge in self.strip_edges[:-1]]
        last = [min(height, edge + ITERATIONS_PER_PASS) for edge in self.strip_edges[1:]]
        self.strip_rows = np.subtract(last, self.strip_starts)
        self.lambda_ = lambda_
        self.absolute = data == "absolute"
        # Row by row, a row of every channel after another: long runs to vectorise, near in memory.
        shape = (strips, int(self.strip_rows.max()), channels, width)
        self.f = np.zeros(shape, np.result_type(rgb.dtype, np.float32))
        for s, (start, rows) in enumerate(zip(self.strip_starts, self.strip_rows, strict=True)):
            self.f[s, :rows] = rgb[start : start + rows].transpose(0, 2, 1)
        self.u = self.f.copy()
        self.p = np.zeros((*shape[:2], 2, *shape[2:]), self.f.dtype)  # along x, along y

    def iterate(self, steps: Sequence[StepSizes]) -> None:
        """Make the iterations `steps`, in order."""
        dtype = self.f.dtype.type
        for start in range(0, len(steps), ITERATIONS_PER_PASS):
            pass_steps = np.array(steps[start : start + ITERATIONS_PER_PASS], self.f.dtype)
            _run_pass(
                self.f,
                self.u,
                self.p,
                self.strip_rows,
                pass_steps,
                dtype(self.lambda_),
                self.absolute,
            )
            self._exchange_halos()

    def gap(self) -> float:
        """How far the energy of u may at most lie above the minimum; for data "squares".

        The dual energy of p is that of its own picture f + div(p) / lambda, and what u has more is

            sum (|grad u| - <grad u, p>) + lambda / 2 sum (u - f - div(p) / lambda)^2

        with no term below 0, so rounding cannot hide it.
        """
        sums = np.zeros(self.strip_edges[-1])
        for s, (top, bottom) in enumerate(
            zip(self.strip_edges, self.strip_edges[1:], strict=False)
        ):
            f, u, p = (field[s, : self.strip_rows[s]] for field in (self.f, self.u, self.p))
            core = top - self.strip_starts[s], bottom - self.strip_starts[s]
            _gap(f, u, p, *core, self.f.dtype.type(self.lambda_), sums[top:bottom])
        return float(sums.sum())

    def solution(self) -> NDArray[np.floating]:
        """Return u, shape (H, W, C)."""
        core_strips = [
            self.u[s, top - start : bottom - start]
            for s, (top, bottom, start) in enumerate(
                zip(self.strip_edges, self.strip_edges[1:], self.strip_starts, strict=False)
            )
        ]
        result: NDArray[np.floating] = np.concatenate(core_strips).transpose(0, 2, 1)
        return result

    def _exchange_halos(self) -> None:
        """Give every strip its neighbours' rows as they are now."""
        for s, edge in enumerate(self.strip_edges[1:-1]):
            above, below = edge - self.strip_starts[s], edge - self.strip_starts[s + 1]
            for field in (self.u, self.p):
                field[s, above : above + ITERATIONS_PER_PASS] = field[
                    s + 1, below : below + ITERATIONS_PER_PASS
                ]
                field[s + 1, below - ITERATIONS_PER_PASS : below] = field[
                    s, above - ITERATIONS_PER_PASS : above
                ]


# A division by zero is not an exception here: testing for one would keep the loops from being
# vectorised. Sums are not reordered, so they do not depend on how long a vector is.
_FAST = {"error_model": "numpy", "fastmath": {"contract", "nnan", "ninf"}}


@numba.njit(cache=True, parallel=True)
def _run_pass(f, u, p, rows, steps, lambda_, absolute):  # type: ignore[no-untyped-def]
    for s in numba.prange(len(f)):
        _pass_strip(f[s], u[s], p[s], rows[s], steps, lambda_, absolute)


@numba.njit(cache=True)
def _pass_strip(f, u, p, rows, steps, lambda_, absolute):  # type: ignore[no-untyped-def]
    """Let iteration k work on row r - k: it needs no more than iteration k - 1 has left behind.

    A strip's first and last row are treated as borders. Where they are none, what is wrong moves
    inwards by a row an iteration, and so stays within the copied rows.
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
    """Move u to prox(u + tau div p) in one row, `above` the row of p along y above it."""
    one = u.dtype.type(1)
    pull = tau * lambda_
    keep = one / (one + pull)
    channels, width = u.shape
    for c in range(channels):
        F, U, X, Y, A, E = f[c], u[c], p[0, c], p[1, c], above[c], extrapolated[c]
        for x in range(width):
            # The last column of X is 0, as is the last row of Y: no difference there.
            divergence = X[x] + Y[x] - A[x]
            if x > 0:
                divergence -= X[x - 1]
            v = U[x] + tau * divergence
            new = v - min(max(v - F[x], -pull), pull) if absolute else (v + pull * F[x]) * keep
            E[x] = new + theta * (new - U[x])
            U[x] = new


@numba.njit(cache=True, **_FAST)
def _dual_step(p, u, below, scale, sigma):  # type: ignore[no-untyped-def]
    """Move p to project(p + sigma grad u) in one row, `below` the row of u below it."""
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


@numba.njit(cache=True, parallel=True, **_FAST)
def _gap(f, u, p, top, bottom, lambda_, sums):  # type: ignore[no-untyped-def]
    """Add up the terms of `PrimalDual.gap` in each row from `top` to `bottom`."""
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
