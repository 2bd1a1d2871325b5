"""CAN: the context aggregation network of Chen, Xu and Koltun (ICCV 2017).

Dilated 3x3 convolutions at full resolution, each followed by adaptive normalisation and a leaky
ReLU, and a 1x1 convolution to RGB. https://doi.org/10.1109/ICCV.2017.273
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.networks.network import COLOURS, Network, NormMode
from burnish.networks.separable import SeparableConv2d, weight_count

NEGATIVE_SLOPE = 0.2
EPS = 1e-3
CAN24_DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1)
CAN32_DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 1)


class AdaptiveNormConv(nn.Module):
    """A dilated 3x3 convolution with adaptive normalisation, w0 y + w1 BN(y) + bias.

    It starts as the identity (w0 = 1, w1 = 0).

    The authors shift inside the normaliser, w1 (BN(y) + beta), which gives the same functions with
    bias = w1 beta. But w1 starts at 0 and stays near it for smoothing operators, and so does the
    gradient of beta. A network without shifts is homogeneous, and cannot tell a faint edge from a
    strong one.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W), zero-padded
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm_mode: NormMode = "batch"
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.w0 = nn.Parameter(torch.empty(()))
        self.w1 = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(out_channels))
        # Without momentum, it averages the statistics of all batches.
        self.norm = nn.BatchNorm2d(out_channels, EPS, momentum=None, affine=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the layer the identity."""
        nn.init.dirac_(self.weight)
        nn.init.ones_(self.w0)
        for parameter in (self.w1, self.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        if self.norm_mode == "frozen":
            return self._convolve(x, *self.folded())
        y = self._convolve(x, self.weight, None)
        per_image = self.norm_mode == "instance"
        normalised = F.instance_norm(y, eps=EPS) if per_image else self.norm.train()(y)
        return self.w0 * y + self.w1 * normalised + self.bias[:, None, None]

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias of the convolution that equals this layer in mode "frozen"."""
        mean, variance = map(self.norm.get_buffer, ("running_mean", "running_var"))
        gain = self.w1 * torch.rsqrt(variance + EPS)
        return self.weight * (self.w0 + gain)[:, None, None, None], self.bias - gain * mean

    def _convolve(self, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, kernel, bias, padding=self.dilation, dilation=self.dilation)


class CAN(Network):
    """A context aggregation network of any width and depth.

    Parameters
    ----------
    width : channels of every hidden layer
    dilations : one for each 3x3 layer. Their sum is the halo

    Shape: see `Network`

    Examples
    --------
    >>> network = can24()
    >>> network.halo, network.macs_per_pixel, sum(p.numel() for p in network.parameters())
    (128, 37008, 37219)
    """

    def __init__(self, width: int, dilations: Sequence[int]) -> None:
        super().__init__()
        inputs = [COLOURS] + [width] * (len(dilations) - 1)
        self.layers = nn.ModuleList(
            AdaptiveNormConv(channels, width, dilation)
            for channels, dilation in zip(inputs, dilations, strict=True)
        )
        self.to_rgb = nn.Conv2d(width, COLOURS, 1)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the weights of an untrained network: each hidden layer is the identity."""
        for layer in self.hidden_layers:
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.to_rgb.weight)
        nn.init.zeros_(self.to_rgb.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for layer in self.layers:
            x = F.leaky_relu(layer(x), NEGATIVE_SLOPE)
        output: Tensor = self.to_rgb(x)
        return output

    @property
    def halo(self) -> int:  # type: ignore[override]
        return sum(
            layer.dilation if isinstance(layer, AdaptiveNormConv) else int(layer.dilation[0])
            for layer in self.hidden_layers
        )

    @property
    def macs_per_pixel(self) -> int:  # type: ignore[override]
        return sum(map(weight_count, (*self.hidden_layers, self.to_rgb)))

    @property
    def peak_activations_per_pixel(self) -> int:  # type: ignore[override]
        # A layer's input and its output. The image is not counted.
        channels = [0]
        for layer in self.hidden_layers:
            if isinstance(layer, SeparableConv2d):
                channels.append(layer.in_channels)
            channels.append(len(layer.weight))
        return max(map(sum, pairwise([*channels, COLOURS])))

    def set_norm_mode(self, mode: NormMode) -> Self:
        for layer in self.norm_convs:
            layer.norm_mode = mode
        return self

    @property
    def hidden_layers(self) -> list[AdaptiveNormConv | nn.Conv2d]:
        """The 3x3 layers, in order. They are plain convolutions once normalisers are folded."""
        return cast(list[AdaptiveNormConv | nn.Conv2d], list(self.layers))

    @property
    def norm_convs(self) -> list[AdaptiveNormConv]:
        """The 3x3 layers whose normalisers are not folded, in order."""
        return [layer for layer in self.layers if isinstance(layer, AdaptiveNormConv)]


def can24() -> CAN:
    """Return the paper's CAN24: nine layers, width 24, halo 128 px."""
    return CAN(24, CAN24_DILATIONS)


def can32() -> CAN:
    """Return the paper's CAN32: ten layers, width 32, halo 256 px."""
    return CAN(32, CAN32_DILATIONS)
