"""NestedNetwork: U-Nets of several capacities that share their kernels.

A kernel of a small network is the first channels of the same kernel in a larger one, as in
slimmable networks (Yu & Huang 2019, https://doi.org/10.1109/ICCV.2019.00189). Biases and the layers
that sliders and a thumbnail act through are each network's own, as normalisers are there, and so
are kernels of another size.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from burnish.modelfile.quality import QUALITIES, STANDARD, Quality
from burnish.networks.conditioning import KernelDelta, ParamConditioning, ThumbnailEncoder
from burnish.networks.network import Network
from burnish.networks.unet import UNet, UNetBackbone


class NestedNetwork(Network):
    """Several U-Nets with the same inputs, from the smallest to the largest.

    As a network, it is the one of standard quality.

    Parameters
    ----------
    networks : by quality. They have the same number of levels, and are changed in place

    Examples
    --------
    >>> small, large = UNet((4, 6), (0, 1), (1,)), UNet((8, 8), (0, 1), (1,))
    >>> nested = NestedNetwork({"preview": small, "standard": large})
    >>> bool((nested.network("preview").head.weight == large.head.weight[:4]).all())
    True
    """

    def __init__(self, networks: Mapping[Quality, UNet]) -> None:
        super().__init__()
        self.qualities = [quality for quality in QUALITIES if quality in networks]
        self.networks = nn.ModuleDict({quality: networks[quality] for quality in self.qualities})
        standard = networks[STANDARD]
        for network in networks.values():
            if network.size_multiple != standard.size_multiple:
                raise ValueError("the networks have different numbers of levels")
        self.size_multiple, self.halo = standard.size_multiple, standard.halo
        self.macs_per_pixel = standard.macs_per_pixel
        self.peak_activations_per_pixel = standard.peak_activations_per_pixel
        self.num_sliders, self.guided = standard.num_sliders, standard.guided
        self.thumbnail_size = standard.thumbnail_size
        # Quality -> layer -> the largest network that has this layer.
        self._owners = {quality: self._find_owners(quality) for quality in self.qualities}

    def forward(self, image: Tensor, *context: Tensor) -> Tensor:
        return self.run(STANDARD, image, *context)

    def run(self, quality: Quality, image: Tensor, *context: Tensor) -> Tensor:
        """Run the network of a quality; see `Network` for shapes."""
        network, kernels = self.networks[quality], self._shared_kernels(quality)
        result: Tensor = functional_call(network, kernels, (image, *context))
        return result

    @torch.no_grad()
    def network(self, quality: Quality) -> UNet:
        """Return a copy of the network of a quality, which shares nothing."""
        network = copy.deepcopy(cast(UNet, self.networks[quality]))
        for name, kernel in self._shared_kernels(quality).items():
            network.get_parameter(name).copy_(kernel)
        return network

    @torch.no_grad()
    def grow_from(self, base: UNet) -> None:
        """Set the weights to those of a trained network; larger networks compute nearly the same.

        Smaller networks get the weights of its first channels.

        Parameters
        ----------
        base : has the same inputs
        """
        for network in self.networks.values():
            _grow(cast(UNet, network), base)

    def _find_owners(self, quality: Quality) -> dict[str, Quality]:
        owners: dict[str, Quality] = {}
        for larger in self.qualities[self.qualities.index(quality) + 1 :]:
            layers = dict(_named_layers(cast(UNet, self.networks[larger])))
            for name, layer in _named_layers(cast(UNet, self.networks[quality])):
                if name in layers and _contains(layers[name], layer):
                    owners[name] = larger
        return owners

    def _shared_kernels(self, quality: Quality) -> dict[str, Tensor]:
        """Return the kernels of a network that belong to a larger one, by name."""
        network, kernels = self.networks[quality], {}
        for name, owner in self._owners[quality].items():
            rows, columns = network.get_parameter(f"{name}.weight").shape[:2]
            kernel = self.networks[owner].get_parameter(f"{name}.weight")
            kernels[f"{name}.weight"] = kernel[:rows, :columns]
        return kernels


def nest(networks: Mapping[Quality, str], **arguments: object) -> NestedNetwork:
    """Return untrained networks that share their kernels.

    Parameters
    ----------
    networks : names of U-Nets, by quality
    arguments : for `burnish.networks.registry.build`
    """
    from burnish.networks.registry import build

    built = {quality: build(name, **arguments) for quality, name in networks.items()}  # type: ignore[arg-type]
    return NestedNetwork(cast(dict[Quality, UNet], built))


def _named_layers(network: UNetBackbone) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the convolutions of the image with their names."""
    layers = {id(layer) for layer, _ in network.conv_levels()}
    for name, module in network.named_modules():
        if id(module) in layers:
            yield name, cast(nn.Conv2d, module)


def _contains(larger: nn.Conv2d, layer: nn.Conv2d) -> bool:
    """Return whether the kernel of a layer can be the first channels of that of another one."""
    sizes = zip(layer.weight.shape[:2], larger.weight.shape[:2], strict=True)
    is_dense = layer.groups == larger.groups == 1
    return is_dense and layer.kernel_size == larger.kernel_size and all(a <= b for a, b in sizes)


def _grow(network: UNetBackbone, base: UNetBackbone) -> None:
    """Copy what a network has in common with another one."""
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
        _grow(network.global_context, base.global_context)


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
