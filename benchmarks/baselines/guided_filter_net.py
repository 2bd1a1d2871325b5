"""GuidedFilterNet: a U-Net at low resolution, whose output a guided filter upsamples.

The U-Net computes a change of the downsampled image. In each window the change is fitted as a gain
and an offset of the image's colours. These are smooth; they are upsampled and applied to the full
image, so that the output has its edges. The guided filter is by He et al. 2013
(https://doi.org/10.1109/TPAMI.2012.213), and was made a layer by Wu et al. 2018
(https://doi.org/10.1109/CVPR.2018.00197). Their network has an input of fixed size. Here the
resolution is a fixed fraction, so that the receptive field is bounded and the image can be tiled.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import torch.nn.functional as F
from torch import Tensor

from baselines import bilinear
from burnish.networks.network import COLOURS
from burnish.networks.unet import UNetBackbone
from burnish.params import Param

RADIUS = 1
# Colours are centred, because squares near zero have smaller rounding errors.
CENTRE = 0.5
# The ridge of the regression. It is far above the variance of a flat area, which consists of
# rounding errors of about 1e-8.
EPSILON = 1e-4


class GuidedFilterNet(UNetBackbone):
    """A U-Net at low resolution and a guided filter.

    Parameters
    ----------
    factor : the factor of downsampling; a power of two, 2 or more
    widths, down, up, sliders, global_context : see `UNetBackbone`

    Shape: see `Network`

    Examples
    --------
    >>> network = GuidedFilterNet(widths=(16, 32), down=(1, 2), up=(1,))
    >>> network.size_multiple, network.halo, network.macs_per_pixel
    (16, 99, 178)
    """

    def __init__(
        self,
        widths: Sequence[int],
        down: Sequence[int],
        up: Sequence[int],
        factor: int = 8,
        sliders: Sequence[Param] = (),
        global_context: bool = False,
    ) -> None:
        super().__init__(COLOURS, COLOURS, factor, widths, down, up, sliders, global_context)

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        low = F.avg_pool2d(image, self.cell)
        gain, offset = local_linear_fit(low, self.forward_cells(low, *context))
        change = bilinear.upsample(gain, self.cell) * image
        return image + (change + bilinear.upsample(offset, self.cell))

    def source_cells(self, pixel: int) -> tuple[int, int]:
        first, last = bilinear.source_cells(pixel, self.cell)
        return first - RADIUS, last + RADIUS

    @property
    def peak_activations_per_pixel(self) -> int:  # type: ignore[override]
        """The most values in memory per pixel, rounded up."""
        # The downsampled image is kept during the convolutions. The last sum needs two images.
        low = self.per_pixel(COLOURS)
        return ceil(low + max(self.peak_activations(), Fraction(2 * COLOURS)))


def local_linear_fit(guide: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Fit the change as gain x guide + offset in each 3 x 3 window, for each colour.

    Where the guide is flat, the gain is near zero.

    Shape: (N, C, h, w) twice -> gain and offset, each the same

    Examples
    --------
    >>> import torch
    >>> guide = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    >>> [round(x[0, 0, 0, 1].item(), 2) for x in local_linear_fit(guide, 0.2 * guide + 0.1)]
    [0.2, 0.1]
    """
    centred = guide - CENTRE
    mean, mean_change = _mean(centred), _mean(change)
    covariance = _mean(centred * change) - mean * mean_change
    variance = _mean(centred * centred) - mean * mean
    gain = covariance / (variance + EPSILON)
    return gain, mean_change - gain * (mean + CENTRE)


def _mean(x: Tensor) -> Tensor:
    """Average over the window; at the border, over the part of the window inside the image."""
    return F.avg_pool2d(x, 2 * RADIUS + 1, 1, RADIUS, count_include_pad=False)
