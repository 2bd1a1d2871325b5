"""The optimisers of a network: Muon for the kernels if chosen, AdamW for everything else."""

from typing import Literal

import torch
from torch import nn

from burnish.networks.network import CONDITIONING_PREFIX, Network
from burnish.training.muon import Muon

OptimiserName = Literal["muon", "adamw"]

# With Muon, and for the sliders, AdamW has this fraction of the learning rate.
ADAMW_LR_SCALE = 0.6


def build_optimisers(
    name: OptimiserName, network: Network, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Return the optimisers of all weights, each with a factor "lr_scale" in its groups.

    They skip weights without a gradient.

    Parameters
    ----------
    name : "muon", or "adamw" for all weights
    network : its memory format must be channels last at each step
    weight_decay : see `torch.optim.AdamW`. With Muon, it applies to the kernels only
    """
    named = dict(network.named_parameters())
    sliders = [named.pop(key) for key in list(named) if key.startswith(CONDITIONING_PREFIX)]
    optimisers: list[torch.optim.Optimizer] = []
    if name == "muon":
        kernels = [named.pop(key) for key in _kernel_names(network)]
        optimisers.append(Muon([{"params": kernels, "lr_scale": 1.0}], weight_decay=weight_decay))
        others = {"params": list(named.values()), "lr_scale": ADAMW_LR_SCALE}
        optimisers.append(torch.optim.AdamW([others], weight_decay=0.0))
    else:
        others = {"params": list(named.values()), "lr_scale": 1.0}
        optimisers.append(torch.optim.AdamW([others], weight_decay=weight_decay))
    if sliders:
        group = {"params": sliders, "lr_scale": ADAMW_LR_SCALE}
        optimisers.append(torch.optim.AdamW([group], weight_decay=0.0))
    return optimisers


def _kernel_names(network: Network) -> list[str]:
    """Return the names of the kernels that process the image, not of those that modulate them."""
    return [
        f"{name}.weight"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        and not name.startswith((CONDITIONING_PREFIX, "thumbnail_encoder."))
    ]
