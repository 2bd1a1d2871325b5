"""Static padding of EfficientNet's convolutions, for the export."""

from timm.layers.conv2d_same import Conv2dSame
from torch import nn


def make_padding_static(network: nn.Module) -> None:
    """Replace timm's `Conv2dSame`, whose padding depends on the image's size, in place.

    The stride divides the size of every feature map, so the same padding fits all of them.
    """
    for module in network.modules():
        for name, conv in list(module.named_children()):
            if isinstance(conv, Conv2dSame):
                total = conv.kernel_size[0] - conv.stride[0]
                before, after = total // 2, total - total // 2
                conv.__class__ = nn.Conv2d  # type: ignore[assignment]
                padding = nn.ZeroPad2d((before, after, before, after))
                setattr(module, name, nn.Sequential(padding, conv))
