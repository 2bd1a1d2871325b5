"""Closed-form matting (Levin, Lischinski, Weiss 2008), used to refine transmissions in dehazing.

The solution t is close to a given plane and in every 3 x 3 window nearly an affine function of the
colours of an image. https://doi.org/10.1109/TPAMI.2007.1177
"""

# Libraries are slower. An image of 1 MP on two cores takes 7 to 11 s here, 47 s with PyMatting's
# Laplacian and incomplete Cholesky preconditioner, and 107 s with PyAMG's smoothed aggregation.

from typing import Any

import numba
import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from burnish.errors import OperatorError
from burnish.operators.kernels import parallel_njit

Array = NDArray[np.float64]

# Weight of staying close to the given transmission (He, Sun, Tang 2011).
LAMBDA = 1e-4
# Regularisation of the windows' covariances, which Levin et al. leave open.
EPSILON = 1e-7
# Distance in px between the nodes of the preconditioner's finest grid.
FINEST_SPACING = 4
# Largest |b - A t| relative to |b|.
TOLERANCE = 1e-4
MAX_ITERATIONS = 5000


def soft_matting(rgb: NDArray[np.floating], transmission: NDArray[np.floating]) -> Array:
    """Solve (L + lambda U) t = lambda t~ for t, (H, W), by conjugate gradients.

    L is the matting Laplacian of `rgb`, (H, W, 3), U the identity and t~ the `transmission`.

    Raises
    ------
    OperatorError : the tolerance is not reached within 5000 iterations

    Notes
    -----
    The matrix is nearly singular, because affine functions of the colours with slowly varying
    coefficients are almost in the kernel of L. `_Preconditioner` covers these functions; without
    it, ten to thirty times as many iterations are needed.
    """
    w = _affinities(np.ascontiguousarray(rgb, np.float64))
    precondition = _Preconditioner(w, rgb)
    t = transmission.astype(np.float64)
    r = LAMBDA * transmission - _multiply(w, t)
    threshold = (TOLERANCE * LAMBDA) ** 2 * _dot(transmission, transmission)
    p, rho = np.zeros_like(t), 1.0
    for _ in range(MAX_ITERATIONS):
        if _dot(r, r) <= threshold:
            return t
        z = precondition(r)
        rho, rho_before = _dot(r, z), rho
        p = z + rho / rho_before * p
        q = _multiply(w, p)
        alpha = rho / _dot(p, q)
        t += alpha * p
        r -= alpha * q
    raise OperatorError(
        "matting", f"not converged after {MAX_ITERATIONS} iterations", "try a smaller photo"
    )


