"""BilateralGridNet: predicts a bilateral grid of colour matrices, and slices it at each pixel.

For every cell of the image and every bin of a learned guide (a brightness), the grid holds an
affine change of colour. Pixels with different guides can change differently, so that edges stay
sharp though the grid is coarse. The network follows HDRnet, Gharbi et al. 2017
(https://doi.org/10.1145/3072959.3073592), with the bilateral grid of Chen et al. 2007
(https://doi.org/10.1145/1276377.1276506). The grid of HDRnet has 16 x 16 cells for any image. Here
the cells have a fixed size in pixels, so that the receptive field is bounded and tiling is
possible.
"""

from collections.abc import Sequence
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines import bilinear
from burnish.networks.network import COLOURS
from burnish.networks.unet import UNetBackbone
from burnish.params import Param

# The columns of a matrix: one for each colour of the image, and one for the offset.
COLUMNS = COLOURS + 1
_LUMINANCE = (0.299, 0.587, 0.114)


class BilateralGridNet(UNetBackbone):
    """A U-Net that computes a bilateral grid, and its slicing by standard ONNX operators.

    Parameters
    ----------
    bins : the number of matrices of a cell along the guide, 2 or more
    cell : side of the grid's cells, px; a power of two, 4 or more
    block : the input of a cell has this many rows and columns of averaged colours
    widths, down, up, sliders, global_context : see `UNetBackbone`

    Shape: see `Network`

    Examples
    --------
    >>> network = BilateralGridNet(widths=(16, 32), down=(1, 2), up=(1,))
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
        in_channels, out_channels = COLOURS * block**2, COLOURS * COLUMNS * bins
        super().__init__(in_channels, out_channels, cell, widths, down, up, sliders, global_context)
        # The guide starts as the brightness, scaled to 0 to bins - 1. A linear guide is enough,
        # because matrices that differ from bin to bin give any curve.
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

    def source_cells(self, pixel: int) -> tuple[int, int]:
        return bilinear.source_cells(pixel, self.cell)

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds per pixel, with folded gains and shifts, rounded up."""
        return super().macs_per_pixel + COLOURS

    @property
    def peak_activations_per_pixel(self) -> int:  # type: ignore[override]
        """The most values in memory per pixel, rounded up."""
        # Slicing needs the most memory at the second of the four columns: for the ramps, two sums
        # and a summand, and the unused part of the grid.
        unused = self.per_pixel(COLOURS * (3 * self.bins - 1))
        return ceil(max(self.peak_activations(), self.bins - 1 + 3 * COLOURS + unused))


def slice_grid(grid: Tensor, guide: Tensor, image: Tensor, cell: int) -> Tensor:
    """Apply to each pixel the matrix at its position and guide, by trilinear interpolation.

    Along the guide, the interpolation is a sum of ramps over the differences between bins. It is
    done for one column of the matrices at a time, which needs the least memory.

    Shape: grid (N, 4 x bins x 3, h, w), where 4 are the columns for red, green, blue and the
    offset, `bins` are the first bin and the differences from bin to bin, and 3 the output colours.
    guide (N, 1, H, W) in bins, image (N, 3, H, W) -> (N, 3, H, W), with H = cell x h
    """
    matrices = torch.split(grid, COLOURS, dim=1)
    bins = len(matrices) // COLUMNS
    ramps = [torch.clamp(guide - step, 0, 1) for step in range(bins - 1)]
    output: Tensor | None = None
    for column in range(COLUMNS):
        first, *differences = matrices[column * bins : (column + 1) * bins]
        total = bilinear.upsample(first, cell)
        for difference, ramp in zip(differences, ramps, strict=True):
            total = total + bilinear.upsample(difference, cell) * ramp
        if column < COLOURS:
            total = total * image[:, column : column + 1]
        output = total if output is None else output + total
    assert output is not None
    return output
