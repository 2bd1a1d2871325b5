import pytest
import torch

from burnish.export.fold_batchnorm import fold
from burnish.networks.can import CAN


def trained_like() -> CAN:
    """A CAN whose normalisers have statistics and weights of their own."""
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


def test_the_function_stays_the_same():
    network = trained_like().double()
    x = torch.rand(2, 3, 17, 23, dtype=torch.float64)
    torch.testing.assert_close(fold(network).double()(x), network(x), rtol=0, atol=1e-6)


def test_nothing_but_convolutions_and_rectifiers_is_left():
    folded = fold(trained_like())
    assert {type(layer).__name__ for layer in folded.layers} == {"Conv2d", "LeakyReLU"}


def test_what_it_states_of_itself_stays():
    network = trained_like()
    folded = fold(network)
    for claim in ("halo", "size_multiple", "macs_per_pixel", "peak_activations_per_pixel"):
        assert getattr(folded, claim) == getattr(network, claim)


def test_the_network_is_left_alone():
    network = trained_like()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    with torch.no_grad():
        folded.layers[0].weight.zero_()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("statistics", ["batch", "instance"])
def test_statistics_that_are_not_frozen_cannot_be_folded(statistics):
    with pytest.raises(ValueError, match="only frozen statistics"):
        fold(trained_like().set_norm_mode(statistics))