def _dot(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the sum of a * b, without BLAS, whose threads would compete with numba's."""
    return float(np.einsum("ij,ij->", a, b))


# Offsets (dy, dx) from a pixel to the pixels after it that share a 3 x 3 window with it.
_PAIRS = np.array(
    [(0, 1), (0, 2)] + [(dy, dx) for dy in (1, 2) for dx in range(-2, 3)], dtype=np.int64
)


@parallel_njit()
def _affinities(I):  # type: ignore[no-untyped-def]  # noqa: E741 the paper's own name
    """Return w of shape (12, H, W), where w[k, y, x] is -L of (y, x) and its neighbour _PAIRS[k].

    Each window adds (1 + (I_i - mu)' (Sigma + epsilon/9)^-1 (I_j - mu)) / 9 (Levin et al., eq. 12).
    """
    height, width, _ = I.shape
    w = np.zeros((len(_PAIRS), height, width))
    # Windows three rows apart share no pixel, so threads write to different elements.
    for first in range(3):
        for third in numba.prange((height - first) // 3):
            y = first + 3 * third
            d = np.empty((9, 3))
            for x in range(width - 2):
                for i in range(9):
                    d[i] = I[y + i // 3, x + i % 3]
                _whiten(d)
                for i in range(8):
                    for j in range(i + 1, 9):
                        dy, dx = j // 3 - i // 3, j % 3 - i % 3
                        k = dx - 1 if dy == 0 else 5 * dy - 1 + dx
                        dot = d[i, 0] * d[j, 0] + d[i, 1] * d[j, 1] + d[i, 2] * d[j, 2]
                        w[k, y + i // 3, x + i % 3] += (1 + dot) / 9
    return w


@numba.njit(cache=True)
def _whiten(d):  # type: ignore[no-untyped-def]
    """Replace nine colours d by C^-1 (d - mu), with C C' = Sigma + epsilon/9.

    C is the Cholesky factor. Inverting Sigma by its determinant would fail on grey windows, where
    rounding dominates the determinant.
    """
    C = np.zeros((3, 3))
    for a in range(3):
        d[:, a] -= d[:, a].mean()
        C[a, a] = EPSILON / 9
        for b in range(a + 1):
            for i in range(9):
                C[a, b] += d[i, a] * d[i, b] / 9
    for a in range(3):
        for b in range(a):
            for c in range(b):
                C[a, b] -= C[a, c] * C[b, c]
            C[a, b] /= C[b, b]
            C[a, a] -= C[a, b] * C[a, b]
        C[a, a] = np.sqrt(C[a, a])
    for i in range(9):
        for a in range(3):
            for b in range(a):
                d[i, a] -= C[a, b] * d[i, b]
            d[i, a] /= C[a, a]


@parallel_njit()
def _multiply(w, t):  # type: ignore[no-untyped-def]
    """Return (L + lambda U) t, computed from differences so that L of a constant is exactly 0."""
    height, width = t.shape
    result = LAMBDA * t
    for y in numba.prange(height):
        for k in range(len(_PAIRS)):
            dy, dx = _PAIRS[k]
            # a:b are the columns with a neighbour at dx inside the image, c:d those neighbours.
            a, b, c, d = max(0, -dx), width - max(0, dx), max(0, dx), width - max(0, -dx)
            if y + dy < height:
                _add_differences(result[y, a:b], w[k, y, a:b], t[y, a:b], t[y + dy, c:d])
            if y >= dy:
                _add_differences(result[y, c:d], w[k, y - dy, a:b], t[y, c:d], t[y - dy, a:b])
    return result


@numba.njit(cache=True)
def _add_differences(result, w, values, neighbours):  # type: ignore[no-untyped-def]
    for i in range(len(result)):
        result[i] += w[i] * (values[i] - neighbours[i])


class _Preconditioner:
    """Approximate inverse of L + lambda U: a sum of corrections on grids of 4, 8, 16... px.

    On each grid, t is an affine function of the colours, b + a' I, with coefficients interpolated
    linearly between the nodes of the grid. Each node is solved separately (multilevel diagonal
    scaling: Bramble, Pasciak, Xu 1990, https://doi.org/10.1090/S0025-5718-1990-1023042-6). The
    last correction is that of the pixels, by the diagonal.
    """

    def __init__(self, w: Array, rgb: NDArray[np.floating]) -> None:
        height, width, _ = rgb.shape
        self.basis = np.ones((height, width, 4))
        self.basis[..., 1:] = rgb
        self.diagonal = _diagonal(w)
        self.inverses: list[Array] = []
        self.to_coarser: list[Any] = []
        spacing = FINEST_SPACING
        size = ((height - 1) // spacing + 2, (width - 1) // spacing + 2)
        while True:
            blocks = _node_matrices(w, self.basis, size, spacing).reshape(-1, 4, 4)
            # A block is singular if the colours around its node are affinely dependent.
            regularisation = 1e-8 * np.trace(blocks, axis1=1, axis2=2) + 1e-12
            self.inverses.append(np.linalg.inv(blocks + regularisation[:, None, None] * np.eye(4)))
            if max(size) <= 3 or spacing >= 64:
                break
            along_y, along_x = _linear_restriction(size[0]), _linear_restriction(size[1])
            self.to_coarser.append(sparse.kron(along_y, along_x, format="csr"))
            size = along_y.shape[0], along_x.shape[0]
            spacing *= 2

    def __call__(self, r: Array) -> Array:
        """Return the correction z of shape (H, W) for a residual r of the same shape."""
        fields = [_restrict(r, self.basis)]
        for to_coarser in self.to_coarser:
            fields.append(to_coarser @ fields[-1])
        z = np.zeros_like(fields[-1])
        for level in reversed(range(len(fields))):
            if level < len(self.to_coarser):
                z = self.to_coarser[level].T @ z
            z += np.matmul(self.inverses[level], fields[level][..., None])[..., 0]
        result: Array = _interpolate(z, self.basis)
        result += r / self.diagonal
        return result


def _linear_restriction(nodes: int) -> Any:
    """Return the sparse matrix that restricts a line of nodes to every second one."""
    i = np.arange(nodes)
    fraction = i % 2 / 2
    weights, rows = np.r_[1 - fraction, fraction], np.r_[i // 2, i // 2 + 1]
    return sparse.csr_matrix((weights, (rows, np.r_[i, i])), ((nodes - 1) // 2 + 2, nodes))


def _diagonal(w: Array) -> Array:
    diagonal = np.full(w.shape[1:], LAMBDA)
    for (dy, dx), affinity in zip(_PAIRS, w, strict=True):
        # Affinities beyond the border are 0, so that the shift may wrap around.
        diagonal += np.roll(affinity, (dy, dx), axis=(0, 1))
        diagonal += affinity
    return diagonal


@numba.njit(cache=True)
def _hat(y, x, node_y, node_x, spacing):  # type: ignore[no-untyped-def]
    weight_y = max(0.0, 1 - abs(y - node_y) / spacing)
    return weight_y * max(0.0, 1 - abs(x - node_x) / spacing)


@parallel_njit()
def _node_matrices(w, basis, size, spacing):  # type: ignore[no-untyped-def]
    """Return the 4 x 4 block of P' (L + lambda U) P of each node, (rows, columns, 4, 4).

    A block is the sum of lambda t_p t_p' over pixels and w_pq (t_p - t_q)(t_p - t_q)' over pairs.
    """
    height, width, _ = basis.shape
    blocks = np.zeros((size[0], size[1], 4, 4))
    for node in numba.prange(size[0] * size[1]):
        ny, nx = node // size[1] * spacing, node % size[1] * spacing
        block = blocks[node // size[1], node % size[1]]
        difference = np.empty(4)
        for y in range(max(0, ny - spacing - 1), min(height, ny + spacing)):
            for x in range(max(0, nx - spacing - 1), min(width, nx + spacing + 2)):
                hat_p = _hat(y, x, ny, nx, spacing)
                _add_square(block, LAMBDA * hat_p * hat_p, basis[y, x])
                for k in range(len(_PAIRS)):
                    qy, qx = y + _PAIRS[k, 0], x + _PAIRS[k, 1]
                    if qy < height and 0 <= qx < width:
                        hat_q = _hat(qy, qx, ny, nx, spacing)
                        for c in range(4):
                            difference[c] = hat_p * basis[y, x, c] - hat_q * basis[qy, qx, c]
                        _add_square(block, w[k, y, x], difference)
    return blocks


@numba.njit(cache=True)
def _add_square(block, weight, vector):  # type: ignore[no-untyped-def]
    for a in range(4):
        for c in range(4):
            block[a, c] += weight * vector[a] * vector[c]


@parallel_njit()
def _restrict(r, basis):  # type: ignore[no-untyped-def]
    """Return P' r on the finest grid, (nodes, 4)."""
    spacing = FINEST_SPACING
    height, width = r.shape
    rows, columns = (height - 1) // spacing + 2, (width - 1) // spacing + 2
    fields = np.zeros((rows * columns, 4))
    for node in numba.prange(rows * columns):
        ny, nx = node // columns * spacing, node % columns * spacing
        for y in range(max(0, ny - spacing + 1), min(height, ny + spacing)):
            for x in range(max(0, nx - spacing + 1), min(width, nx + spacing)):
                weighted = r[y, x] * _hat(y, x, ny, nx, spacing)
                for c in range(4):
                    fields[node, c] += weighted * basis[y, x, c]
    return fields


@parallel_njit()
def _interpolate(fields, basis):  # type: ignore[no-untyped-def]
    """Return P times `fields`, (H, W)."""
    spacing = FINEST_SPACING
    height, width, _ = basis.shape
    columns = (width - 1) // spacing + 2
    result = np.empty((height, width))
    for y in numba.prange(height):
        first = y // spacing * columns
        fy = y % spacing / spacing
        for x in range(width):
            node, fx = first + x // spacing, x % spacing / spacing
            total = 0.0
            for c in range(4):
                upper = (1 - fx) * fields[node, c] + fx * fields[node + 1, c]
                lower = (1 - fx) * fields[node + columns, c] + fx * fields[node + columns + 1, c]
                total += ((1 - fy) * upper + fy * lower) * basis[y, x, c]
            result[y, x] = total
    return result
