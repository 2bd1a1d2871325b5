"""The networks by name. Importing this module does not import PyTorch."""

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
    """A network's constructor and its arguments.

    Attributes
    ----------
    factory : ``module:function``
    is_unet : it can have sliders, global context and a guide, and its output can be made grey
    train_defaults : fields of `TrainConfig` that suit it better than their defaults
    """

    description: str
    factory: str
    arguments: dict[str, Any] = field(default_factory=dict)
    is_unet: bool = False
    train_defaults: dict[str, Any] = field(default_factory=dict)


def _unet(description: str, **arguments: Any) -> NetworkSpec:
    train_defaults = {"batch": 8, "crop": 128, "optimiser": "muon", "max_lr": 8e-3}
    return NetworkSpec(description, "unet:UNet", arguments, True, train_defaults)


NETWORKS = {
    "fast": _unet(
        "U-Net at half resolution and below, 7 k multiply-adds per pixel",
        widths=(32, 32, 48, 64),
        down=(0, 1, 2, 2),
        up=(0, 2, 2),
    ),
    "best": _unet(
        "wider and deeper U-Net, 19 k multiply-adds per pixel",
        widths=(48, 48, 64, 64),
        down=(0, 2, 2, 2),
        up=(1, 2, 2),
    ),
    "can24": NetworkSpec(
        "Chen et al.'s CAN24 at full resolution, 37 k multiply-adds per pixel", "can:can24"
    ),
    "can32": NetworkSpec("Chen et al.'s CAN32, 75 k multiply-adds per pixel", "can:can32"),
}
DEFAULT_NETWORK = "fast"


def build(
    name: str,
    sliders: Sequence[Param] = (),
    global_context: bool = False,
    grey: bool = False,
    guided: bool = False,
    guide_gain: bool = True,
) -> "Network":
    """Return a new network with random weights.

    Parameters
    ----------
    name : a key of `NETWORKS`
    sliders : parameters whose values are inputs
    global_context : a thumbnail of the whole image is an input
    grey : the output is grey, if the network supports that
    guided : the operator's output at a lower resolution is an input
    guide_gain : see `burnish.networks.unet.UNet`

    Raises
    ------
    UsageError : the network supports neither sliders, global context nor a guide

    Examples
    --------
    >>> build("can24").halo
    128
    """
    spec = NETWORKS[name]
    arguments = dict(spec.arguments)
    if spec.is_unet:
        arguments |= {
            "sliders": sliders,
            "global_context": global_context,
            "grey": grey,
            "guided": guided,
            "guide_gain": guide_gain,
        }
    elif sliders or global_context or guided:
        raise UsageError(
            "--network",
            f"{name} supports neither sliders, global context nor a guide",
            f"choose {' or '.join(n for n, s in NETWORKS.items() if s.is_unet)}, or omit these",
        )
    module, function = spec.factory.split(":")
    factory = getattr(import_module(f"burnish.networks.{module}"), function)
    network: Network = factory(**arguments)
    return network
