"""Bilateral guided upsampling: the operator on a shrunk photo, carried to the full one, unlearned.

A bilateral grid of affine colour changes is fitted to the shrunk photo and to what the operator
makes of it, and read at full resolution. After Chen, Adams, Wadhwa and Hasinoff 2016
(https://doi.org/10.1145/2980179.2982423), in the variant that they call global: one sparse
regularised least-squares problem for the whole grid. (Their fast variant fits cell by cell, for a
phone.) Theirs was written in Matlab; this is from the paper's idea, not from their code, and
differences between neighbouring matrices are held small in the same way in all three directions.

python benchmarks/bilateral_guided_upsampling.py --operators multiscale-tone --photos PHOTOS
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from burnish.metrics import mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.training.pairs import resize

Picture = NDArray[np.float32]

LUMINANCE = np.array([0.299, 0.587, 0.114])
COLUMNS = 4
FACTOR = 8
# A cell's side in pixels of the shrunk photo, where nothing else is asked for.
CELL = 4
BINS = 8
SMOOTHNESS = 0.01
# Draws to no change what neither the photo nor a neighbour determines: a grey one's colours.
RIDGE = 1e-7


def upsample(
    low_in: Picture,
    low_out: Picture,
    full_in: Picture,
    *,
    cells: tuple[int, int],
    bins: int = BINS,
    smoothness: float = SMOOTHNESS,
) -> Picture:
    """Do to a photo what was done to its small version.

    Parameters
    ----------
    low_in, low_out : (h, w, 3) float32 RGB, the small photo and what the operator made of it
    full_in : (H, W, 3) float32 RGB in [0, 1]
    cells : rows and columns of the grid, each 2 or more; its first and last lie at the border
    bins : steps of brightness, 2 or more
    smoothness : weight of squared differences between neighbouring matrices, against a pixel's
        squared error, with as many pixels as matrices

    Returns
    -------
    (H, W, 3) float32; may pass 0 and 1

    Examples
    --------
    >>> photo = np.random.default_rng(0).random((64, 96, 3), dtype=np.float32)
    >>> low = photo[::8, ::8]
    >>> result = upsample(low, 0.5 * low + 0.1, photo, cells=(3, 4))
    >>> bool(np.abs(result - (0.5 * photo + 0.1)).max() < 1e-4)
    True
    """
    shape = (*cells, bins)
    return _slice(fit(low_in, low_out, shape, smoothness), full_in)


def approximate(
    run: Callable[[Picture], Picture], photo: Picture, *, factor: int = FACTOR, cell: int = CELL
) -> Picture:
    """Run an operator on a photo shrunk by `factor` a side, and carry it to the photo."""
    small = tuple(max(2, round(side / factor)) for side in photo.shape[:2])
    low = np.ascontiguousarray(resize(photo, small))
    cells = max(2, round(small[0] / cell)), max(2, round(small[1] / cell))
    return upsample(low, np.clip(run(low), 0, 1), photo, cells=cells)


def fit(
    before: Picture, after: Picture, shape: tuple[int, int, int], smoothness: float
) -> NDArray[np.float64]:
    """Fit a grid of matrices by regularised least squares, all of it at once.

    Shape: (h, w, 3) twice, rows x columns x bins -> (rows, columns, bins, 4, 3): each a matrix from
    red, green, blue and one to red, green, blue
    """
    count = int(np.prod(shape))
    pixels = before.reshape(-1, 3).astype(np.float64)
    vertices, weights = _around(before, shape)
    inputs = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
    # A pixel's row: eight vertices' weights times its four inputs.
    values = weights[:, :, None] * inputs[:, None, :]
    columns = COLUMNS * vertices[:, :, None] + np.arange(COLUMNS)
    rows = np.broadcast_to(np.arange(len(pixels))[:, None, None], columns.shape)
    design = scipy.sparse.csr_matrix(
        (values.ravel(), (rows.ravel(), columns.ravel())), (len(pixels), COLUMNS * count)
    )
    # What is fitted is the change: no evidence, no change.
    change = after.reshape(-1, 3).astype(np.float64) - pixels
    differences = scipy.sparse.kron(_differences(shape), scipy.sparse.identity(COLUMNS))
    normal = design.T @ design * (count / len(pixels)) + smoothness * differences
    normal = normal + RIDGE * scipy.sparse.identity(COLUMNS * count)
    right = design.T @ change * (count / len(pixels))
    # Symmetric and positive definite: no pivoting, and the order that suits it.
    factors = scipy.sparse.linalg.splu(
        normal.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    matrices = factors.solve(right).reshape(*shape, COLUMNS, 3)
    matrices[..., :3, :] += np.eye(3)
    return matrices


def _around(
    picture: Picture, shape: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each pixel's eight vertices, as numbers, and their weights, each (pixels, 8)."""
    height, width = picture.shape[:2]
    row, column = np.mgrid[:height, :width] + 0.5
    places = [
        row / height * (shape[0] - 1),
        column / width * (shape[1] - 1),
        np.clip(picture @ LUMINANCE, 0, 1) * (shape[2] - 1),
    ]
    vertices = np.zeros((height * width, 1), np.int64)
    weights = np.ones((height * width, 1))
    for place, count in zip(places, shape, strict=True):
        low = np.minimum(place.ravel().astype(np.int64), count - 2)[:, None]
        share = place.ravel()[:, None] - low
        vertices = np.concatenate([vertices * count + low, vertices * count + low + 1], axis=1)
        weights = np.concatenate([weights * (1 - share), weights * share], axis=1)
    return vertices, weights


