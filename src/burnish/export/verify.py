"""Is what a card claims about a network true, and tight? Worked out, not believed."""

import torch
from torch import nn

from burnish.errors import ModelError
from burnish.modelfile.card import Card
from burnish.modelfile.graph_costs import GraphCosts


def verify_card(network: nn.Module, card: Card, costs: GraphCosts, receptive_field: int) -> None:
    """Hold the card's numbers against the network and its graph.

    Parameters
    ----------
    costs, receptive_field : of the network's graph: what running it costs, and how far a result pixel sees

    Raises
    ------
    ModelError : a claim differs from what is measured, by as little as one
    """
    measured = {
        "halo": receptive_field,
        "macs_per_pixel": costs.macs_per_pixel,
        "peak_activations_per_pixel": costs.peak_activations_per_pixel,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
    }
    for field, value in measured.items():
        if getattr(card, field) != value:
            raise ModelError(
                f"card of {card.name}, {field}",
                expected=f"{value}, as the network has it",
                got=f"{getattr(card, field)}",
                remedy="state what the network is",
            )
    for smaller in (d for d in range(1, card.size_multiple) if card.size_multiple % d == 0):
        if _accepts(network, card, smaller):
            raise ModelError(
                f"card of {card.name}, size_multiple",
                expected=f"{smaller}, which the network takes",
                got=f"{card.size_multiple}",
                remedy="state the smallest",
            )


def _accepts(network: nn.Module, card: Card, size: int) -> bool:
    image = torch.zeros(1, 3, size, size)
    context = [torch.ones(1, *shape) for shape in card.context_shapes.values()]
    if card.coords:
        context.append(torch.zeros(1, 1, 1, 2))
    try:
        with torch.no_grad():
            return bool(network(image, *context).shape == image.shape)
    except RuntimeError:
        return False
