"""GridStudent: predicts a coarse grid of colour changes, and each pixel finds its own in there.

In every cell of the photo, and for every step of a guide (some brightness, as the network learns
it), the grid holds an affine change of colour. What differs in guide may be changed differently, so
edges stay edges, though the grid is coarse.
After HDRnet, Gharbi et al. 2017 (https://doi.org/10.1145/3072959.3073592), on the bilateral grid of
Chen et al. 2007 (https://doi.org/10.1145/1276377.1276506). Theirs has 16 x 16 cells whatever the
photo, this one cells of so many pixels: it looks near, and can be tiled.
"""

from collections.abc import Sequence
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines import bilinear
from burnish.networks.unet_backbone import UNetBackbone
from burnish.params import Param

COLOURS = 3
# Of a matrix: one for each colour of the photo, and what is added.
COLUMNS = COLOURS + 1
_LUMINANCE = (0.299, 0.587, 0.114)


class GridStudent(UNetBackbone):
    """A trunk that fills a bilateral grid, and its slicing by plain operators.

    Parameters
    ----------
    bins : how many matrices a cell has along the guide, 2 or more
    cell : side of the grid's cells, px: a power of two, 4 or more
    block : each cell sees its colours averaged to so many rows and columns
    widths, down, up, sliders, global_context : see `UNetBackbone`

    Shape: see `Network`

    Examples
    --------
    >>> network = GridStudent(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.size_multiple, network.halo, network.macs_per_pixel
    (32, 183, 125)
    """

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        bins: int = 8,
        cell: int = 16,
        block: int = 4,
        sliders: Sequence[Param] = (),
        global_context: bool = False,
    ) -> None:
        inputs, outputs = COLOURS * block**2, COLOURS * COLUMNS * bins
        super().__init__(inputs, outputs, cell, widths, down, up, sliders, global_context)
        # 0 is the first bin, bins - 1 the last. It starts as the brightness. No curves: matrices
        # that differ from bin to bin bend whatever is straight.
        self.guide = nn.Conv2d(COLOURS, 1, 1)
        nn.init.zeros_(self.guide.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.guide.weight[0, :, 0, 0] = torch.tensor(_LUMINANCE) * (bins - 1)
        self.bins = bins
        self.block = block

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        low = F.avg_pool2d(image, self.cell // self.block)
        grid = self.forward_cells(F.pixel_unshuffle(low, self.block), *context)
        return image + slice_grid(grid, self.guide(image), image, self.cell)

    def reads(self, pixel: int) -> tuple[int, int]:
        return bilinear.reads(pixel, self.cell)

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds a pixel, gains and shifts folded, rounded up."""
        return super().macs_per_pixel + COLOURS

    @property
    def activations_per_pixel(self) -> int:  # type: ignore[override]
        """Most values a pixel has at once, rounded up.

        Where slicing needs most, in the second of the matrices' four columns: ramps; sum over
        columns, sum over bins and what is to be added; and what of the grid has not been used.
        """
        unused = self.per_pixel(COLOURS * (3 * self.bins - 1))
        return ceil(max(self.peak_activations(), self.bins - 1 + 3 * COLOURS + unused))


def slice_grid(grid: Tensor, guide: Tensor, image: Tensor, cell: int) -> Tensor:
    """Change each pixel's colours by the matrix that lies in the grid where it does.

    Between cells, and between bins, matrices are interpolated. Along the guide that is a sum of
    ramps: the first bin's matrix, and of what each further bin adds, none before it is in reach and
    all beyond. A column of the matrices at a time, as that needs least memory.

    Shape: grid (N, 4 x bins x 3, h, w): columns for red, green, blue and one; in each, the first
    bin and then each bin's difference from the one before; in each, what goes to red, green, blue.
    guide (N, 1, H, W) in bins, image (N, 3, H, W) -> (N, 3, H, W), with H = cell x h
    """
    parts = torch.split(grid, COLOURS, dim=1)
    bins = len(parts) // COLUMNS
    ramps = [torch.clamp(guide - step, 0, 1) for step in range(bins - 1)]
    result: Tensor | None = None
    for column in range(COLUMNS):
        first, *others = parts[column * bins : (column + 1) * bins]
        total = bilinear.enlarge(first, cell)
        for part, ramp in zip(others, ramps, strict=True):
            total = total + bilinear.enlarge(part, cell) * ramp
        if column < COLOURS:
            total = total * image[:, column : column + 1]
        result = total if result is None else result + total
    assert result is not None
    return result
