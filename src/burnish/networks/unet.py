"""UNet: the students that ship, U-shaped networks that run at half resolution and below.

A photo at half resolution, each 2 x 2 block in the channels, costs a quarter of the convolutions
and loses nothing. Coarser levels see far for little. What comes out is a gain and an offset for
every pixel and colour: detail need not pass through the layers to be kept, strengthened or taken
away. Both are changes to an identity path, so that a network which has learnt nothing does no harm.
Space to depth, and back, as in Shi et al. 2016 (https://doi.org/10.1109/CVPR.2016.207).
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from burnish.networks.unet_backbone import UNetBackbone
from burnish.params import Param

COLOURS = 3


class UNet(UNetBackbone):
    """A trunk on space-to-depth features that gives each pixel's gain and offset.

    Parameters
    ----------
    factor : the side of the blocks that go into channels, px
    widths, down, up, sliders, global_context : see `UNetBackbone`
    grey : whether the result is grey: the mean of its three colours in each

    Shape: see `Network`

    Examples
    --------
    >>> network = UNet(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.multiple, network.halo, network.macs_per_pixel
    (4, 21, 3920)
    """

    mean: Tensor

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        factor: int = 2,
        sliders: Sequence[Param] = (),
        global_context: bool = False,
        grey: bool = False,
    ) -> None:
        block_channels = COLOURS * factor**2
        super().__init__(
            block_channels, 2 * block_channels, factor, widths, down, up, sliders, global_context
        )
        self.grey = grey
        # Of the colours at each place in a block. Behind the spread blocks it would be fewer
        # multiply-adds, but at full resolution, where moving pixels takes longer than that.
        mean = torch.full((COLOURS, COLOURS), 1 / COLOURS).kron(torch.eye(factor**2))
        self.register_buffer("mean", mean[:, :, None, None], persistent=False)

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(image, self.cell)
        gain, offset = self.forward_cells(blocks, *context).chunk(2, dim=1)
        output = blocks + blocks * gain + offset
        if self.grey:
            output = F.conv2d(output, self.mean)
        return F.pixel_shuffle(output, self.cell)

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        """Multiply-adds a pixel, gains and shifts folded, rounded up."""
        return super().macs_per_pixel + (COLOURS**2 * self.cell**2 if self.grey else 0)

    @property
    def peak_activations_per_pixel(self) -> int:  # type: ignore[override]
        """Most values a pixel has at once, rounded up.

        The blocks wait for the trunk; in the end for gain and offset, which are cut from one.
        """
        return ceil(COLOURS + max(self.peak_activations(), Fraction(4 * COLOURS)))
