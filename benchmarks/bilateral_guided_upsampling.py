"""Bilateral guided upsampling: a baseline without training, from the operator on a reduced photo.

A bilateral grid of affine colour changes is fitted to the reduced photo and the operator's output
for it. The grid is then applied to the full photo. After Chen, Adams, Wadhwa and Hasinoff 2016
(https://doi.org/10.1145/2980179.2982423), in the variant that they call global: one sparse
regularised least-squares problem for the whole grid. Their fast variant, for phones, fits each cell
separately. This implementation follows the paper and not the authors' Matlab code. It penalises
differences between neighbouring matrices equally in all three directions.

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
from burnish.types import Pixels

LUMINANCE = np.array([0.299, 0.587, 0.114])
COLUMNS = 4
FACTOR = 8
# Default side of a cell, in pixels of the reduced photo.
CELL = 4
BINS = 8
SMOOTHNESS = 0.01
# Weight of a penalty on every change. It decides coefficients that the photo leaves open, such as
# those of the colours if the photo is grey.
RIDGE = 1e-7


def upsample(
    low_in: Pixels,
    low_out: Pixels,
    full_in: Pixels,
    *,
    cells: tuple[int, int],
    bins: int = BINS,
    smoothness: float = SMOOTHNESS,
) -> Pixels:
    """Apply to a photo the change that was applied to its reduced version.

    Parameters
    ----------
    low_in, low_out : (h, w, 3) float32 RGB, the reduced photo and the operator's output for it
    full_in : (H, W, 3) float32 RGB in [0, 1]
    cells : rows and columns of the grid, each 2 or more; the outermost ones lie at the border
    bins : number of brightness levels of the grid, 2 or more
    smoothness : weight of the sum of squared differences between neighbouring matrices, relative
        to the mean squared error times the number of matrices

    Returns
    -------
    (H, W, 3) float32; may leave [0, 1]

    Examples
    --------
    >>> photo = np.random.default_rng(0).random((64, 96, 3), dtype=np.float32)
    >>> low = photo[::8, ::8]
    >>> output = upsample(low, 0.5 * low + 0.1, photo, cells=(3, 4))
    >>> bool(np.abs(output - (0.5 * photo + 0.1)).max() < 1e-4)
    True
    """
    shape = (*cells, bins)
    matrices = fit(low_in, low_out, shape, smoothness).astype(np.float32)
    output = np.empty(full_in.shape, np.float32)
    _apply_grid(matrices, np.ascontiguousarray(full_in), output)
    return output


def approximate(
    run: Callable[[Pixels], Pixels], photo: Pixels, *, factor: int = FACTOR, cell: int = CELL
) -> Pixels:
    """Approximate an operator: run it on a photo reduced by `factor`, and upsample the change."""
    low_size = tuple(max(2, round(side / factor)) for side in photo.shape[:2])
    low = np.ascontiguousarray(resize(photo, low_size))
    cells = max(2, round(low_size[0] / cell)), max(2, round(low_size[1] / cell))
    return upsample(low, np.clip(run(low), 0, 1), photo, cells=cells)


def fit(
    before: Pixels, after: Pixels, shape: tuple[int, int, int], smoothness: float
) -> NDArray[np.float64]:
    """Fit all matrices of a grid by regularised least squares.

    Shape: before and after (h, w, 3) -> (rows, columns, bins, 4, 3): matrices from red, green, blue
    and 1 to red, green, blue
    """
    count = int(np.prod(shape))
    pixels = before.reshape(-1, 3).astype(np.float64)
    vertices, weights = _interpolation_weights(before, shape)
    inputs = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1)
    # The row of a pixel has the weights of eight vertices times the pixel's four inputs.
    values = weights[:, :, None] * inputs[:, None, :]
    columns = COLUMNS * vertices[:, :, None] + np.arange(COLUMNS)
    rows = np.broadcast_to(np.arange(len(pixels))[:, None, None], columns.shape)
    design = scipy.sparse.csr_matrix(
        (values.ravel(), (rows.ravel(), columns.ravel())), (len(pixels), COLUMNS * count)
    )
    # The grid describes changes, so that the ridge penalty favours no change.
    change = after.reshape(-1, 3).astype(np.float64) - pixels
    differences = scipy.sparse.kron(_differences(shape), scipy.sparse.identity(COLUMNS))
    normal = design.T @ design * (count / len(pixels)) + smoothness * differences
    normal = normal + RIDGE * scipy.sparse.identity(COLUMNS * count)
    target = design.T @ change * (count / len(pixels))
    # The matrix is symmetric and positive definite, so that no pivoting is needed.
    factors = scipy.sparse.linalg.splu(
        normal.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    matrices = factors.solve(target).reshape(*shape, COLUMNS, 3)
    matrices[..., :3, :] += np.eye(3)
    return matrices


def _interpolation_weights(
    image: Pixels, shape: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the indices and weights of the eight grid vertices around each pixel, (pixels, 8)."""
    height, width = image.shape[:2]
    row, column = np.mgrid[:height, :width] + 0.5
    positions = [
        row / height * (shape[0] - 1),
        column / width * (shape[1] - 1),
        np.clip(image @ LUMINANCE, 0, 1) * (shape[2] - 1),
    ]
    vertices = np.zeros((height * width, 1), np.int64)
    weights = np.ones((height * width, 1))
    for position, count in zip(positions, shape, strict=True):
        low = np.minimum(position.ravel().astype(np.int64), count - 2)[:, None]
        fraction = position.ravel()[:, None] - low
        vertices = np.concatenate([vertices * count + low, vertices * count + low + 1], axis=1)
        weights = np.concatenate([weights * (1 - fraction), weights * fraction], axis=1)
    return vertices, weights


