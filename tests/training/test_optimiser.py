"""The optimisers of a network against Muon on matrices and torch's AdamW."""

import copy

import pytest
import torch
from torch import nn

from burnish.networks.can import CAN
from burnish.networks.network import Network
from burnish.networks.unet import UNet
from burnish.operators.registry import OPERATORS
from burnish.training.muon import Muon
from burnish.training.optimiser import ADAMW_LR_SCALE, build_optimisers

LR = 0.01
DECAY = 0.1


def make_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    sliders = OPERATORS["rudin-osher-fatemi"].params
    network = UNet(widths=(8, 12), down=(1, 1), up=(1,), sliders=sliders)
    nn.init.normal_(network.tail.weight, std=0.1)  # at zero, all other gradients would be zero
    return network.to(memory_format=torch.channels_last)


def backward(network: Network, seed: int) -> None:
    torch.manual_seed(seed)
    network.zero_grad()
    image = torch.rand(2, 3, 16, 16)
    context = [torch.full((1, network.num_sliders, 1, 1), 20.0)] if network.num_sliders else []
    (network(image, *context) - torch.rand_like(image)).square().mean().backward()


def step(optimisers, lr: float = LR) -> None:
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = lr * group["lr_scale"]
        optimiser.step()


def as_matrix(kernel):
    return kernel.detach().permute(0, 2, 3, 1).reshape(len(kernel), -1).clone()


def test_kernel_changes_as_its_matrix_does_under_muon():
    network = make_network()
    backward(network, seed=1)
    kernel = network.downsample[0].weight
    matrix = nn.Parameter(as_matrix(kernel))
    matrix.grad = as_matrix(kernel.grad)
    step(build_optimisers("muon", network, DECAY))
    Muon([matrix], LR, DECAY).step()
    torch.testing.assert_close(as_matrix(kernel), matrix.detach(), rtol=0, atol=1e-7)


def test_muon_update_of_a_kernel_is_nearly_orthogonal():
    network = make_network()
    before = network.downsample[0].weight.detach().clone()
    backward(network, seed=1)
    step(build_optimisers("muon", network, 0.0))
    update = (network.downsample[0].weight.detach() - before).flatten(1) / LR
    values = torch.linalg.svdvals(update)
    assert values.max() < 1.4
    assert values.median() > 0.5


@pytest.mark.parametrize("sliders", [False, True])
def test_biases_and_slider_weights_change_as_under_adamw(sliders):
    network = make_network()
    network.set_trainable(sliders=sliders)
    backward(network, seed=1)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    params = {
        name: nn.Parameter(param.detach().clone())
        for name, param in network.named_parameters()
        if param.requires_grad and (sliders or param.ndim == 1)
    }
    assert len(params) > 3
    for name, param in params.items():
        param.grad = network.get_parameter(name).grad
    step(build_optimisers("muon", network, DECAY))
    torch.optim.AdamW(params.values(), lr=ADAMW_LR_SCALE * LR, weight_decay=0.0).step()
    for name, param in params.items():
        torch.testing.assert_close(network.get_parameter(name), param, rtol=0, atol=1e-7)
    for name, value in before.items():
        if name.startswith("conditioning.") != sliders:
            assert torch.equal(network.get_parameter(name), value), name


def test_adamw_for_all_weights_equals_torch():
    network = CAN(width=4, dilations=(1, 2)).to(memory_format=torch.channels_last)
    other = copy.deepcopy(network)
    for one in (network, other):
        backward(one, seed=1)
    step(build_optimisers("adamw", network, DECAY))
    torch.optim.AdamW(other.parameters(), lr=LR, weight_decay=DECAY).step()
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_optimisers_continue_from_their_saved_state(name):
    network = make_network()
    optimisers = build_optimisers(name, network, DECAY)
    for seed in range(3):
        backward(network, seed)
        step(optimisers)
    resumed = make_network(seed=9)
    resumed.load_state_dict(network.state_dict())
    loaded = build_optimisers(name, resumed, DECAY)
    for optimiser, saved in zip(loaded, optimisers, strict=True):
        optimiser.load_state_dict(copy.deepcopy(saved.state_dict()))
    for one, its in ((network, optimisers), (resumed, loaded)):
        backward(one, seed=7)
        step(its)
    for ours, theirs in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_muon_in_another_memory_format_raises():
    network = make_network().to(memory_format=torch.contiguous_format)
    backward(network, seed=1)
    with pytest.raises(RuntimeError, match="view"):
        step(build_optimisers("muon", network, DECAY))
