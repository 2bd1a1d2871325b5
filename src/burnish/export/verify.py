"""Is what a card claims about a network true, and tight? Worked out, not believed."""

import torch
from torch import nn

from burnish.errors import ModelError
from burnish.modelfile.card import Card
from burnish.modelfile.costs import Costs


def check_claims(network: nn.Module, card: Card, costs: Costs, sight: int) -> None:
    """Hold the card's numbers against the network and its graph.

    Parameters
    ----------
    costs, sight : of the network's graph: what running it costs, and how far a result pixel sees

    Raises
    ------
    ModelError : a claim differs from what is measured, by as little as one
    """
    measured = {
        "halo": sight,
        "macs_per_pixel": costs.macs_per_pixel,
        "activations_per_pixel": costs.activations_per_pixel,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    for claim, number in measured.items():
        if getattr(card, claim) != number:
            raise ModelError(
                f"card of {card.name}, {claim}",
                expected=f"{number}, as the network has it",
                got=f"{getattr(card, claim)}",
                remedy="state what the network is",
            )
    for smaller in (d for d in range(1, card.multiple) if card.multiple % d == 0):
        if _takes(network, card, smaller):
            raise ModelError(
                f"card of {card.name}, multiple",
                expected=f"{smaller}, which the network takes",
                got=f"{card.multiple}",
                remedy="state the smallest",
            )


def _takes(network: nn.Module, card: Card, size: int) -> bool:
    image = torch.zeros(1, 3, size, size)
    context = [torch.ones(1, *shape) for shape in card.context.values()]
    if card.places:
        context.append(torch.zeros(1, 1, 1, 2))
    try:
        with torch.no_grad():
            return bool(network(image, *context).shape == image.shape)
    except RuntimeError:
        return False
