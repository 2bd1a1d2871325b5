"""Prepare the weights of a trained network for export: fold normalisers, round to 16 bits."""

import copy
from typing import TypeVar

import torch
from torch import nn

from burnish.networks.can import CAN
from burnish.networks.conditioning import KernelDelta
from burnish.networks.network import Network

Module = TypeVar("Module", bound=nn.Module)

_INT8_MAX = 127


def fold(network: Network) -> Network:
    """Return the same function with all normalisers folded into their convolutions.

    A network without normalisers is returned as it is.

    Raises
    ------
    ValueError : a normaliser is not in mode "frozen"

    Examples
    --------
    >>> network = CAN(width=4, dilations=(1, 2)).set_norm_mode("frozen").eval()
    >>> x = torch.rand(1, 3, 8, 8)
    >>> torch.allclose(fold(network)(x), network(x), atol=1e-6)
    True
    """
    if not isinstance(network, CAN) or not network.norm_convs:
        return network
    modes = {layer.norm_mode for layer in network.norm_convs}
    if modes != {"frozen"}:
        raise ValueError(f"only frozen normalisers can be folded, not {sorted(modes)}")
    folded = copy.deepcopy(network)
    for index, layer in enumerate(network.norm_convs):
        kernel, bias = layer.folded()
        conv = nn.Conv2d(
            kernel.shape[1], len(kernel), 3, padding=layer.dilation, dilation=layer.dilation
        )
        conv.load_state_dict({"weight": kernel, "bias": bias})
        folded.layers[index] = conv
    return folded.eval()


def round_weights_to_fp16(network: Module) -> Module:
    """Return a copy whose kernels can be stored in 16 bits. Its arithmetic stays float32.

    Each weight changes by at most one part in 2048. The bases of kernel deltas become integers
    from -127 to 127, with the scale in their coefficients. Each value of a basis changes by at most
    one part in 254 of the largest one.

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
