"""GuidedStudent: decides at low resolution, and a guided filter carries it to the full one.

The photo, averaged down, goes through a small trunk that says by how much it changes. Near each
cell that change is fitted as gain and offset of the photo's own colours; these are smooth, are
enlarged, and applied to the full photo, whose edges so become the result's.
The guided filter is He et al. 2013 (https://doi.org/10.1109/TPAMI.2012.213), as a layer of a
network Wu et al. 2018 (https://doi.org/10.1109/CVPR.2018.00197). Theirs works on a picture of a
fixed size, this one at a fixed share of the resolution: it looks near, and can be tiled.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

import torch.nn.functional as F
from torch import Tensor

from baselines import bilinear
from burnish.networks.unet_backbone import UNetBackbone
from burnish.params import Param

COLOURS = 3
RADIUS = 1
# Squares of what lies around zero are smaller, and so are the rounding errors of a variance.
MIDDLE = 0.5
# A flat sky has no variance but rounding errors, 1e-8. Against this they are faint: gains neither
# jump nor become infinite.
EPSILON = 1e-4


class GuidedStudent(UNetBackbone):
    """A trunk at low resolution and a guided filter.

    Parameters
    ----------
    factor : how many pixels a side become one at low resolution: a power of two, 2 or more
    widths, down, up, sliders, global_context : see `UNetBackbone`

    Shape: see `Network`

    Examples
    --------
    >>> network = GuidedStudent(widths=(16, 32), down=(1, 2), up=(1,))
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
        gain, offset = fit(low, self.forward_cells(low, *context))
        change = bilinear.enlarge(gain, self.cell) * image
        return image + (change + bilinear.enlarge(offset, self.cell))

    def reads(self, pixel: int) -> tuple[int, int]:
        first, last = bilinear.reads(pixel, self.cell)
        return first - RADIUS, last + RADIUS

    @property
    def activations_per_pixel(self) -> int:  # type: ignore[override]
        """Most values a pixel has at once, rounded up.

        The low photo waits for the trunk; in the end an offset waits for change and enlarged
        offset. What the fit needs is less than that.
        """
        low = self.per_pixel(COLOURS)
        return ceil(low + max(self.peak_activations(), Fraction(2 * COLOURS)))


def fit(guide: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Fit the change as gain x guide + offset in the 3 x 3 cells around each, colour by colour.

    The filter's gain is drawn to zero where the guide is flat. That it is the change which is
    fitted, not the result, makes this "as it was" rather than "grey": no change stays none.

    Shape: (N, C, h, w) twice -> gain and offset, each the same

    Examples
    --------
    >>> import torch
    >>> guide = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    >>> [round(part[0, 0, 0, 1].item(), 2) for part in fit(guide, 0.2 * guide + 0.1)]
    [0.2, 0.1]
    """
    centred = guide - MIDDLE
    mean, mean_change = _mean(centred), _mean(change)
    covariance = _mean(centred * change) - mean * mean_change
    variance = _mean(centred * centred) - mean * mean
    gain = covariance / (variance + EPSILON)
    return gain, mean_change - gain * (mean + MIDDLE)


def _mean(x: Tensor) -> Tensor:
    """Average over the window; at the border, over what of it there is."""
    return F.avg_pool2d(x, 2 * RADIUS + 1, 1, RADIUS, count_include_pad=False)
