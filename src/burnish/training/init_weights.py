"""Initialise a network with the weights of a model."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.networks.conditioning import KernelDelta
from burnish.networks.network import CONDITIONING_PREFIX, Network

# The modules of sliders and of the thumbnail, which a model of the same network may lack.
_OPTIONAL_PREFIXES = (CONDITIONING_PREFIX, "thumbnail_encoder.", "global_context.")


def init_from(network: Network, weights: Mapping[str, NDArray[np.float32]], model: str) -> None:
    """Copy the weights of a model into a network, by name.

    Slider and thumbnail layers are copied only if both have them with equal shapes. Otherwise
    they keep their initial weights, with which they change nothing.

    Parameters
    ----------
    network : changed in place
    weights : see `named_weights` in `burnish.modelfile.onnx_file`
    model : its name, for error messages

    Raises
    ------
    UsageError : the model lacks one of the network's weights, or has it in another shape
    """
    params = dict(network.named_parameters())
    matching = {
        name: torch.from_numpy(weights[name])
        for name, param in params.items()
        if name in weights and weights[name].shape == tuple(param.shape)
    }
    unmatched = [name for name in params if name not in matching]
    missing = [name for name in unmatched if not name.startswith(_OPTIONAL_PREFIXES)]
    if missing:
        raise UsageError(
            "--init-from",
            f"model {model} has no weight {missing[0]} of this --network's shape",
            "choose a model of the same network, or leave it out",
        )
    # A module is copied as a whole or not at all, because half of one would change the output.
    skipped = tuple(
        prefix
        for prefix in _OPTIONAL_PREFIXES
        if any(name.startswith(prefix) for name in unmatched)
    )
    copied = {name: value for name, value in matching.items() if not name.startswith(skipped)}
    network.load_state_dict(copied, strict=False)
    # A model file stores the bases as integers. The optimiser's steps suit their initial scale.
    for module in network.modules():
        if isinstance(module, KernelDelta):
            std = module.basis.weight.detach().square().mean(dim=(0, 2, 3)).sqrt()
            module.rescale(module.init_std / std.clamp_min(torch.finfo(torch.float16).tiny))
