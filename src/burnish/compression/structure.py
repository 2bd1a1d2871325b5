"""Channels and layers of a network that can be removed, and layers that can become separable.

With channels removed, a network stays the same function as one with these channels set to zero. The
layers that compute sliders' and thumbnail's changes lose the same channels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from burnish.networks.can import CAN
from burnish.networks.conditioning import KernelDelta, ParamConditioning, ThumbnailEncoder
from burnish.networks.layers import layers_by_level
from burnish.networks.network import Network
from burnish.networks.separable import SeparableConv2d
from burnish.networks.unet import UNetBackbone

# A change of a network as values that JSON can hold: {"keep": {group: channels}},
# {"remove": layer} or {"separate": layer}.
Edit = Mapping[str, Any]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that several layers share, so that they can only be removed together.

    Attributes
    ----------
    producers : the layers whose outputs these channels are; several outputs are added up
    consumers : the layers that mix them
    depthwise : the layers between both that filter each channel by itself
    """

    producers: tuple[nn.Conv2d, ...]
    consumers: tuple[nn.Conv2d, ...]
    depthwise: tuple[nn.Conv2d, ...] = ()

    @property
    def width(self) -> int:
        """The number of channels."""
        return self.producers[0].out_channels


def channel_groups(network: Network) -> list[ChannelGroup]:
    """Return the hidden channels of a network, in the order in which they are computed.

    Channels of the image, of the guide and of the result are in none of the groups.
    """
    if isinstance(network, CAN):
        layers = [cast(nn.Conv2d, layer) for layer in (*network.layers, network.to_rgb)]
        return [ChannelGroup((a,), (b,)) for a, b in pairwise(layers)]
    if isinstance(network, UNetBackbone):
        return list(_unet_groups(network))
    raise TypeError(f"the channels of {type(network).__name__} are unknown")


