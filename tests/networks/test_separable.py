"""Separable layers: the nearest ones, their costs, their changes by sliders, and fewer channels."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from burnish.compression.structure import (
    apply_edits,
    channel_groups,
    keep_channels,
    kernel_delta,
    separable_layers,
    separate_layer,
)
from burnish.export.onnx_export import export
from burnish.export.weights import fold
from burnish.networks.can import CAN
from burnish.networks.separable import SeparableConv2d, decompose, weight_count

DEEP = {"widths": (4, 6, 8), "down": (0, 1, 2), "up": (0, 2)}


@pytest.fixture(params=["guided", "sliders", "can"])
def network(request, random_network):
    if request.param == "can":
        torch.manual_seed(0)
        can = CAN(6, (1, 2, 1)).set_norm_mode("frozen").eval()
        for layer in can.layers:
            nn.init.normal_(layer.weight, std=0.3)
            nn.init.normal_(layer.bias, std=0.3)
        return fold(can)
    if request.param == "sliders":
        return random_network(
            operator="local-laplacian", names=("sigma", "alpha"), global_context=False
        )[0]
    return random_network(global_context=False, names=(), guided=True, **DEEP)[0]


def run(network, slider=0.3):
    side = 3 * network.size_multiple
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, side, side, generator=generator)
    context = [torch.rand(1, 3, side, side, generator=generator)] if network.guided else []
    if getattr(network, "num_sliders", 0):
        context.append(torch.full((1, network.num_sliders, 1, 1), slider))
    with torch.no_grad():
        return network(image, *context)


def test_kernel_comes_as_near_as_singular_values_allow():
    """Eckart-Young: what is left are the other singular values of each input channel."""
    kernel = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 4, 3, 3)))
    filters, mixture = decompose(kernel)
    product = mixture * filters[:, 0]
    for channel in range(4):
        matrix = kernel[:, channel].reshape(5, 9).numpy()
        values = np.linalg.svd(matrix, compute_uv=False)
        error = (product[:, channel] - kernel[:, channel]).square().sum().item()
        assert error == pytest.approx((values[1:] ** 2).sum())


def test_layer_equals_its_product_of_kernels():
    layer = nn.Conv2d(4, 5, 3, 2, padding=2, dilation=2)
    separable = SeparableConv2d(layer)
    image = torch.rand(2, 4, 12, 10)
    kernel = separable.weight * separable.depthwise.weight[:, 0]
    expected = nn.functional.conv2d(image, kernel, layer.bias, 2, 2, 2)
    torch.testing.assert_close(separable(image), expected)
    assert weight_count(separable) == 4 * 9 + 4 * 5


def test_separable_kernels_and_their_changes_are_kept(network):
    """A network whose kernels are separable already computes the same, at any slider."""
    for layer in separable_layers(network):
        filters, mixture = decompose(layer.weight.detach())
        with torch.no_grad():
            layer.weight.copy_(mixture * filters[:, 0])
            delta = kernel_delta(network, layer)
            if delta is not None:
                bases = delta.basis.weight.view(*delta.kernel_shape, -1)
                bases.copy_(bases.mean((2, 3), keepdim=True) * filters[:, 0, :, :, None])
    changed = copy.deepcopy(network)
    for layer in separable_layers(changed):
        separate_layer(changed, layer)
    assert separable_layers(changed) == []
    for slider in (0.1, 0.9):
        torch.testing.assert_close(run(changed, slider), run(network, slider), rtol=1e-3, atol=1e-4)


def test_channels_of_separable_layers_can_be_removed(network):
    """As in a dense network, what is left computes what the network with zeros would."""
    for layer in separable_layers(network)[::2]:
        separate_layer(network, layer)
    for position in range(len(channel_groups(network))):
        pruned, zeroed = copy.deepcopy(network), copy.deepcopy(network)
        group = channel_groups(pruned)[position]
        kept = [channel for channel in range(group.width) if channel % 3 != 1]
        for layer in channel_groups(zeroed)[position].consumers:
            removed = [channel for channel in range(group.width) if channel % 3 == 1]
            with torch.no_grad():
                layer.weight[:, removed] = 0
                delta = kernel_delta(zeroed, layer)
                if delta is not None:
                    delta.basis.weight.view(*delta.kernel_shape, -1)[:, removed] = 0
        keep_channels(pruned, group, kept)
        torch.testing.assert_close(run(pruned), run(zeroed), rtol=1e-4, atol=1e-5)


def test_card_of_a_separable_network_states_its_costs(random_network, make_card, tmp_path):
    """The export compares the card with the graph."""
    network = random_network(names=(), global_context=False, **DEEP)[0]
    for layer in separable_layers(network)[::2]:
        assert layer is not network.tail
        separate_layer(network, layer)
    for position, group in enumerate(channel_groups(network)):
        keep_channels(network, group, range(group.width - 1 - position % 2))
    assert export(network, make_card(network), tmp_path / "separable.onnx").exists()
    can = fold(CAN(6, (1, 2, 1)).set_norm_mode("frozen").eval())
    with torch.no_grad():
        for layer in can.layers:  # the exporter leaves out biases of zero
            layer.bias += 0.1
        can.to_rgb.bias += 0.1
    apply_edits(can, [{"separate": "layers.1"}])
    assert export(can, make_card(can), tmp_path / "can.onnx").exists()
