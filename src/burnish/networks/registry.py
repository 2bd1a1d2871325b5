"""The networks that can be trained, as one literal; importing it costs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from burnish.errors import UsageError
from burnish.params import Param

if TYPE_CHECKING:
    from burnish.networks.network import Network


@dataclass(frozen=True)
class NetworkSpec:
    """Where the function lies that builds a network, and with what.

    ``supports_conditioning``: whether it can take parameter values and a thumbnail with each picture.
    ``supports_grey``: whether it can be told that all results are grey.
    ``train_defaults``: what has been found to train it well, where that differs from what others need.
    """

    description: str
    factory: str
    arguments: dict[str, Any] = field(default_factory=dict)
    supports_conditioning: bool = False
    supports_grey: bool = False
    train_defaults: dict[str, Any] = field(default_factory=dict)


_UNET_TRAIN_DEFAULTS = {"batch": 8, "crop": 128, "optimiser": "muon", "max_lr": 8e-3}

NETWORKS = {
    "fast": NetworkSpec(
        "U-shaped, half resolution and below, 7 k multiply-adds a pixel",
        "burnish.networks.unet:UNet",
        {"widths": (32, 32, 48, 64), "down": (0, 1, 2, 2), "up": (0, 2, 2)},
        supports_conditioning=True,
        supports_grey=True,
        train_defaults=_UNET_TRAIN_DEFAULTS,
    ),
    "best": NetworkSpec(
        "U-shaped, wider and deeper, 19 k multiply-adds a pixel",
        "burnish.networks.unet:UNet",
        {"widths": (48, 48, 64, 64), "down": (0, 2, 2, 2), "up": (1, 2, 2)},
        supports_conditioning=True,
        supports_grey=True,
        train_defaults=_UNET_TRAIN_DEFAULTS,
    ),
    "can24": NetworkSpec(
        "the paper's, at full resolution, 37 k multiply-adds a pixel", "burnish.networks.can:can24"
    ),
    "can32": NetworkSpec(
        "the paper's larger one, 75 k multiply-adds a pixel", "burnish.networks.can:can32"
    ),
}
DEFAULT_NETWORK = "fast"


def build(
    name: str, sliders: Sequence[Param] = (), global_context: bool = False, grey: bool = False
) -> "Network":
    """Return a new network, untrained.

    Parameters
    ----------
    sliders : parameters whose values it is to take with each picture
    global_context : whether it is to take a small version of the whole picture
    grey : whether its results are to be grey, for a network that can be told

    Raises
    ------
    UsageError : the network takes neither

    Examples
    --------
    >>> build("can24").halo
    128
    """
    spec = NETWORKS[name]
    module, _, function = spec.factory.partition(":")
    factory = getattr(import_module(module), function)
    arguments = dict(spec.arguments)
    if spec.supports_conditioning:
        arguments |= {"sliders": tuple(sliders), "global_context": global_context}
    elif sliders or global_context:
        supporting = [name for name, other in NETWORKS.items() if other.supports_conditioning]
        raise UsageError(
            "--network",
            expected=f"{' or '.join(supporting)} for sliders or a thumbnail",
            got=name,
            remedy="choose one of them, or leave sliders and thumbnail out",
        )
    if grey and spec.supports_grey:
        arguments["grey"] = True
    network: Network = factory(**arguments)
    return network
