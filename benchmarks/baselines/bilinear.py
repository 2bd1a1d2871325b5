"""Between coarse cells and pixels, by straight lines: what a cell holds stands at its middle."""

import torch.nn.functional as F
from torch import Tensor


def enlarge(cells: Tensor, side: int) -> Tensor:
    """Interpolate to `side` times as many rows and columns; the outermost cells continue.

    With a power of two, places and weights are exact in float32, wherever in a picture a tile lies.

    Shape: (N, C, h, w) -> (N, C, side h, side w)

    Examples
    --------
    >>> import torch
    >>> enlarge(torch.tensor([[[[0.0, 4.0]]]]), 2)[0, 0, 0]
    tensor([0., 1., 3., 4.])
    """
    return F.interpolate(cells, scale_factor=float(side), mode="bilinear", align_corners=False)


def reads(pixel: int, side: int) -> tuple[int, int]:
    """Return the first and last cell that a pixel is interpolated from.

    Examples
    --------
    >>> reads(3, side=8), reads(4, side=8)
    ((-1, 0), (0, 1))
    """
    place, unit = 2 * pixel + 1 - side, 2 * side
    return place // unit, -(-place // unit)
