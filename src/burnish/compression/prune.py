"""Structured pruning: channels and layers are removed until the predicted time is short enough.

Layers may also become separable. That, too, is a removal of weights that saves time.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from burnish.compression.importance import channel_importance, mean_squared_change
from burnish.compression.latency import LatencyTable, image_layers
from burnish.compression.reconstruction import reconstruct
from burnish.compression.structure import (
    ChannelGroup,
    Edit,
    apply_edits,
    channel_groups,
    group_name,
    layer_name,
    removable_layers,
    separable_layers,
)
from burnish.networks.network import Network
from burnish.progress import SILENT, Progress
from burnish.training.sampler import Batch

# Numbers of channels that are left are multiples of this. Engines compute in blocks of 8 or 16.
WIDTH_STEP = 8
# A removal that saves less than this fraction of the time is not worth its loss.
MIN_SAVING = 0.01
# Batches that the change without a whole layer is measured on.
LAYER_BATCHES = 2
# The smallest mean squared change that costs are told apart by.
_MIN_COST = 1e-12


@dataclass(frozen=True)
class Removal:
    """A removal that is possible, the time that it saves, and the change of the result.

    Attributes
    ----------
    consumers : the names of the layers that are fitted afterwards
    saving : in ms for a megapixel, predicted
    cost : the mean squared change of the result, estimated
    """

    edit: Edit
    consumers: tuple[str, ...]
    saving: float
    cost: float

    def ratio(self, needed: float) -> float:
        """Return the time saved for the cost. What is saved beyond the need does not count."""
        return min(self.saving, needed) / max(self.cost, _MIN_COST)


def prune(
    network: Network,
    table: LatencyTable,
    time: float,
    batches: Sequence[Batch],
    progress: Progress = SILENT,
    *,
    separable: bool = False,
) -> tuple[Network, list[Edit]]:
    """Return a copy of a network without some channels and layers, and the edits that made it.

    The removal that saves the most time for its change of the result comes first. After each, the
    layers that read the removed channels are fitted by least squares, and the importance of what is
    left is computed anew.

    Parameters
    ----------
    time : that the layers may take by the table, in ms for a megapixel. The copy takes longer if
        there is nothing left to remove
    batches : at the sliders' default values
    progress : receives one task
    separable : layers may also become separable; see `SeparableConv2d`
    """
    progress.start("pruning", 100)
    network = copy.deepcopy(network).eval().requires_grad_(False)
    saving = table.network(network) - time
    edits: list[Edit] = []
    done = 0.0
    while (needed := table.network(network) - time) > 0:
        removals = list(_removals(network, table, batches, separable))
        if not removals:
            break
        best = max(removals, key=lambda removal: removal.ratio(needed))
        before = copy.deepcopy(network)
        consumers = [network.get_submodule(name) for name in best.consumers]
        originals = [before.get_submodule(name) for name in best.consumers]
        apply_edits(network, [best.edit])
        if "separate" in best.edit:  # the layer itself is replaced
            consumers = [network.get_submodule(name) for name in best.consumers]
        layers = [
            (_as_conv(after), _as_conv(original), range(_as_conv(original).out_channels))
            for after, original in zip(consumers, originals, strict=True)
        ]
        reconstruct(network, before, layers, batches)
        edits.append(best.edit)
        fraction = min(1.0, 1 - (table.network(network) - time) / saving)
        progress.advance(100 * (fraction - done))
        done = fraction
    return network.requires_grad_(True), edits


def _removals(
    network: Network, table: LatencyTable, batches: Sequence[Batch], separable: bool
) -> Iterator[Removal]:
    groups = channel_groups(network)
    time = table.network(network)
    least = MIN_SAVING * time
    for group, importance in zip(groups, channel_importance(network, groups, batches), strict=True):
        order = importance.argsort(descending=True)
        name, consumers = group_name(network, group), _names(network, group.consumers)
        for width in _narrower(group.width):
            saving = time - _time_at_width(network, table, group, width)
            if saving >= least:
                kept = sorted(order[:width].tolist())
                cost = float(importance[order[width:]].sum())
                yield Removal({"keep": {name: kept}}, consumers, saving, cost)
    for layer in removable_layers(network):
        (group,) = (g for g in groups if layer in (*g.producers, *g.depthwise))
        consumers = _names(network, group.consumers)
        saving = _time_of_layer(network, table, layer)
        if saving >= least:
            edit = {"remove": layer_name(network, layer)}
            yield Removal(edit, consumers, saving, _cost(edit, network, batches))
    for layer in separable_layers(network) if separable else ():
        saving = _time_of_layer(network, table, layer)
        saving -= _time_of_layer(network, table, layer, separable=True)
        if saving >= least:
            name = layer_name(network, layer)
            edit = {"separate": name}
            yield Removal(edit, (name,), saving, _cost(edit, network, batches))


def _cost(edit: Edit, network: Network, batches: Sequence[Batch]) -> float:
    """Return the change of the result by an edit of a whole layer."""
    changed = apply_edits(copy.deepcopy(network), [edit])
    return mean_squared_change(changed, network, batches[:LAYER_BATCHES])


def _narrower(width: int) -> list[int]:
    """Return the numbers of channels to which so many can be reduced."""
    return list(range(WIDTH_STEP, width, WIDTH_STEP)) or ([width // 2] if width > 1 else [])


def _time_at_width(network: Network, table: LatencyTable, group: ChannelGroup, width: int) -> float:
    """Return the time of a network's layers if a group had so many channels."""
    total = 0.0
    for layer, positions in image_layers(network):
        inputs = width if layer in (*group.consumers, *group.depthwise) else layer.in_channels
        outputs = width if layer in (*group.producers, *group.depthwise) else layer.out_channels
        total += table.milliseconds(layer, inputs, outputs) * float(positions)
    return total


def _time_of_layer(
    network: Network, table: LatencyTable, layer: nn.Conv2d, *, separable: bool = False
) -> float:
    channels = layer.in_channels, layer.out_channels
    return sum(
        table.milliseconds(layer, *channels, separable=separable) * float(positions)
        for other, positions in image_layers(network)
        if other is layer
    )


def _names(network: Network, layers: Sequence[nn.Conv2d]) -> tuple[str, ...]:
    return tuple(layer_name(network, layer) for layer in layers)


def _as_conv(module: nn.Module) -> nn.Conv2d:
    assert isinstance(module, nn.Conv2d)
    return module


def describe(edits: Sequence[Edit], original: Network, pruned: Network) -> str:
    """Return the removals of a network in words.

    Examples
    --------
    >>> from burnish.networks.can import CAN
    >>> from burnish.export.weights import fold
    >>> original = fold(CAN(4, (1, 1)).set_norm_mode("frozen"))
    >>> edits = [{"keep": {"layers.1": [0, 2]}}]
    >>> describe(edits, original, apply_edits(copy.deepcopy(original), edits))
    '2 of 8 channels removed'
    """
    channels = [sum(g.width for g in channel_groups(network)) for network in (original, pruned)]
    removed = [edit["remove"] for edit in edits if "remove" in edit]
    texts = [f"{channels[0] - channels[1]} of {channels[0]} channels removed"]
    if removed:
        texts.append(f"{len(removed)} layer{'s' if len(removed) > 1 else ''} removed")
    if separable := sum("separate" in edit for edit in edits):
        texts.append(f"{separable} layer{'s' if separable > 1 else ''} separable")
    return ", ".join(texts)
