"""Round the weights of convolutions to 16 bits, and those of kernel deltas to 8 bits.

This makes model files smaller. All values stay float32 in memory, and so does the arithmetic.
"""

import copy
from typing import TypeVar

import torch
from torch import nn

from burnish.networks.conditioning import KernelDelta

Module = TypeVar("Module", bound=nn.Module)

_INT8_MAX = 127


def round_weights_to_fp16(network: Module) -> Module:
    """Return a copy whose kernels can be stored in 16 bits.

    Each weight changes by at most one part in 2048. The bases of kernel deltas become integers
    from -127 to 127, with the scale in their coefficients. Each changes by at most one part in 254
    of the largest one.

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
