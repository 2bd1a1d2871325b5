"""What holds for a whole picture, parameter values and its thumbnail, as gain and shift of layers.

An operator's strength, a histogram or the colour of haze are the same everywhere in a picture. So
they do not enter as planes of pixels: a few numbers scale and shift the channels of every layer, as
feature-wise linear modulation (Perez et al. 2018, https://doi.org/10.1609/aaai.v32i1.11671). With
values that are given, gain and shift are constants, and vanish into the convolutions.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.params import Param

# A histogram of colours, in the soft bins of rectifiers, is what most global decisions need.
_BINS = 32
_CODE = 32
_TINY = 1e-6


class Context(nn.Module):
    """Gain and shift for every channel of a network's layers.

    Starts as no change: gain 1, shift 0, whatever it is given.

    Parameters
    ----------
    sliders : the parameters that it takes values of, in order
    thumbnail : whether it also takes a thumbnail
    widths : channels of the layers to modulate

    Shape: params (N, sliders, 1, 1) in their own units, thumbnail (N, 3, S, S) RGB in [0, 1] ->
    for each layer a gain and a shift, each (N, width, 1, 1)
    """

    def __init__(self, sliders: Sequence[Param], thumbnail: bool, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = [width for width in widths for _ in ("gain", "shift")]
        if sliders:
            self.scale = Scale(sliders)
            self.values = nn.Sequential(
                nn.Conv2d(len(sliders), _CODE, 1), nn.ReLU(), nn.Conv2d(_CODE, _CODE, 1)
            )
        if thumbnail:
            self.glance = Glance()
        self.modulate = nn.Conv2d(_CODE, sum(self.widths), 1)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)  # type: ignore[arg-type]
        self.sliders = bool(sliders)
        self.thumbnail = thumbnail

    def forward(self, *context: Tensor) -> list[tuple[Tensor, Tensor]]:
        given = list(context)
        code = torch.zeros(())
        if self.sliders:
            code = self.values(self.scale(given.pop(0)))
        if self.thumbnail:
            code = code + self.glance(given.pop(0))
        parts = torch.split(self.modulate(F.relu(code)), self.widths, dim=1)
        return [(1 + gain, shift) for gain, shift in zip(parts[::2], parts[1::2], strict=True)]


class Scale(nn.Module):
    """Parameter values, each brought to [-1, 1] along its own scale, linear or logarithmic.

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> Scale([p])(torch.tensor([0.002, 0.02, 0.2]).view(3, 1, 1, 1)).flatten().round(decimals=4)
    tensor([-1.,  0.,  1.])
    """

    def __init__(self, sliders: Sequence[Param]) -> None:
        super().__init__()
        rows = []
        for param in sliders:
            if param.scale == "log":
                steep = 2 / torch.log(torch.tensor(param.high / param.low)).item()
                rows.append((0.0, steep, -1 - steep * torch.log(torch.tensor(param.low)).item()))
            else:
                steep = 2 / (param.high - param.low)
                rows.append((steep, 0.0, -1 - steep * param.low))
        for name, column in zip(("linear", "log", "offset"), zip(*rows, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(column).view(1, -1, 1, 1))

    linear: Tensor
    log: Tensor
    offset: Tensor

    def forward(self, values: Tensor) -> Tensor:
        logarithm = torch.log(values.clamp_min(_TINY))
        return self.linear * values + self.log * logarithm + self.offset


class Glance(nn.Module):
    """A thumbnail of the whole picture as a few numbers: of its colours, and of what lies where.

    Shape: (N, 3, S, S) RGB in [0, 1], S a multiple of 8 -> (N, code, 1, 1)
    """

    def __init__(self) -> None:
        super().__init__()
        self.bins = nn.Sequential(
            nn.Conv2d(3, _BINS, 1), nn.ReLU(), nn.Conv2d(_BINS, _BINS, 1), nn.ReLU()
        )
        self.places = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, _CODE, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_CODE, _CODE, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.sum_up = nn.Conv2d(2 * _BINS + 2 * _CODE, _CODE, 1)

    def forward(self, thumbnail: Tensor) -> Tensor:
        centred = thumbnail - 0.5
        seen = []
        for branch in (self.bins, self.places):
            features = branch(centred)
            seen += [F.adaptive_avg_pool2d(features, 1), F.adaptive_max_pool2d(features, 1)]
        code: Tensor = self.sum_up(torch.cat(seen, dim=1))
        return code
