"""Reconstruction: the layers after removed channels are fitted to their original outputs.

Channel pruning of He et al. 2017 (https://doi.org/10.1109/ICCV.2017.155): the kernel of a layer
whose inputs are fewer is chosen by least squares, so that its outputs stay what they were.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from burnish.networks.network import Network
from burnish.networks.separable import SeparableConv2d
from burnish.training.sampler import Batch

# Positions of each batch that the equations of a layer are made for.
POSITIONS = 4096
# Ridge, relative to the mean square of the inputs. It keeps kernels near their old values where
# inputs are alike: large weights of opposite sign would amplify what rounding leaves.
RIDGE = 1e-3


@torch.no_grad()
def reconstruct(
    pruned: Network,
    original: Network,
    layers: Sequence[tuple[nn.Conv2d, nn.Conv2d, Sequence[int]]],
    batches: Sequence[Batch],
) -> None:
    """Fit layers of a pruned network, in place and one after the other.

    Parameters
    ----------
    layers : in the order in which they run, each with the layer of the original network and the
        channels of its output that are left. Changes by sliders and thumbnails come after a
        layer's own kernel, and are left as they are
    batches : at the sliders' default values
    """
    for layer, original_layer, kept in layers:
        inputs, targets = [], []
        for index, batch in enumerate(batches):
            ours = _input_of(pruned, layer, batch)
            theirs = _input_of(original, original_layer, batch)
            target = original_layer(theirs)[:, list(kept)]
            columns, rows = patches(layer, ours), target.flatten(2).transpose(1, 2).flatten(0, 1)
            generator = torch.Generator().manual_seed(index)
            chosen = torch.randperm(len(rows), generator=generator)[:POSITIONS]
            inputs.append(columns[chosen])
            targets.append(rows[chosen])
        kernel, bias = least_squares(torch.cat(inputs), torch.cat(targets), layer)
        layer.weight.copy_(kernel)
        if layer.bias is not None:
            layer.bias.copy_(bias)


def least_squares(
    columns: Tensor, targets: Tensor, layer: nn.Conv2d, ridge: float = RIDGE
) -> tuple[Tensor, Tensor]:
    """Return the kernel and bias that map patches to targets best, near those of the layer.

    Parameters
    ----------
    columns : (positions, inputs of a kernel), from `patches`
    targets : (positions, output channels)
    ridge : see `RIDGE`
    """
    ones = torch.ones(len(columns), 1, dtype=torch.float64)
    matrix = torch.cat([columns.double(), ones], dim=1)
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_channels)
    current = torch.cat([layer.weight.flatten(1), bias[:, None]], dim=1).double()
    residual = targets.double() - matrix @ current.T
    gram = matrix.T @ matrix
    penalty = ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    change = torch.linalg.solve(gram + penalty, matrix.T @ residual)
    fitted = (current + change.T).float()
    return fitted[:, :-1].reshape(layer.weight.shape), fitted[:, -1]


def patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return the inputs of a layer's kernel at each position, (positions, inputs of a kernel)."""
    if isinstance(layer, SeparableConv2d):  # its kernel reads what its filters give
        filtered: Tensor = layer.depthwise(x)
        return filtered.flatten(2).transpose(1, 2).flatten(0, 1)
    kernel, padding = tuple(layer.kernel_size), tuple(int(p) for p in layer.padding)
    columns = F.unfold(x, kernel, tuple(layer.dilation), padding, tuple(layer.stride))
    return columns.transpose(1, 2).flatten(0, 1)


class _LayerReachedError(Exception):
    """Ends a run of a network at the layer whose input is wanted."""


def _input_of(network: Network, layer: nn.Conv2d, batch: Batch) -> Tensor:
    """Return the input of a layer, for a batch."""
    found: list[Tensor] = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0])
        raise _LayerReachedError

    handle = layer.register_forward_pre_hook(keep)
    try:
        network(batch.before, *batch.context)
    except _LayerReachedError:
        pass
    finally:
        handle.remove()
    return found[0]
