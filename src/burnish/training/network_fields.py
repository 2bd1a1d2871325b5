"""The fields of cards about networks: sizes and costs."""

from typing import Any

from burnish.networks.network import Network


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