def _differences(shape: tuple[int, int, int]) -> scipy.sparse.spmatrix:
    """Return the matrix of the quadratic form that sums squared differences of neighbours."""
    count = int(np.prod(shape))
    total = scipy.sparse.csr_matrix((count, count))
    indices = np.arange(count).reshape(shape)
    for axis in range(3):
        first = np.delete(indices, -1, axis).ravel()
        second = np.delete(indices, 0, axis).ravel()
        rows = np.arange(len(first))
        ones = np.ones(len(first))
        difference = scipy.sparse.csr_matrix(
            (np.r_[-ones, ones], (np.r_[rows, rows], np.r_[first, second])), (len(first), count)
        )
        total = total + difference.T @ difference
    return total


@numba.njit(parallel=True, cache=True)
def _apply_grid(matrices, image, output):
    """Multiply each pixel by the matrix that is interpolated from the eight vertices around it."""
    height, width = image.shape[:2]
    rows, columns, bins = matrices.shape[:3]
    for row in numba.prange(height):
        y = (row + 0.5) / height * (rows - 1)
        top = min(int(y), rows - 2)
        for column in range(width):
            x = (column + 0.5) / width * (columns - 1)
            left = min(int(x), columns - 2)
            red, green, blue = image[row, column]
            brightness = 0.299 * red + 0.587 * green + 0.114 * blue
            z = min(max(brightness, 0.0), 1.0) * (bins - 1)
            lower = min(int(z), bins - 2)
            for colour in range(3):
                total = 0.0
                for j in range(2):
                    for i in range(2):
                        for k in range(2):
                            weight = abs(1 - j - y + top) * abs(1 - i - x + left)
                            weight *= abs(1 - k - z + lower)
                            m = matrices[top + j, left + i, lower + k]
                            total += weight * (
                                m[0, colour] * red
                                + m[1, colour] * green
                                + m[2, colour] * blue
                                + m[3, colour]
                            )
                output[row, column, colour] = total


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
            output = approximate(run, photo, factor=options.factor, cell=options.cell)
            scores = psnr(mse(photo, target)), psnr(mse(np.clip(output, 0, 1), target))
            print(f"{name:20} {path.stem:16} untouched {scores[0]:5.2f}  {scores[1]:5.2f} dB")


if __name__ == "__main__":
    main()