def _unet_groups(network: UNetBackbone) -> Iterator[ChannelGroup]:
    producers = [network.head]
    consumers: list[nn.Conv2d] = []
    depthwise: list[nn.Conv2d] = []
    skips: list[tuple[list[nn.Conv2d], list[nn.Conv2d], list[nn.Conv2d]]] = []

    def end_group(layer: nn.Conv2d) -> ChannelGroup:
        """Return the group that a layer reads, and begin the one that it produces."""
        nonlocal producers, consumers, depthwise
        group = ChannelGroup(tuple(producers), (*consumers, layer), tuple(depthwise))
        producers, consumers, depthwise = [layer], [], []
        return group

    def run(layers: Iterable[nn.Conv2d]) -> Iterator[ChannelGroup]:
        for layer in layers:
            if is_depthwise(layer):
                depthwise.append(layer)
            else:
                yield end_group(layer)

    down, up = layers_by_level(network.down), layers_by_level(network.up)
    for level, layers in enumerate(down):
        if level:
            downsample = cast(nn.Conv2d, network.downsample[level - 1])
            skips.append((producers, [downsample], depthwise))
            producers, depthwise = [downsample], []
        if network.thumbnail_size and level == len(down) - 1:
            producers = [*producers, network.global_context.tail]
        yield from run(layers)
    for level in reversed(range(len(up))):
        yield end_group(cast(nn.Conv2d, network.upsample[level]))
        skip_producers, consumers, depthwise = skips.pop()
        producers = [*skip_producers, *producers]
        yield from run(up[level])
    yield end_group(network.tail)


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Return whether a layer filters each channel by itself."""
    return layer.groups > 1


def removable_layers(network: Network) -> list[nn.Conv2d]:
    """Return the layers that can be left out: as many channels come in as go out."""
    layers = [cast(nn.Conv2d, layer) for modules in _layer_lists(network) for layer in modules]
    return [layer for layer in layers if layer.in_channels == layer.out_channels]


def _layer_lists(network: Network) -> list[nn.ModuleList]:
    """Return the lists of layers that layers can be removed from."""
    if isinstance(network, CAN):
        return [network.layers]
    backbone = cast(UNetBackbone, network)
    return [cast(nn.ModuleList, layers) for layers in (*backbone.down, *backbone.up)]


def layer_name(network: Network, layer: nn.Module) -> str:
    """Return the name of a layer in a network."""
    (found,) = (name for name, module in network.named_modules() if module is layer)
    return str(found)


def group_name(network: Network, group: ChannelGroup) -> str:
    """Return the name of a group, which is that of its first layer."""
    return layer_name(network, group.producers[0])


@torch.no_grad()
def apply_edits(network: Network, edits: Sequence[Edit]) -> Network:
    """Change a network in place, one edit after the other; return it."""
    for edit in edits:
        if "remove" in edit:
            remove_layer(network, cast(nn.Conv2d, network.get_submodule(edit["remove"])))
        elif "separate" in edit:
            separate_layer(network, cast(nn.Conv2d, network.get_submodule(edit["separate"])))
        else:
            groups = {group_name(network, group): group for group in channel_groups(network)}
            for name, kept in edit["keep"].items():
                keep_channels(network, groups[name], kept)
    return network


@torch.no_grad()
def keep_channels(network: Network, group: ChannelGroup, kept: Sequence[int]) -> None:
    """Remove all but some channels of a group, in place."""
    index = torch.tensor(kept)
    for layer in (*group.producers, *group.depthwise):
        layer.weight = nn.Parameter(layer.weight[index].clone())
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias[index].clone())
        layer.out_channels = len(index)
        if layer in group.depthwise:
            layer.in_channels = layer.groups = len(index)
        for film in _film_layers(network, layer):
            film.keep(index)
        _keep_in_delta(network, layer, 0, index)
    for layer in group.consumers:
        layer.weight = nn.Parameter(layer.weight[:, index].clone())
        layer.in_channels = len(index)
        if isinstance(layer, SeparableConv2d):
            layer.keep_inputs(index)
        _keep_in_delta(network, layer, 1, index)


@torch.no_grad()
def remove_layer(network: Network, layer: nn.Conv2d) -> None:
    """Leave out one of `removable_layers`, in place."""
    for film in _film_layers(network, layer):
        film.remove()
    for modules in _layer_lists(network):
        if any(module is layer for module in modules):
            rest = [module for module in modules if module is not layer]
            del modules[:]
            modules.extend(rest)
    if isinstance(network, UNetBackbone):
        network.conv_layers = [other for other in network.conv_layers if other is not layer]


def separable_layers(network: Network) -> list[nn.Conv2d]:
    """Return the layers that can become separable: 3x3 convolutions, but not the last one."""
    groups = channel_groups(network)
    consumers = {layer for group in groups for layer in group.consumers}
    first = groups[0].producers
    return [
        layer
        for group in groups
        for layer in group.producers
        if (layer in consumers or layer in first)
        and layer.kernel_size != (1, 1)
        and not isinstance(layer, SeparableConv2d)
    ]


@torch.no_grad()
def separate_layer(network: Network, layer: nn.Conv2d) -> None:
    """Replace one of `separable_layers` by a separable one, in place."""
    separable = SeparableConv2d(layer)
    delta = kernel_delta(network, layer)
    if delta is not None:
        delta.bases = separable.project(delta.bases)
    network.set_submodule(layer_name(network, layer), separable)
    if isinstance(network, UNetBackbone):
        network.conv_layers = [
            separable if other is layer else other for other in network.conv_layers
        ]


@dataclass(frozen=True)
class _Film:
    """The gains and shifts of one layer, among those that a module computes for several."""

    module: ParamConditioning | ThumbnailEncoder
    position: int

    def keep(self, index: Tensor) -> None:
        """Remove all but some channels."""
        widths = self.module.widths
        begin, width = sum(widths[: self.position]), widths[self.position]
        total = sum(widths)
        rows = [*range(begin), *(begin + index).tolist(), *range(begin + width, total)]
        film = self.module.to_film
        both = torch.tensor([*rows, *(total + row for row in rows)])
        film.weight = nn.Parameter(film.weight[both].clone())
        if film.bias is not None:
            film.bias = nn.Parameter(film.bias[both].clone())
        film.out_channels = len(both)
        widths[self.position] = len(index)

    def remove(self) -> None:
        """Remove the layer."""
        self.keep(torch.tensor([], dtype=torch.long))
        del self.module.widths[self.position]
        if isinstance(self.module, ParamConditioning):
            has_delta = self.module.has_delta
            if has_delta[self.position]:
                del self.module.deltas[sum(has_delta[: self.position])]
            del has_delta[self.position]


def _film_layers(network: Network, layer: nn.Conv2d) -> Iterator[_Film]:
    """Yield the gains and shifts of a layer, from the sliders and from the thumbnail."""
    if not isinstance(network, UNetBackbone):
        return
    own = [index for index, other in enumerate(network.conv_layers) if other is layer]
    if network.thumbnail_size:
        yield from (_Film(network.thumbnail_encoder, index) for index in own)
    if network.num_sliders:
        yield from (_Film(network.conditioning, index) for index in own)
        for index, other in enumerate(network.context_layers):
            if other is layer:
                yield _Film(network.conditioning, len(network.conv_layers) + index)


def kernel_delta(network: Network, layer: nn.Conv2d) -> KernelDelta | None:
    """Return the module that changes a layer's kernel, if there is one."""
    if not isinstance(network, UNetBackbone) or not network.num_sliders:
        return None
    for index, other in enumerate(network.conv_layers):
        if other is layer and network.conditioning.has_delta[index]:
            position = sum(network.conditioning.has_delta[:index])
            return cast(KernelDelta, network.conditioning.deltas[position])
    return None


def _keep_in_delta(network: Network, layer: nn.Conv2d, axis: int, index: Tensor) -> None:
    delta = kernel_delta(network, layer)
    if delta is not None:
        delta.bases = delta.bases.index_select(axis, index)
