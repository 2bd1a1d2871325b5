"""Start from a model: its weights instead of random ones."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.networks.conditioning import Bend
from burnish.networks.network import SLIDING, Network

# What a network has for sliders or for a thumbnail alone, and changes nothing until it has learnt.
_ADDED = (SLIDING, "glance.", "survey.")


def start_from(network: Network, weights: Mapping[str, NDArray[np.float32]], model: str) -> None:
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
    own = dict(network.named_parameters())
    fitting = {
        name: torch.from_numpy(weights[name])
        for name, parameter in own.items()
        if name in weights and weights[name].shape == tuple(parameter.shape)
    }
    unfit = [name for name in own if name not in fitting]
    missing = [name for name in unfit if not name.startswith(_ADDED)]
    if missing:
        raise UsageError(
            "--start-from",
            expected="a model of the same --network, without normalisation",
            got=f"{model}, which has no {missing[0]} of the same shape",
            remedy="choose its network or another model, or leave it out",
        )
    # A part is taken over whole or not at all: half of one would not be the identity.
    anew = tuple(part for part in _ADDED if any(name.startswith(part) for name in unfit))
    kept = {name: value for name, value in fitting.items() if not name.startswith(anew)}
    network.load_state_dict(kept, strict=False)
    # A model file has whole numbers there; a step of the optimiser is made for others.
    for bend in network.modules():
        if isinstance(bend, Bend):
            found = bend.kernels.weight.detach().square().mean(dim=(0, 2, 3)).sqrt()
            bend.scale(bend.spread / found.clamp_min(torch.finfo(torch.float16).tiny))
