"""Is what a card claims about a network true, and tight? Measured, not believed."""

import copy

import torch
from torch import Tensor, nn

from burnish.errors import ModelError
from burnish.modelfile.card import Card
from burnish.modelfile.costs import Costs


def check_claims(network: nn.Module, card: Card, costs: Costs) -> None:
    """Hold the card's numbers against the network and its graph's costs.

    Raises
    ------
    ModelError : a claim differs from what is measured, by as little as one
    """
    measured = {
        "halo": reach(network, card.multiple),
        "macs_per_pixel": costs.macs_per_pixel,
        "activations_per_pixel": costs.activations_per_pixel,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    for claim, number in measured.items():
        if getattr(card, claim) != number:
            raise ModelError(
                f"card of {card.name}, {claim}",
                expected=f"{number}, as measured",
                got=f"{getattr(card, claim)}",
                remedy="state what the network is",
            )
    for smaller in (d for d in range(1, card.multiple) if card.multiple % d == 0):
        if _takes(network, smaller):
            raise ModelError(
                f"card of {card.name}, multiple",
                expected=f"{smaller}, which the network takes",
                got=f"{card.multiple}",
                remedy="state the smallest",
            )


def reach(network: nn.Module, multiple: int) -> int:
    """Measure how far a result pixel sees, in px: the farthest input pixel that can change it.

    Weights are drawn anew, all positive, so that this is what the structure can see: a trained
    weight that happens to be zero, or a rectifier that happens to be off, hides nothing. A strip
    along each axis is enough, a neighbourhood being as wide as its middle row and column. Only a
    single jump of more than 1000 px would go unseen.

    Parameters
    ----------
    network : (N, 3, H, W) -> (N, 3, H, W); H and W are multiples of `multiple`

    Examples
    --------
    >>> reach(nn.Conv2d(3, 3, 5, padding=2), multiple=1)
    2
    """
    probe = _redrawn(network)
    blocks = -(-1024 // multiple)
    while True:
        seen = max(_farthest(probe, multiple, blocks, axis) for axis in (2, 3))
        if 2 * seen < multiple * blocks:  # Or the strip's end might hide more.
            return seen
        blocks *= 2


def _farthest(probe: nn.Module, multiple: int, blocks: int, axis: int) -> int:
    """Measure along an axis, in a strip with `blocks` blocks to each side of the middle one."""
    middle = multiple * blocks
    size = [multiple, multiple]
    size[axis - 2] = 2 * middle + multiple
    image = torch.rand(1, 3, *size, dtype=torch.float64).requires_grad_()
    result: Tensor = probe(image)
    farthest = 0
    # Each place in a block: where a network changes resolution, neighbours see unequally far.
    for place in range(middle, middle + multiple):
        total = result.select(axis, place).sum()
        (gradient,) = torch.autograd.grad(total, image, retain_graph=True)
        seen = gradient.abs().sum(dim=[d for d in range(4) if d != axis]).nonzero()
        farthest = max([farthest, *(seen - place).abs().flatten().tolist()])
    return farthest


def _redrawn(network: nn.Module) -> nn.Module:
    probe = copy.deepcopy(network).double().eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in probe.parameters():
            # Near a mean, so that values stay near those of a picture and no clip hides a path.
            fan_in = max(1, parameter[0].numel()) if parameter.dim() > 1 else 1
            parameter.uniform_(0.5, 1.0).div_(fan_in)
    return probe.requires_grad_(False)


def _takes(network: nn.Module, size: int) -> bool:
    image = torch.zeros(1, 3, size, size)
    try:
        with torch.no_grad():
            return bool(network(image).shape == image.shape)
    except RuntimeError:
        return False
