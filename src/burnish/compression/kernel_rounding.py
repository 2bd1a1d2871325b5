"""Rounding of kernels to 8 bits by its effect on features, not of each weight for itself.

After Frantar et al. 2023 (https://doi.org/10.48550/arXiv.2210.17323): the weights of an output
channel are rounded one after the other, and those that remain make up for the error on the inputs
that the layer gets. Neighbouring pixels are so alike that their errors cancel out.
"""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from burnish.compression.reconstruction import patches
from burnish.compression.structure import channel_groups
from burnish.networks.network import Network
from burnish.runtime.quantisation import KERNEL_MAX
from burnish.training.sampler import Batch

# A share of the mean second moment, which is added for inputs that are never used.
_DAMPING = 1e-3
# The moments are computed at one in so many positions.
_STRIDE = 7


@torch.no_grad()
def round_kernels(network: Network, batches: Iterable[Batch]) -> None:
    """Round the kernels of a network in place, so that rounding to the nearest step keeps them.

    The gains of a guided network are rounded as `subtract_guide` of the graph combines them.
    """
    moments: dict[nn.Conv2d, Tensor] = {}

    def observe(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer = cast(nn.Conv2d, module)
        columns = patches(layer, inputs[0])[::_STRIDE]
        moment = (columns.T @ columns).double()
        moments[layer] = moments[layer] + moment if layer in moments else moment

    groups = channel_groups(network)
    layers = {layer for group in groups for layer in (*group.producers, *group.consumers)}
    hooks = [layer.register_forward_pre_hook(observe) for layer in layers]
    for batch in batches:
        network(batch.before, *batch.context)
    for hook in hooks:
        hook.remove()
    tail = getattr(network, "tail", None)
    for layer, moment in moments.items():
        kernel = layer.weight.double().flatten(1)
        mixed = layer is tail and getattr(network, "guide_gain", False)
        if mixed:
            gain, offset, guide_gain = kernel.chunk(3)
            kernel = torch.cat([gain, offset, gain + guide_gain])
        kernel = rounded(kernel, moment)
        if mixed:
            gain, offset, total = kernel.chunk(3)
            kernel = torch.cat([gain, offset, total - gain])
        layer.weight.copy_(kernel.view_as(layer.weight))


def rounded(kernel: Tensor, moment: Tensor) -> Tensor:
    """Round the rows of a kernel to integer multiples of a scale of each row.

    Parameters
    ----------
    kernel : (rows, inputs)
    moment : second moments of the inputs, (inputs, inputs)
    """
    largest, position = kernel.abs().max(1, keepdim=True)
    scale = largest.clamp_min(torch.finfo(torch.float32).tiny) / KERNEL_MAX
    order = moment.diagonal().argsort(descending=True)
    damping = _DAMPING * moment.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    damped = moment[order][:, order] + damping * torch.eye(len(moment), dtype=moment.dtype)
    factor = torch.linalg.cholesky(torch.linalg.inv(damped), upper=True)
    rest, result = kernel[:, order].clone(), torch.zeros_like(kernel)
    for index, column in enumerate(order.tolist()):
        steps = (rest[:, index : index + 1] / scale).round().clamp(-KERNEL_MAX, KERNEL_MAX)
        # The largest weight determines the scale, and stays.
        is_largest = position == column
        steps = torch.where(is_largest, kernel[:, column : column + 1].sign() * KERNEL_MAX, steps)
        result[:, column] = (steps * scale)[:, 0]
        error = (rest[:, index] - result[:, column]) / factor[index, index]
        rest[:, index:] -= error[:, None] * factor[index, index:]
    return result
