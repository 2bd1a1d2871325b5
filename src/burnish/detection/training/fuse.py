"""Fuse: normalisers whose statistics are frozen, built into the convolutions before them."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fuse_batchnorm(network: nn.Module) -> None:
    """Build normalisers into the convolutions before them, in place; they must be in evaluation.

    Examples
    --------
    >>> layers = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    >>> fuse_batchnorm(layers)
    >>> layers
    Sequential(
      (0): Conv2d(1, 2, kernel_size=(1, 1), stride=(1, 1))
      (1): Identity()
    )
    """
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for index in range(len(module) - 1):
                conv, normal = module[index], module[index + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(normal, nn.BatchNorm2d):
                    module[index] = fuse_conv_bn_eval(conv, normal)
                    module[index + 1] = nn.Identity()
