import numpy as np
import pytest
import torch
import torch.nn.functional as F

from burnish.networks.can import CAN, EPS, AdaptiveNormConv, can24, can32


def test_can24_has_the_size_of_the_papers_network():
    network = can24()
    assert sum(p.numel() for p in network.parameters()) == 37_219
    assert network.macs_per_pixel == 37_008
    assert network.halo == 128


def test_can32_has_the_size_of_the_papers_network():
    network = can32()
    assert sum(p.numel() for p in network.parameters()) == 74_997
    assert network.macs_per_pixel == 74_688
    assert network.halo == 256


def test_layer_starts_as_the_identity():
    x = torch.rand(2, 3, 9, 7)
    y = AdaptiveNormConv(3, 5, dilation=2)(x)
    torch.testing.assert_close(y[:, :3], x)
    assert not y[:, 3:].any()


def random_layer() -> AdaptiveNormConv:
    """A layer with random weights, none of them zero."""
    layer = AdaptiveNormConv(3, 4, dilation=2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def test_instance_normalisation_equals_the_formula_with_loops():
    layer = random_layer()
    layer.norm_mode = "instance"
    x = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(1))
    y = F.conv2d(x, layer.weight, padding=2, dilation=2).detach().numpy()
    w0, w1, bias = layer.w0.item(), layer.w1.item(), layer.bias.detach().numpy()
    expected = np.empty_like(y)
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            plane = y[n, c]
            normalised = (plane - plane.mean()) / np.sqrt(plane.var() + EPS)
            expected[n, c] = w0 * plane + w1 * normalised + bias[c]
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_batch_normalisation_of_one_image_equals_instance_normalisation():
    layer = random_layer()
    x = torch.rand(1, 3, 8, 6)
    layer.norm_mode = "instance"
    expected = layer(x)
    layer.norm_mode = "batch"
    torch.testing.assert_close(layer(x), expected)


def test_frozen_normalisation_equals_the_formula_with_running_averages():
    layer = random_layer()
    x = torch.rand(4, 3, 8, 6)
    for _ in range(3):
        layer(x)  # updates the running averages
    y = F.conv2d(x, layer.weight, padding=2, dilation=2)
    normalised = F.batch_norm(y, layer.norm.running_mean, layer.norm.running_var, eps=EPS)
    layer.norm_mode = "frozen"
    expected = layer.w0 * y + layer.w1 * normalised + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


def test_frozen_normalisation_keeps_the_running_averages():
    layer = random_layer()
    layer.norm_mode = "frozen"
    layer(torch.rand(4, 3, 8, 6))
    assert not layer.norm.running_mean.any()


@pytest.mark.parametrize("dilations", [(1, 2, 4), (3, 1)])
def test_halo_equals_the_extent_of_the_gradient(dilations):
    network = CAN(width=4, dilations=dilations).set_norm_mode("frozen")
    torch.manual_seed(0)
    for layer in network.layers:
        torch.nn.init.normal_(layer.weight)
    size = 2 * network.halo + 3
    x = torch.rand(1, 3, size, size, requires_grad=True)
    middle = network.halo + 1
    network(x)[0, :, middle, middle].sum().backward()
    rows = x.grad[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    assert (rows.min(), rows.max()) == (middle - network.halo, middle + network.halo)
