"""The networks by name. Importing this module does not import PyTorch.

The U-Nets that a search finds have no entry in `NETWORKS`: their names say what they are. In
``unet2-32.32.48.64-0122-022-ppsd-relu-offset``, the parts are the side of a cell, the widths, the
numbers of layers down and up, the kinds of layers by level (plain, separable or dilated), the
activation and the form of the output. The last three are left out where they are the default ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from burnish.errors import UsageError
from burnish.params import Param

if TYPE_CHECKING:
    from burnish.modelfile.quality import Quality
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
    "preview": _unet(
        "narrow U-Net for previews and videos, 1 k multiply-adds per pixel",
        widths=(16, 16, 16, 32),
        down=(0, 1, 1, 1),
        up=(1, 1, 1),
        edge_kernel=1,
    ),
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
# The network of each quality. `burnish compress --nest` adds others to a file with a standard one.
NETWORKS_BY_QUALITY: "dict[Quality, str]" = {
    "preview": "preview",
    "standard": "fast",
    "best": "best",
}

_KINDS = {"p": "plain", "s": "separable", "d": "dilated"}
_UNET_NAME = re.compile(
    r"unet([24])-(\d{1,3}(?:\.\d{1,3}){1,4})-(\d{2,5})-(\d{1,4})(?:-([psd]{2,5}))?(-relu)?(-offset)?"
)


def network_spec(name: str) -> NetworkSpec | None:
    """Return the network of this name; None if there is none.

    Examples
    --------
    >>> network_spec("unet4-16.32-12-1-sp-relu").arguments
    {'factor': 4, 'widths': (16, 32), 'down': (1, 2), 'up': (1,), 'kinds': ('separable', 'plain'), \
'activation': 'relu', 'gain': True}
    """
    if name in NETWORKS:
        return NETWORKS[name]
    match = _UNET_NAME.fullmatch(name)
    if match is None:
        return None
    cell, widths, down, up, letters, relu, offset = match.groups()
    levels = widths.count(".") + 1
    kinds = letters or "p" * levels
    if not len(down) == len(kinds) == levels == len(up) + 1 or "0" in widths.split("."):
        return None
    return _unet(
        "U-Net of a search",
        factor=int(cell),
        widths=tuple(map(int, widths.split("."))),
        down=tuple(map(int, down)),
        up=tuple(map(int, up)),
        kinds=tuple(_KINDS[letter] for letter in kinds),
        activation="relu" if relu else "leaky",
        gain=not offset,
    )


def unet_name(arguments: Mapping[str, Any]) -> str:
    """Return the name of a U-Net with these arguments; `network_spec` does the reverse.

    Examples
    --------
    >>> unet_name(network_spec("unet4-16.32-12-1-sp-relu").arguments)
    'unet4-16.32-12-1-sp-relu'
    """
    widths, down, up = (".".join(map(str, arguments["widths"])), arguments["down"], arguments["up"])
    parts = [f"unet{arguments['factor']}", widths, "".join(map(str, down)), "".join(map(str, up))]
    kinds = arguments.get("kinds", ())
    if set(kinds) - {"plain"}:
        parts.append("".join(kind[0] for kind in kinds))
    if arguments.get("activation", "leaky") == "relu":
        parts.append("relu")
    if not arguments.get("gain", True):
        parts.append("offset")
    return "-".join(parts)


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
    name : a name that `network_spec` knows
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
    spec = network_spec(name)
    if spec is None:
        raise KeyError(name)
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
