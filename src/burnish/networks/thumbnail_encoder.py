"""Glance: a look at the whole picture, small, for operators that look far.

A histogram or the colour of haze is the same everywhere in a picture. A few numbers, made from a
thumbnail once, scale and shift the channels of every layer (feature-wise linear modulation, Perez
et al. 2018, https://doi.org/10.1609/aaai.v32i1.11671), the same for every tile.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A histogram of colours, in the soft bins of rectifiers, is what most global decisions need.
_BINS = 32
_CODE = 32


class Glance(nn.Module):
    """Gains and shifts of a network's layers, from a thumbnail: its colours, and what lies where.

    Parameters
    ----------
    layers : what they change

    Shape: (N, 3, S, S) RGB in [0, 1], S a multiple of 8 -> for each layer a gain and a shift to
    add, (N, channels, 1, 1)
    """

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
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
        self.widths = [layer.out_channels for layer in layers]
        self.modulate = nn.Conv2d(_CODE, 2 * sum(self.widths), 1)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)  # type: ignore[arg-type]

    def forward(self, thumbnail: Tensor) -> list[tuple[Tensor, Tensor]]:
        centred = thumbnail - 0.5
        seen = []
        for branch in (self.bins, self.places):
            features = branch(centred)
            seen += [F.adaptive_avg_pool2d(features, 1), F.adaptive_max_pool2d(features, 1)]
        code = F.relu(self.sum_up(torch.cat(seen, dim=1)))
        gains, shifts = self.modulate(code).chunk(2, dim=1)
        return list(
            zip(
                torch.split(gains, self.widths, dim=1),
                torch.split(shifts, self.widths, dim=1),
                strict=True,
            )
        )
