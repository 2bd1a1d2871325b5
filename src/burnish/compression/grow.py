"""Networks of another size that begin with the channels of a trained one."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import nn

from burnish.compression.importance import channel_importance
from burnish.compression.structure import channel_groups, keep_channels
from burnish.networks.conditioning import KernelDelta, ParamConditioning, ThumbnailEncoder
from burnish.networks.unet import UNet, UNetBackbone
from burnish.training.sampler import Batch


@torch.no_grad()
def sort_by_importance(network: UNet, batches: Sequence[Batch]) -> None:
    """Sort the channels of a network, the most important ones first, in place."""
    groups = channel_groups(network)
    with torch.enable_grad():
        importances = channel_importance(network, groups, batches)
    for group, importance in zip(groups, importances, strict=True):
        keep_channels(network, group, importance.argsort(descending=True).tolist())


def _named_layers(network: UNetBackbone) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the convolutions of the image with their names."""
    layers = {id(layer) for layer, _ in network.conv_levels()}
    for name, module in network.named_modules():
        if id(module) in layers:
            yield name, cast(nn.Conv2d, module)


@torch.no_grad()
def grow(network: UNetBackbone, base: UNetBackbone) -> None:
    """Give a network what it has in common with a trained one, in place.

    A smaller network gets the weights of the first channels. A larger one computes nearly the same
    as the trained one.

    Parameters
    ----------
    base : has the same inputs and the same number of levels
    """
    base_layers = dict(_named_layers(base))
    for name, layer in _named_layers(network):
        if name in base_layers:
            _grow_layer(layer, base_layers[name])
        else:
            nn.init.dirac_(layer.weight)
    if network.num_sliders:
        _grow_sliders(network, base)
    if network.thumbnail_size:
        encoder, other = network.thumbnail_encoder, base.thumbnail_encoder
        for part in ("histogram_branch", "spatial_branch", "fuse"):
            getattr(encoder, part).load_state_dict(getattr(other, part).state_dict())
        _grow_film(encoder, other, _names(network), _names(base))
        grow(network.global_context, base.global_context)


def _grow_layer(layer: nn.Conv2d, base: nn.Conv2d) -> None:
    kernel = base.weight
    if layer.kernel_size == (1, 1):  # for flat areas, the sum computes the same
        kernel = kernel.sum((2, 3), keepdim=True)
    rows, columns = (min(a, b) for a, b in zip(layer.weight.shape, kernel.shape[:2], strict=False))
    layer.weight[:rows, columns:] = 0
    layer.weight[:rows, :columns] = kernel[:rows, :columns]
    if layer.bias is not None and base.bias is not None:
        layer.bias[:rows] = base.bias[:rows]


def _grow_sliders(network: UNetBackbone, base: UNetBackbone) -> None:
    conditioning, other = network.conditioning, base.conditioning
    for part in ("normaliser", "hidden", "embedding"):
        getattr(conditioning, part).load_state_dict(getattr(other, part).state_dict())
    names, base_names = _names(network), _names(base)
    _grow_film(conditioning, other, names, base_names)
    deltas, base_deltas = _deltas(conditioning, names), _deltas(other, base_names)
    for name in deltas.keys() & base_deltas.keys():
        delta, source = deltas[name], base_deltas[name]
        bases = source.bases
        if delta.kernel_shape[2:] == (1, 1):
            bases = bases.sum((2, 3), keepdim=True)
        grown = torch.zeros(*delta.kernel_shape, bases.shape[-1])
        rows, columns = (min(a, b) for a, b in zip(grown.shape[:2], bases.shape, strict=False))
        grown[:rows, :columns] = bases[:rows, :columns]
        delta.basis.weight.copy_(grown.reshape(delta.basis.weight.shape))
        delta.coefficients.load_state_dict(source.coefficients.state_dict())


def _names(network: UNetBackbone) -> list[str]:
    """Return the names of the modulated layers, in the order of gains and shifts."""
    names = {id(module): name for name, module in network.named_modules()}
    return [names[id(layer)] for layer in (*network.conv_layers, *network.context_layers)]


def _deltas(conditioning: ParamConditioning, names: Sequence[str]) -> dict[str, KernelDelta]:
    with_delta = [n for n, has in zip(names, conditioning.has_delta, strict=True) if has]
    return dict(zip(with_delta, cast(list[KernelDelta], conditioning.deltas), strict=True))


def _grow_film(
    target: ParamConditioning | ThumbnailEncoder,
    source: ParamConditioning | ThumbnailEncoder,
    names: Sequence[str],
    base_names: Sequence[str],
) -> None:
    """Copy the rows that compute the gains and shifts of channels that both networks have."""
    rows, base_rows = _film_rows(target.widths, names), _film_rows(source.widths, base_names)
    for name in rows.keys() & base_rows.keys():
        for row, base_row in zip(rows[name], base_rows[name], strict=False):
            for half in (0, 1):  # gains, then shifts
                to = row + half * sum(target.widths)
                origin = base_row + half * sum(source.widths)
                target.to_film.weight[to] = source.to_film.weight[origin]
                if target.to_film.bias is not None and source.to_film.bias is not None:
                    target.to_film.bias[to] = source.to_film.bias[origin]


def _film_rows(widths: Sequence[int], names: Sequence[str]) -> dict[str, range]:
    """Return the rows of each layer's gains."""
    rows, begin = {}, 0
    for name, width in zip(names, widths, strict=False):  # a thumbnail changes no context layers
        rows[name] = range(begin, begin + width)
        begin += width
    return rows
