"""Separable layers, which replace convolutions of a trained network by fewer multiply-adds.

After network decoupling (Guo et al. 2018, https://doi.org/10.48550/arXiv.1808.05517).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.networks.layers import ModulatedConv2d


class SeparableConv2d(ModulatedConv2d):
    """A filter for each input channel, and a 1x1 convolution of what they give.

    It takes the same changes as `ModulatedConv2d`; those of the kernel are for the 1x1 convolution.

    Parameters
    ----------
    layer : the convolution that it comes as near to as a filter for each channel can
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        shape = layer.kernel_size, layer.stride, layer.padding, layer.dilation
        super().__init__(layer.in_channels, layer.out_channels, *shape)  # type: ignore[arg-type]
        inputs = layer.in_channels
        self.depthwise = nn.Conv2d(inputs, inputs, *shape, groups=inputs, bias=False)  # type: ignore[arg-type]
        filters, mixture = decompose(layer.weight.detach())
        self.depthwise.weight = nn.Parameter(filters)
        self.weight = nn.Parameter(mixture)
        self.bias = layer.bias

    def convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(self.depthwise(x), kernel, self.bias)

    def project(self, kernels: Tensor) -> Tensor:
        """Return the 1x1 kernels that come nearest to others, (out, in, h, w, N).

        Returns
        -------
        A tensor of shape (out, in, 1, 1, N)
        """
        filters = self.depthwise.weight[:, 0]
        lengths = filters.square().sum((1, 2)).clamp_min(torch.finfo().tiny)
        products = torch.einsum("oihwn,ihw->oin", kernels, filters)
        return (products / lengths[:, None])[:, :, None, None]

    def keep_inputs(self, index: Tensor) -> None:
        """Remove the filters of all but some input channels."""
        self.depthwise.weight = nn.Parameter(self.depthwise.weight[index].clone())
        inputs = len(index)
        self.depthwise.in_channels = self.depthwise.out_channels = inputs
        self.depthwise.groups = inputs


def decompose(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the filters and the 1x1 kernel whose product comes nearest to a kernel.

    For each input channel, these are the first singular vectors of the matrix from its window to
    the output channels.

    Parameters
    ----------
    kernel : (out, in, h, w)

    Returns
    -------
    The filters, (in, 1, h, w), of length 1, and the 1x1 kernel, (out, in, 1, 1)

    Examples
    --------
    >>> kernel = torch.rand(5, 4, 1, 1) * torch.rand(4, 3, 3)
    >>> filters, mixture = decompose(kernel)
    >>> torch.allclose(mixture * filters[:, 0], kernel, atol=1e-6)
    True
    """
    matrices = kernel.permute(1, 0, 2, 3).flatten(2)  # (in, out, window)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    filters = right[:, 0].reshape(-1, 1, *kernel.shape[2:])
    mixture = (left[:, :, 0] * values[:, :1]).T[:, :, None, None]
    return filters.contiguous(), mixture.contiguous()


def weight_count(layer: nn.Module) -> int:
    """Return the number of multiply-adds of a convolution at one position."""
    filters = layer.depthwise.weight.numel() if isinstance(layer, SeparableConv2d) else 0
    return int(layer.get_parameter("weight").numel()) + filters
