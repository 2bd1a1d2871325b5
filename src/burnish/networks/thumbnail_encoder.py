"""ThumbnailEncoder: modulates a network by global features of the image.

A histogram or the colour of haze is the same for the whole image. It is computed once from a
thumbnail, and then scales and shifts the channels of every layer, equally in every tile
(feature-wise linear modulation, Perez et al. 2018, https://doi.org/10.1609/aaai.v32i1.11671).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The number of soft bins of the learned colour histogram.
_BINS = 32
_EMBED_DIM = 32


class ThumbnailEncoder(nn.Module):
    """Computes a gain and a shift for each channel of some layers. Untrained, all are zero.

    Parameters
    ----------
    layers : the layers that are modulated

    Shape: (N, 3, S, S) RGB in [0, 1], S a multiple of 8 -> for each layer, a gain and a shift to
    add, (N, channels, 1, 1)
    """

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        self.histogram_branch = nn.Sequential(
            nn.Conv2d(3, _BINS, 1), nn.ReLU(), nn.Conv2d(_BINS, _BINS, 1), nn.ReLU()
        )
        self.spatial_branch = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, _EMBED_DIM, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_EMBED_DIM, _EMBED_DIM, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.fuse = nn.Conv2d(2 * _BINS + 2 * _EMBED_DIM, _EMBED_DIM, 1)
        self.widths = [layer.out_channels for layer in layers]
        self.to_film = nn.Conv2d(_EMBED_DIM, 2 * sum(self.widths), 1)
        nn.init.zeros_(self.to_film.weight)
        nn.init.zeros_(self.to_film.bias)  # type: ignore[arg-type]

    def forward(self, thumbnail: Tensor) -> list[tuple[Tensor, Tensor]]:
        centred = thumbnail - 0.5
        pooled = []
        for branch in (self.histogram_branch, self.spatial_branch):
            features = branch(centred)
            pooled += [F.adaptive_avg_pool2d(features, 1), F.adaptive_max_pool2d(features, 1)]
        embedding = F.relu(self.fuse(torch.cat(pooled, dim=1)))
        gains, shifts = self.to_film(embedding).chunk(2, dim=1)
        return list(
            zip(
                torch.split(gains, self.widths, dim=1),
                torch.split(shifts, self.widths, dim=1),
                strict=True,
            )
        )
