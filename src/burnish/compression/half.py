"""Round kernels to half precision: half the file, the same arithmetic."""

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def round_kernels(network: Module) -> Module:
    """Return a copy whose convolutions' kernels are numbers that 16 bits can hold.

    They stay float32, as does everything that is computed with them; only a model file stores them
    as what they are. Each changes by at most one part in 2,048.

    Examples
    --------
    >>> layer = nn.Conv2d(1, 1, 1)
    >>> nn.init.constant_(layer.weight, 1 / 3).item(), round_kernels(layer).weight.item()
    (0.3333333432674408, 0.333251953125)
    """
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.ndim == 4:
                parameter.copy_(parameter.half().float())
    return rounded
