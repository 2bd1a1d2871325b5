"""ParamConditioning: modulates a network by the values of the operator's parameters (its sliders).

At the parameters' defaults nothing is changed. At other values every layer has other gains and
shifts (feature-wise linear modulation, Perez et al. 2018,
https://doi.org/10.1609/aaai.v32i1.11671), and small layers also have other kernels: a linear
combination of a few learned kernels is added (after Fan et al. 2018, whose kernels are linear in
the parameter). As the values are the same for the whole image, all changes are constant for given
values and can be folded into the convolutions.
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


class ParamConditioning(nn.Module):
    """Computes the changes of some layers. Untrained, and at the defaults, all are zero.

    Parameters
    ----------
    params : the parameters whose values are the input, in order
    layers : the layers that are modulated
    film_only : further layers that are modulated, but whose kernels stay

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
        nn.init.zeros_(self.to_film.weight)
        has_delta = [layer.weight.numel() <= MAX_DELTA_NUMEL for layer in layers]
        self.has_delta = has_delta + [False] * len(film_only)
        self.deltas = nn.ModuleList(
            KernelDelta(layer) for layer, delta in zip(layers, has_delta, strict=True) if delta
        )

    def forward(self, values: Tensor) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        embedding = self._embed(values) - self._embed(self.defaults)
        gains, shifts = self.to_film(embedding).chunk(2, dim=1)
        deltas = iter(self.deltas)
        return list(
            zip(
                torch.split(gains, self.widths, dim=1),
                torch.split(shifts, self.widths, dim=1),
                [next(deltas)(embedding) if has_delta else None for has_delta in self.has_delta],
                strict=True,
            )
        )

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
        nn.init.zeros_(self.coefficients.weight)
        self.basis = nn.Conv2d(DELTA_RANK, layer.weight.numel(), 1, bias=False)
        self.init_std = layer.weight[0].numel() ** -0.5
        nn.init.normal_(self.basis.weight, std=self.init_std)
        self.kernel_shape = tuple(layer.weight.shape)

    def forward(self, embedding: Tensor) -> Tensor:
        delta: Tensor = self.basis(self.coefficients(embedding)).reshape(self.kernel_shape)
        return delta

    @torch.no_grad()
    def rescale(self, factors: Tensor) -> None:
        """Multiply each basis kernel by its factor, and divide its coefficients by it.

        Parameters
        ----------
        factors : (DELTA_RANK,), none of them zero
        """
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
