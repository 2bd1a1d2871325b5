"""Modulation of a network's layers by the values of sliders and by a thumbnail of the image.

Each channel of a layer is scaled and shifted (feature-wise linear modulation, FiLM, Perez et al.
2018, https://doi.org/10.1609/aaai.v32i1.11671).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.params import Param

EMBED_DIM = 32
DELTA_RANK = 3
# Layers with more weights than this, the coarse ones, keep their kernels.
MAX_DELTA_NUMEL = 10_000
EPS = 1e-6
# The number of soft bins of the thumbnail's learned colour histogram.
_BINS = 32


class ParamConditioning(nn.Module):
    """Computes the changes of some layers from the values of the operator's parameters.

    Untrained, and at the parameters' defaults, all changes are zero. The kernel of a small layer
    changes too: a linear combination of a few learned kernels is added to it (after Fan et al.
    2018, whose kernels are linear in the parameter). The values are the same for the whole image,
    so that all changes can be folded into the convolutions.

    Parameters
    ----------
    params : the parameters whose values are the input, in order
    layers : the layers that are modulated
    film_only : further layers, whose channels are modulated and whose kernels do not change

    Shape: values (1, params, 1, 1) in their own units -> for each layer and then for each of
    `film_only`, a gain and a shift to add, (1, channels, 1, 1), and a kernel to add, or None
    """

    defaults: Tensor

    def __init__(
        self,
        params: Sequence[Param],
        layers: Sequence[nn.Conv2d],
        film_only: Sequence[nn.Conv2d] = (),
    ) -> None:
        super().__init__()
        self.normaliser = ParamNormaliser(params)
        defaults = torch.tensor([float(param.default) for param in params])
        self.register_buffer("defaults", defaults.view(1, -1, 1, 1))
        self.hidden = nn.Conv2d(len(params), EMBED_DIM, 1)
        self.embedding = nn.Conv2d(EMBED_DIM, EMBED_DIM, 1)
        self.widths = [layer.out_channels for layer in (*layers, *film_only)]
        self.to_film = nn.Conv2d(EMBED_DIM, 2 * sum(self.widths), 1, bias=False)
        has_delta = [layer.weight.numel() <= MAX_DELTA_NUMEL for layer in layers]
        self.has_delta = has_delta + [False] * len(film_only)
        self.deltas = nn.ModuleList(
            KernelDelta(layer) for layer, delta in zip(layers, has_delta, strict=True) if delta
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights of an untrained module, those of its own convolutions aside."""
        nn.init.zeros_(self.to_film.weight)

    def forward(self, values: Tensor) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        embedding = self._embed(values) - self._embed(self.defaults)
        films = _split_film(self.to_film(embedding), self.widths)
        deltas = iter(self.deltas)
        return [
            (gain, shift, next(deltas)(embedding) if has_delta else None)
            for (gain, shift), has_delta in zip(films, self.has_delta, strict=True)
        ]

    def _embed(self, values: Tensor) -> Tensor:
        embedding: Tensor = F.relu(self.embedding(F.relu(self.hidden(self.normaliser(values)))))
        return embedding


