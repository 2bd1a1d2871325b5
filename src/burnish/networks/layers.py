"""The layers of U-Nets: convolutions that sliders and a thumbnail modulate."""

from collections.abc import Iterable
from typing import Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

LayerKind = Literal["plain", "separable", "dilated"]


class ModulatedConv2d(nn.Conv2d):
    """A convolution that takes changes of its kernel, and a gain and a shift of each channel.

    Its random weights are for a rectifier behind it.

    Shape: (N, in_channels, H, W), then `param_change`: gain, shift and kernel to add, see
    `ParamConditioning`, and `thumbnail_change`: gain and shift to add, see `ThumbnailEncoder` ->
    (N, out_channels, H, W)
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self,
        x: Tensor,
        param_change: tuple[Tensor, Tensor, Tensor | None] | None = None,
        thumbnail_change: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        changes = [change[:2] for change in (param_change, thumbnail_change) if change is not None]
        delta = param_change[2] if param_change is not None else None
        kernel = self.weight if delta is None else self.weight + delta
        y = self.convolve(x, kernel)
        if not changes:
            return y
        gains, shifts = zip(*changes, strict=True)
        return y * (1 + sum(gains)) + sum(shifts)

    def convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Return the convolution with a kernel and the layer's own bias."""
        return F.conv2d(x, kernel, self.bias, self.stride, self.padding, self.dilation, self.groups)


def layers_by_level(levels: nn.ModuleList) -> list[list[nn.Conv2d]]:
    """Return the layers of each level, with their type."""
    return [list(cast(Iterable[nn.Conv2d], layers)) for layers in levels]


def reach(layers: Iterable[nn.Conv2d]) -> int:
    """Return the distance in cells of the farthest input that layers depend on."""
    return sum(int(layer.padding[0]) for layer in layers)


def make_layers(width: int, kind: LayerKind, count: int) -> nn.ModuleList:
    """Return layers of one kind that keep the number of channels."""
    layers = []
    for _ in range(count):
        if kind == "separable":
            layers += [make_conv(width, width, groups=width), make_conv(width, width, kernel=1)]
        else:
            layers.append(make_conv(width, width, dilation=2 if kind == "dilated" else 1))
    return nn.ModuleList(layers)


def make_conv(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    padding = dilation * (kernel // 2)
    return ModulatedConv2d(
        in_channels, out_channels, kernel, stride, padding, dilation=dilation, groups=groups
    )
