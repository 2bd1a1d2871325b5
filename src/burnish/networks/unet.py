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

import torch.nn.functional as F
from torch import Tensor

from burnish.networks.trunk import Trunk
from burnish.params import Param

COLOURS = 3


class UNet(Trunk):
    """A trunk on space-to-depth features that gives each pixel's gain and offset.

    Parameters
    ----------
    factor : the side of the blocks that go into channels, px
    widths, down, up, sliders, thumbnail : see `Trunk`

    Shape: see `Network`

    Examples
    --------
    >>> network = UNet(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.multiple, network.halo, network.macs_per_pixel
    (4, 21, 3920)
    """

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        factor: int = 2,
        sliders: Sequence[Param] = (),
        thumbnail: bool = False,
    ) -> None:
        block = COLOURS * factor**2
        super().__init__(block, 2 * block, factor, widths, down, up, sliders, thumbnail)

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(image, self.cell)
        gain, offset = self.trunk(blocks, *context).chunk(2, dim=1)
        return F.pixel_shuffle(blocks + blocks * gain + offset, self.cell)

    @property
    def activations_per_pixel(self) -> int:  # type: ignore[override]
        """Most values a pixel has at once, rounded up.

        The blocks wait for the trunk; in the end for gain and offset, which are cut from one.
        """
        return ceil(COLOURS + max(self.most_alive(), Fraction(4 * COLOURS)))
