"""Random weights for a pruned network, to train it from scratch for comparison."""

import copy

import torch
from torch import nn

from burnish.networks.can import CAN
from burnish.networks.conditioning import KernelDelta, ParamConditioning, ThumbnailEncoder
from burnish.networks.network import Network
from burnish.networks.unet import UNetBackbone


@torch.no_grad()
def with_random_weights(network: Network, seed: int) -> Network:
    """Return a network of the same shape with the weights that an untrained one has."""
    fresh = copy.deepcopy(network)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in fresh.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
        for module in fresh.modules():
            _initialise(module)
    return fresh.requires_grad_(True)


def _initialise(module: nn.Module) -> None:
    """Set the weights that differ from those of a new convolution."""
    if isinstance(module, UNetBackbone):
        for layer in module.conv_layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            _zero(layer.bias)
        _zero(module.tail.weight)
    elif isinstance(module, ParamConditioning | ThumbnailEncoder):
        _zero(module.to_film.weight)
        _zero(module.to_film.bias)
    elif isinstance(module, KernelDelta):
        _zero(module.coefficients.weight)
        nn.init.normal_(module.basis.weight, std=module.init_std)
    elif isinstance(module, CAN):
        for hidden in module.hidden_layers:
            nn.init.dirac_(hidden.weight)
            _zero(hidden.bias)
        nn.init.xavier_uniform_(module.to_rgb.weight)
        _zero(module.to_rgb.bias)


def _zero(weight: torch.Tensor | None) -> None:
    if weight is not None:
        nn.init.zeros_(weight)