def _differences(shape: tuple[int, int, int]) -> scipy.sparse.spmatrix:
    """Return the matrix of the sum of squared differences between neighbours."""
    count = int(np.prod(shape))
    total = scipy.sparse.csr_matrix((count, count))
    numbers = np.arange(count).reshape(shape)
    for axis in range(3):
        first = np.delete(numbers, -1, axis).ravel()
        second = np.delete(numbers, 0, axis).ravel()
        rows = np.arange(len(first))
        ones = np.ones(len(first))
        step = scipy.sparse.csr_matrix(
            (np.r_[-ones, ones], (np.r_[rows, rows], np.r_[first, second])), (len(first), count)
        )
        total = total + step.T @ step
    return total


def _slice(matrices: NDArray[np.float64], picture: Picture) -> Picture:
    result = np.empty(picture.shape, np.float32)
    _apply(matrices.astype(np.float32), np.ascontiguousarray(picture), result)
    return result


@numba.njit(parallel=True, cache=True)
def _apply(matrices, picture, result):
    """Write each pixel changed by the matrix between the eight around it, a row a thread."""
    height, width = picture.shape[:2]
    rows, columns, bins = matrices.shape[:3]
    for row in numba.prange(height):
        y = (row + 0.5) / height * (rows - 1)
        top = min(int(y), rows - 2)
        for column in range(width):
            x = (column + 0.5) / width * (columns - 1)
            left = min(int(x), columns - 2)
            red, green, blue = picture[row, column]
            brightness = 0.299 * red + 0.587 * green + 0.114 * blue
            z = min(max(brightness, 0.0), 1.0) * (bins - 1)
            near = min(int(z), bins - 2)
            for out in range(3):
                total = 0.0
                for j in range(2):
                    for i in range(2):
                        for k in range(2):
                            weight = abs(1 - j - y + top) * abs(1 - i - x + left)
                            weight *= abs(1 - k - z + near)
                            m = matrices[top + j, left + i, near + k]
                            total += weight * (
                                m[0, out] * red + m[1, out] * green + m[2, out] * blue + m[3, out]
                            )
                result[row, column, out] = total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operators", nargs="+", default=["multiscale-tone", "local-laplacian"])
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--factor", type=int, default=FACTOR)
    parser.add_argument("--cell", type=int, default=CELL)
    options = parser.parse_args()
    for name in options.operators:
        run = OPERATORS[name].run
        for path in options.photos:
            photo = Photo.open(path).pixels
            target = np.clip(run(photo), 0, 1)
            result = approximate(run, photo, factor=options.factor, cell=options.cell)
            scores = psnr(mse(photo, target)), psnr(mse(np.clip(result, 0, 1), target))
            print(f"{name:20} {path.stem:16} untouched {scores[0]:5.2f}  {scores[1]:5.2f} dB")


if __name__ == "__main__":
    main()
