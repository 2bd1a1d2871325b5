"""Bilinear interpolation from coarse cells to pixels. The value of a cell lies at its centre."""

import torch.nn.functional as F
from torch import Tensor


def upsample(cells: Tensor, factor: int) -> Tensor:
    """Upsample by interpolation; the outermost cells are extended.

    For a power of two, positions and weights are exact in float32, wherever a tile lies.

    Shape: (N, C, h, w) -> (N, C, factor h, factor w)

    Examples
    --------
    >>> import torch
    >>> upsample(torch.tensor([[[[0.0, 4.0]]]]), 2)[0, 0, 0]
    tensor([0., 1., 3., 4.])
    """
    return F.interpolate(cells, scale_factor=float(factor), mode="bilinear", align_corners=False)


def source_cells(pixel: int, factor: int) -> tuple[int, int]:
    """Return the first and last cell that a pixel is interpolated from.

    Examples
    --------
    >>> source_cells(3, factor=8), source_cells(4, factor=8)
    ((-1, 0), (0, 1))
    """
    position, spacing = 2 * pixel + 1 - factor, 2 * factor
    return position // spacing, -(-position // spacing)
