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
class Shape:
    """Where the function lies that builds a network, and with what.

    ``takes_context``: whether it can take parameter values and a thumbnail with each picture.
    ``greys``: whether it can be told that all results are grey.
    ``settings``: what has been found to train it well, where that differs from what others need.
    """

    about: str
    call: str
    arguments: dict[str, Any] = field(default_factory=dict)
    takes_context: bool = False
    greys: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


_STUDENT_SETTINGS = {"batch": 8, "crop": 128, "optimiser": "muon", "peak_rate": 8e-3}

NETWORKS = {
    "fast": Shape(
        "U-shaped, half resolution and below, 7 k multiply-adds a pixel",
        "burnish.networks.unet:UNet",
        {"widths": (32, 32, 48, 64), "down": (0, 1, 2, 2), "up": (0, 2, 2)},
        takes_context=True,
        greys=True,
        settings=_STUDENT_SETTINGS,
    ),
    "best": Shape(
        "U-shaped, wider and deeper, 19 k multiply-adds a pixel",
        "burnish.networks.unet:UNet",
        {"widths": (48, 48, 64, 64), "down": (0, 2, 2, 2), "up": (1, 2, 2)},
        takes_context=True,
        greys=True,
        settings=_STUDENT_SETTINGS,
    ),
    "can24": Shape(
        "the paper's, at full resolution, 37 k multiply-adds a pixel", "burnish.networks.can:can24"
    ),
    "can32": Shape(
        "the paper's larger one, 75 k multiply-adds a pixel", "burnish.networks.can:can32"
    ),
}
DEFAULT_NETWORK = "fast"


def build(
    name: str, sliders: Sequence[Param] = (), thumbnail: bool = False, grey: bool = False
) -> "Network":
    """Return a new network, untrained.

    Parameters
    ----------
    sliders : parameters whose values it is to take with each picture
    thumbnail : whether it is to take a small version of the whole picture
    grey : whether its results are to be grey, for a network that can be told

    Raises
    ------
    UsageError : the network takes neither

    Examples
    --------
    >>> build("can24").halo
    128
    """
    shape = NETWORKS[name]
    module, _, function = shape.call.partition(":")
    make = getattr(import_module(module), function)
    arguments = dict(shape.arguments)
    if shape.takes_context:
        arguments |= {"sliders": tuple(sliders), "thumbnail": thumbnail}
    elif sliders or thumbnail:
        able = [name for name, other in NETWORKS.items() if other.takes_context]
        raise UsageError(
            "--network",
            expected=f"{' or '.join(able)} for sliders or a thumbnail",
            got=name,
            remedy="choose one of them, or leave sliders and thumbnail out",
        )
    if grey and shape.greys:
        arguments["grey"] = True
    network: Network = make(**arguments)
    return network
