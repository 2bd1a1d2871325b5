"""Round kernels to 16 bits, and what sliders add to 8: less file, the same arithmetic."""

import copy
from typing import TypeVar

import torch
from torch import nn

from burnish.networks.conditioning import KernelDelta

Module = TypeVar("Module", bound=nn.Module)

# The largest whole number of 8 bits with its negative.
_INT8_MAX = 127


def round_weights_to_fp16(network: Module) -> Module:
    """Return a copy whose convolutions' kernels are numbers that 16 bits can hold.

    Each changes by at most one part in 2,048. The kernels that sliders add, which change nothing
    where they rest, become whole numbers from -127 to 127 and their weights take up the scale: each
    changes by at most one part in 254 of the largest beside it. All stay float32, as does
    everything that is computed with them; only a model file stores them as what they are.

    Examples
    --------
    >>> layer = nn.Conv2d(1, 1, 1)
    >>> nn.init.constant_(layer.weight, 1 / 3).item(), round_weights_to_fp16(layer).weight.item()
    (0.3333333432674408, 0.333251953125)
    """
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.half().float())
        for module in rounded.modules():
            if isinstance(module, KernelDelta):
                largest = module.basis.weight.abs().amax(dim=(0, 2, 3))
                module.rescale(_INT8_MAX / largest.clamp_min(torch.finfo(torch.float16).tiny))
                module.basis.weight.round_()
    return rounded
