"""The networks that can be trained, as one literal; importing it costs nothing."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from burnish.networks.can import CAN

# Name -> where the function lies that builds it.
NETWORKS = {
    "can24": "burnish.networks.can:can24",
    "can32": "burnish.networks.can:can32",
}


def build(name: str) -> "CAN":
    """Return a new network, untrained.

    Examples
    --------
    >>> build("can24").halo
    128
    """
    module, _, function = NETWORKS[name].partition(":")
    network: CAN = getattr(import_module(module), function)()
    return network
