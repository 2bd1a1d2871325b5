"""Features of a pruned network beside those of the original one, for distillation.

Pruning keeps channels of the original network, so that each feature map of what is left has its
counterpart, channel by channel.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.compression.structure import Edit, apply_edits, channel_groups, group_name, layer_name
from burnish.networks.network import Network

# Side of the grid that features are averaged to before their affinities are computed.
AFFINITY_SIDE = 8


@dataclass(frozen=True)
class Counterpart:
    """A layer of a pruned network, and the inputs of the original layer that are left.

    Attributes
    ----------
    layer, original : the names of the layer in both networks
    kept : the channels of the original layer's input
    """

    layer: str
    original: str
    kept: tuple[int, ...]


def counterparts(original: Network, edits: Sequence[Edit]) -> list[Counterpart]:
    """Return the layers of the network that edits lead to, each with its original one."""
    pruned = copy.deepcopy(original)
    layers = [layer for group in channel_groups(pruned) for layer in group.consumers]
    names = {layer: layer_name(pruned, layer) for layer in layers}
    kept = {layer: list(range(layer.in_channels)) for layer in layers}
    for edit in edits:
        for group in channel_groups(pruned):
            channels = edit.get("keep", {}).get(group_name(pruned, group))
            if channels is not None:
                for layer in group.consumers:
                    kept[layer] = [kept[layer][channel] for channel in channels]
        apply_edits(pruned, [edit])
    left = {layer for group in channel_groups(pruned) for layer in group.consumers}
    return [
        Counterpart(layer_name(pruned, layer), names[layer], tuple(kept[layer]))
        for layer in layers
        if layer in left
    ]


@contextmanager
def recorded_inputs(network: Network, names: Sequence[str]) -> Iterator[list[Tensor]]:
    """Record the inputs of layers while a network runs, in the order of the names."""
    inputs: dict[str, Tensor] = {}
    found: list[Tensor] = []

    def record(name: str) -> Any:
        def hook(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            inputs[name] = arguments[0]

        return hook

    handles = [
        network.get_submodule(name).register_forward_pre_hook(record(name)) for name in names
    ]
    try:
        yield found
        found += [inputs[name] for name in names]
    finally:
        for handle in handles:
            handle.remove()


def feature_error(features: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared difference of two feature maps, relative to the original one."""
    return F.mse_loss(features, original) / original.square().mean().clamp_min(1e-12)


def affinity_error(features: Tensor, original: Tensor) -> Tensor:
    """Return the mean squared difference of the pair-wise affinities within two feature maps.

    The affinity of two cells is the cosine of the angle between their features (structured
    distillation, Liu et al. 2019, https://doi.org/10.1109/CVPR.2019.00271). The maps may differ in
    their channels.
    """
    return F.mse_loss(_affinities(features), _affinities(original))


def _affinities(features: Tensor) -> Tensor:
    """Return the affinities of all pairs of cells, (N, C, h, w) -> (N, cells, cells)."""
    side = min(AFFINITY_SIDE, *features.shape[2:])
    cells = F.normalize(F.adaptive_avg_pool2d(features, side).flatten(2), dim=1)
    return torch.einsum("nci,ncj->nij", cells, cells)
