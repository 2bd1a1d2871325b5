"""Sliders: what parameter values change about a network, learnt beside it.

At the values that hold unless others are said, nothing is changed. Away from them every layer has
other gains and shifts (feature-wise linear modulation, Perez et al. 2018,
https://doi.org/10.1609/aaai.v32i1.11671), and layers of few numbers, the fine ones, other kernels:
to theirs is added a weighted sum of a few that are learnt (after Fan et al. 2018, whose kernels are
linear in the parameter). A value is the same everywhere in a picture, so it does not enter as
planes of pixels: with values that are given all this is constant, and vanishes into the
convolutions.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.params import Param

EMBED_DIM = 32
DELTA_RANK = 3
# Layers of more numbers than this, the coarse ones, keep their kernels.
MAX_DELTA_NUMEL = 10_000
EPS = 1e-6


class ParamConditioning(nn.Module):
    """Changes of a network's layers.

    Parameters
    ----------
    params : whose values it takes, in order
    layers : what they change
    film_only : further layers that they change, but for their kernels

    Shape: values (1, params, 1, 1) in their own units -> for each layer, the steady ones last, a
    gain and a shift to add, (1, channels, 1, 1), and a kernel to add, or None
    """

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
        self.deltas = nn.ModuleList(
            KernelDelta(layer) for layer in layers if layer.weight.numel() <= MAX_DELTA_NUMEL
        )
        self.has_delta = [layer.weight.numel() <= MAX_DELTA_NUMEL for layer in layers] + [
            False
        ] * len(film_only)

    defaults: Tensor

    def forward(self, values: Tensor) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        embedding = self._embed(values) - self._embed(self.defaults)
        gains, shifts = self.to_film(embedding).chunk(2, dim=1)
        deltas = iter(self.deltas)
        return list(
            zip(
                torch.split(gains, self.widths, dim=1),
                torch.split(shifts, self.widths, dim=1),
                [next(deltas)(embedding) if bent else None for bent in self.has_delta],
                strict=True,
            )
        )

    def _embed(self, values: Tensor) -> Tensor:
        embedding: Tensor = F.relu(self.embedding(F.relu(self.hidden(self.normaliser(values)))))
        return embedding


class KernelDelta(nn.Module):
    """What is added to a layer's kernel: a weighted sum of a few kernels. Starts as none.

    Shape: code (1, C, 1, 1) -> as the layer's kernel
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
        kernel: Tensor = self.basis(self.coefficients(embedding)).reshape(self.kernel_shape)
        return kernel

    def rescale(self, factors: Tensor) -> None:
        """Multiply each of the few kernels by its factor, and its weight by the inverse.

        Shape: factors (kernels,), none of them zero
        """
        with torch.no_grad():
            self.basis.weight.mul_(factors.view(1, -1, 1, 1))
            self.coefficients.weight.div_(factors.view(-1, 1, 1, 1))


class ParamNormaliser(nn.Module):
    """Parameter values, each brought to [-1, 1] along its own scale, linear or logarithmic.

    Examples
    --------
    >>> p = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
    >>> ParamNormaliser([p])(torch.tensor([0.002, 0.02, 0.2]).view(3, 1, 1, 1)).flatten().round(decimals=4)
    tensor([-1.,  0.,  1.])
    """

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

    linear: Tensor
    log: Tensor
    offset: Tensor

    def forward(self, values: Tensor) -> Tensor:
        logarithm = torch.log(values.clamp_min(EPS))
        return self.linear * values + self.log * logarithm + self.offset
