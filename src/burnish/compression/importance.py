"""Importance of channels and layers: how much the result changes without them.

The Taylor expansion of Molchanov et al. 2019 (https://doi.org/10.1109/CVPR.2019.01152), on gates:
each channel is multiplied by a gate of 1, and pruning sets the gate to 0. The result of a trained
network is the reference, so that the first-order term of the squared error vanishes. The term of
second order is the square of the result's derivative by the gate, estimated from derivatives of
random projections of the result.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from burnish.compression.structure import ChannelGroup
from burnish.networks.network import Network
from burnish.training.sampler import Batch

# Batches that importance is computed on.
BATCHES = 6
# Random projections of the result for each batch.
PROJECTIONS = 2


def channel_importance(
    network: Network, groups: Sequence[ChannelGroup], batches: Sequence[Batch]
) -> list[Tensor]:
    """Return the mean squared change of the result if a channel is removed, for each group.

    Changes of several channels do not simply add up, but their sum serves to rank them.
    """
    gates = [torch.ones(1, group.width, 1, 1, requires_grad=True) for group in groups]
    generator = torch.Generator().manual_seed(0)
    sums = [torch.zeros(group.width) for group in groups]
    with _gated(groups, gates):
        for batch in batches:
            result = network(batch.before, *batch.context)
            for _ in range(PROJECTIONS):
                signs = torch.randint(0, 2, result.shape, generator=generator) * 2.0 - 1
                slopes = torch.autograd.grad((signs * result).sum(), gates, retain_graph=True)
                for total, slope in zip(sums, slopes, strict=True):
                    total += slope.flatten().square() / result.numel()
    return [total / (PROJECTIONS * len(batches)) for total in sums]


@contextmanager
def _gated(groups: Sequence[ChannelGroup], gates: Sequence[Tensor]) -> Iterator[None]:
    """Multiply what the consumers of each group read by its gates."""

    def gate_by(gate: Tensor) -> Callable[[nn.Module, Any], Any]:
        return lambda layer, inputs: (inputs[0] * gate, *inputs[1:])

    handles = [
        consumer.register_forward_pre_hook(gate_by(gate))
        for group, gate in zip(groups, gates, strict=True)
        for consumer in group.consumers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def mean_squared_change(network: Network, original: Network, batches: Sequence[Batch]) -> float:
    """Return the mean squared difference of two networks' results."""
    changes = [
        (network(batch.before, *batch.context) - original(batch.before, *batch.context)).square()
        for batch in batches
    ]
    return float(torch.cat([change.flatten() for change in changes]).mean())
