import pytest
import torch

from burnish.export.fold_batchnorm import fold
from burnish.networks.can import CAN


def random_can() -> CAN:
    """A CAN with random weights and statistics of its normalisers."""
    network = CAN(width=6, dilations=(1, 2, 4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in network.norm_convs:
            layer.weight.add_(0.1 * torch.randn(layer.weight.shape, generator=generator))
            layer.w1.fill_(0.3)
            layer.bias.copy_(torch.randn(6, generator=generator))
            layer.norm.running_mean.copy_(torch.randn(6, generator=generator))
            layer.norm.running_var.copy_(0.2 + torch.rand(6, generator=generator))
    return network.set_norm_mode("frozen").eval()


def test_fold_keeps_the_function():
    network = random_can().double()
    x = torch.rand(2, 3, 17, 23, dtype=torch.float64)
    torch.testing.assert_close(fold(network).double()(x), network(x), rtol=0, atol=1e-6)


def test_folded_network_has_only_convolutions_and_leaky_relus():
    folded = fold(random_can())
    assert {type(layer).__name__ for layer in folded.layers} == {"Conv2d", "LeakyReLU"}


def test_folded_network_states_the_same_numbers():
    network = random_can()
    folded = fold(network)
    for name in ("halo", "size_multiple", "macs_per_pixel", "peak_activations_per_pixel"):
        assert getattr(folded, name) == getattr(network, name)


def test_fold_does_not_change_the_network():
    network = random_can()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    with torch.no_grad():
        folded.layers[0].weight.zero_()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("mode", ["batch", "instance"])
def test_fold_of_a_normaliser_that_is_not_frozen_raises(mode):
    with pytest.raises(ValueError, match="frozen"):
        fold(random_can().set_norm_mode(mode))
