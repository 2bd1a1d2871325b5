"""The fields of cards about networks: sizes and costs, and the networks of other qualities."""

from collections.abc import Iterator
from typing import Any

from burnish.modelfile.card import Capacity, StartNetwork, quality_outputs
from burnish.modelfile.quality import STANDARD, Quality
from burnish.networks.nested import NestedNetwork
from burnish.networks.network import Network
from burnish.networks.registry import NESTED


def network_fields(network: Network) -> dict[str, Any]:
    """Return the fields that `Card`, `StartNetwork` and `Capacity` share."""
    return {
        "halo": network.halo,
        "size_multiple": network.size_multiple,
        "macs_per_pixel": network.macs_per_pixel,
        "peak_activations_per_pixel": network.peak_activations_per_pixel,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "thumbnail_size": network.thumbnail_size,
        "coords": bool(network.thumbnail_size),
    }


def capacities(
    network: Network, start: Network | None = None, *, full_size: bool = False
) -> tuple[Capacity, ...]:
    """Return the fields of the networks of other qualities than standard.

    Parameters
    ----------
    start : the start network; if it is nested too, each quality has its own
    full_size : see `burnish.modelfile.card.StartNetwork`
    """
    fields = []
    for quality, own, own_start in _others(network, start):
        start_fields = None
        if own_start is not None:
            numbers = network_fields(own_start)
            start_fields = StartNetwork(network=NESTED[quality], full_size=full_size, **numbers)
        fields.append(
            Capacity.model_validate(
                {"quality": quality, "network": NESTED[quality], "start": start_fields}
                | network_fields(own)
            )
        )
    return tuple(fields)


def other_networks(network: Network, start: Network | None = None) -> dict[str, Network]:
    """Return the networks of other qualities by their outputs, as `export` takes them."""
    networks: dict[str, Network] = {}
    for quality, own, own_start in _others(network, start):
        output, start_output = quality_outputs(quality)
        networks[output] = own
        if own_start is not None:
            networks[start_output] = own_start
    return networks


def standard_network(network: Network) -> Network:
    """Return the network of standard quality of a nested network, and any other one as it is."""
    return network.network(STANDARD) if isinstance(network, NestedNetwork) else network


def _others(
    network: Network, start: Network | None
) -> Iterator[tuple[Quality, Network, Network | None]]:
    if not isinstance(network, NestedNetwork):
        return
    starts = start if isinstance(start, NestedNetwork) else None
    for quality in network.qualities:
        if quality != STANDARD:
            own_start = None
            if starts is not None and quality in starts.qualities:
                own_start = starts.network(quality)
            yield quality, network.network(quality), own_start
