"""Start from a model: its weights instead of random ones."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.networks.conditioning import KernelDelta
from burnish.networks.network import CONDITIONING_PREFIX, Network

# What a network has for sliders or for a thumbnail alone, and changes nothing until it has learnt.
_OPTIONAL_PREFIXES = (CONDITIONING_PREFIX, "thumbnail_encoder.", "global_context.")


def init_from(network: Network, weights: Mapping[str, NDArray[np.float32]], model: str) -> None:
    """Give `network` the weights of a model, by name.

    What sliders or a thumbnail add is taken over where both have the same of it. Else it begins
    anew: until it has learnt, it changes nothing.

    Parameters
    ----------
    network : changed in place
    weights : as `burnish.modelfile.weights` returns them
    model : names it in messages

    Raises
    ------
    UsageError : the model lacks a weight of the network's, or has it in another shape
    """
    params = dict(network.named_parameters())
    matching = {
        name: torch.from_numpy(weights[name])
        for name, parameter in params.items()
        if name in weights and weights[name].shape == tuple(parameter.shape)
    }
    unmatched = [name for name in params if name not in matching]
    missing = [name for name in unmatched if not name.startswith(_OPTIONAL_PREFIXES)]
    if missing:
        raise UsageError(
            "--start-from",
            expected="a model of the same --network, without normalisation",
            got=f"{model}, which has no {missing[0]} of the same shape",
            remedy="choose its network or another model, or leave it out",
        )
    # A part is taken over whole or not at all: half of one would not be the identity.
    fresh_prefixes = tuple(
        prefix
        for prefix in _OPTIONAL_PREFIXES
        if any(name.startswith(prefix) for name in unmatched)
    )
    loaded = {
        name: value for name, value in matching.items() if not name.startswith(fresh_prefixes)
    }
    network.load_state_dict(loaded, strict=False)
    # A model file has whole numbers there; a step of the optimiser is made for others.
    for delta in network.modules():
        if isinstance(delta, KernelDelta):
            basis_std = delta.basis.weight.detach().square().mean(dim=(0, 2, 3)).sqrt()
            delta.rescale(delta.init_std / basis_std.clamp_min(torch.finfo(torch.float16).tiny))
