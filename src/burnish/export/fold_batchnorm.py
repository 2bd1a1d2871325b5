"""Fold frozen batch normalisation into convolutions: fewer operations, the same function."""

import torch
from torch import Tensor, nn

from burnish.networks.can import CAN, NEGATIVE_SLOPE, AdaptiveNormConv
from burnish.networks.network import Network


class FoldedCAN(Network):
    """A CAN as plain convolutions and leaky ReLUs, with the properties of the original."""

    def __init__(self, network: CAN) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in network.norm_convs:
            layers += [_folded_conv(layer), nn.LeakyReLU(NEGATIVE_SLOPE)]
        self.layers = nn.Sequential(*layers, network.to_rgb)
        self.halo = network.halo
        self.size_multiple = network.size_multiple
        self.macs_per_pixel = network.macs_per_pixel
        self.peak_activations_per_pixel = network.peak_activations_per_pixel

    def forward(self, image: Tensor) -> Tensor:
        """Run the layers; see `Network`."""
        output: Tensor = self.layers(image)
        return output


def fold(network: Network) -> Network:
    """Return the same function with all normalisers folded into their convolutions.

    A network without normalisers is returned as it is.

    Raises
    ------
    ValueError : a normaliser is not in mode "frozen"

    Examples
    --------
    >>> network = CAN(width=4, dilations=(1, 2)).set_norm_mode("frozen").eval()
    >>> x = torch.rand(1, 3, 8, 8)
    >>> torch.allclose(fold(network)(x), network(x), atol=1e-6)
    True
    """
    if not isinstance(network, CAN):
        return network
    modes = {layer.norm_mode for layer in network.norm_convs}
    if modes != {"frozen"}:
        raise ValueError(f"only frozen normalisers can be folded, not {sorted(modes)}")
    return FoldedCAN(network).eval()


def _folded_conv(layer: AdaptiveNormConv) -> nn.Conv2d:
    kernel, bias = layer.folded()
    out_channels, in_channels = kernel.shape[:2]
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=layer.dilation, dilation=layer.dilation)
    with torch.no_grad():
        conv.weight.copy_(kernel)
        conv.bias.copy_(bias)  # type: ignore[union-attr]
    return conv
