"""Fold frozen normalisers into their convolutions: fewer operations, the same function."""

import torch
from torch import Tensor, nn

from burnish.networks.can import CAN, NEGATIVE_SLOPE, AdaptiveNormConv
from burnish.networks.network import Network


class FoldedCAN(Network):
    """A CAN as bare convolutions and rectifiers, with what it states of itself."""

    def __init__(self, network: CAN) -> None:
        layers: list[nn.Module] = []
        for layer in network.norm_convs:
            layers += [_folded_conv(layer), nn.LeakyReLU(NEGATIVE_SLOPE)]
        super().__init__()
        self.layers = nn.Sequential(*layers, network.to_rgb)
        self.halo = network.halo
        self.size_multiple = network.size_multiple
        self.macs_per_pixel = network.macs_per_pixel
        self.peak_activations_per_pixel = network.peak_activations_per_pixel

    def forward(self, image: Tensor) -> Tensor:
        """Run the layers, one after another; see `Network`."""
        output: Tensor = self.layers(image)
        return output


def fold(network: Network) -> Network:
    """Return the same function with every frozen normaliser folded into its convolution.

    A network that has none is returned as it is.

    Raises
    ------
    ValueError : a layer normalises by the picture's own statistics, which nothing can fold

    Examples
    --------
    >>> network = CAN(width=4, dilations=(1, 2)).use_statistics("frozen").eval()
    >>> x = torch.rand(1, 3, 8, 8)
    >>> torch.allclose(fold(network)(x), network(x), atol=1e-6)
    True
    """
    if not isinstance(network, CAN):
        return network
    modes = {layer.norm_mode for layer in network.norm_convs}
    if modes != {"frozen"}:
        raise ValueError(f"only frozen statistics can be folded, not {sorted(modes)}")
    return FoldedCAN(network).eval()


def _folded_conv(layer: AdaptiveNormConv) -> nn.Conv2d:
    kernel, bias = layer.folded()
    out_channels, in_channels = kernel.shape[:2]
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=layer.dilation, dilation=layer.dilation)
    with torch.no_grad():
        conv.weight.copy_(kernel)
        conv.bias.copy_(bias)  # type: ignore[union-attr]
    return conv