class KernelDelta(nn.Module):
    """A linear combination of a few kernels that is added to a layer's kernel. It starts as zero.

    Shape: embedding (1, C, 1, 1) -> the shape of the layer's kernel
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.coefficients = nn.Conv2d(EMBED_DIM, DELTA_RANK, 1, bias=False)
        self.basis = nn.Conv2d(DELTA_RANK, layer.weight.numel(), 1, bias=False)
        self.init_std = layer.weight[0].numel() ** -0.5
        self.kernel_shape = tuple(layer.weight.shape)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights of an untrained module."""
        nn.init.zeros_(self.coefficients.weight)
        nn.init.normal_(self.basis.weight, std=self.init_std)

    def forward(self, embedding: Tensor) -> Tensor:
        delta: Tensor = self.basis(self.coefficients(embedding)).reshape(self.kernel_shape)
        return delta

    @property
    def bases(self) -> Tensor:
        """The basis kernels, (the shape of the layer's kernel, DELTA_RANK)."""
        return self.basis.weight.reshape(*self.kernel_shape, DELTA_RANK)

    @bases.setter
    def bases(self, bases: Tensor) -> None:
        self.kernel_shape = tuple(bases.shape[:-1])
        self.basis.weight = nn.Parameter(bases.reshape(-1, DELTA_RANK, 1, 1).detach().clone())
        self.basis.out_channels = len(self.basis.weight)

    @torch.no_grad()
    def rescale(self, factors: Tensor) -> None:
        """Multiply each basis kernel by its factor, (DELTA_RANK,), and divide its coefficients."""
        self.basis.weight.mul_(factors.view(1, -1, 1, 1))
        self.coefficients.weight.div_(factors.view(-1, 1, 1, 1))


class ParamNormaliser(nn.Module):
    """Maps each parameter's range to [-1, 1], along its linear or logarithmic scale.

    Shape: (N, params, 1, 1) -> the same

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> values = torch.tensor([0.002, 0.02, 0.2]).view(3, 1, 1, 1)
    >>> ParamNormaliser([p])(values).flatten().round(decimals=4)
    tensor([-1.,  0.,  1.])
    """

    linear: Tensor
    log: Tensor
    offset: Tensor

    def __init__(self, params: Sequence[Param]) -> None:
        super().__init__()
        rows = []
        for param in params:
            if param.scale == "log":
                slope = 2 / torch.log(torch.tensor(param.high / param.low)).item()
                rows.append((0.0, slope, -1 - slope * torch.log(torch.tensor(param.low)).item()))
            else:
                slope = 2 / (param.high - param.low)
                rows.append((slope, 0.0, -1 - slope * param.low))
        for name, column in zip(("linear", "log", "offset"), zip(*rows, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(column).view(1, -1, 1, 1))

    def forward(self, values: Tensor) -> Tensor:
        logarithm = torch.log(values.clamp_min(EPS))
        return self.linear * values + self.log * logarithm + self.offset


class ThumbnailEncoder(nn.Module):
    """Computes a gain and a shift for each channel of some layers from a thumbnail of the image.

    Global properties, such as the colour of haze, are found in the thumbnail. Since it is that of
    the whole image, every tile is modulated equally. Untrained, all changes are zero.

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
            nn.Conv2d(16, EMBED_DIM, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(EMBED_DIM, EMBED_DIM, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.fuse = nn.Conv2d(2 * _BINS + 2 * EMBED_DIM, EMBED_DIM, 1)
        self.widths = [layer.out_channels for layer in layers]
        self.to_film = nn.Conv2d(EMBED_DIM, 2 * sum(self.widths), 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weights of an untrained module, those of its own convolutions aside."""
        nn.init.zeros_(self.to_film.weight)
        nn.init.zeros_(self.to_film.bias)  # type: ignore[arg-type]

    def forward(self, thumbnail: Tensor) -> list[tuple[Tensor, Tensor]]:
        centred = thumbnail - 0.5
        pooled = []
        for branch in (self.histogram_branch, self.spatial_branch):
            features = branch(centred)
            pooled += [F.adaptive_avg_pool2d(features, 1), F.adaptive_max_pool2d(features, 1)]
        embedding = F.relu(self.fuse(torch.cat(pooled, dim=1)))
        return _split_film(self.to_film(embedding), self.widths)


def _split_film(film: Tensor, widths: list[int]) -> list[tuple[Tensor, Tensor]]:
    """Split gains and shifts, (N, 2 sum(widths), 1, 1), into those of each layer."""
    gains, shifts = (torch.split(half, widths, dim=1) for half in film.chunk(2, dim=1))
    return list(zip(gains, shifts, strict=True))
