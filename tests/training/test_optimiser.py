"""The optimisers against torch's own. Torch's Muon computes in 16 bits."""

import copy

import pytest
import torch
from torch import nn

from burnish.networks.can import CAN
from burnish.networks.network import Network
from burnish.networks.unet import UNet
from burnish.operators.registry import OPERATORS
from burnish.training.optimiser import ADAMW_LR_SCALE, Muon, build_optimisers, newton_schulz

LR = 0.01
DECAY = 0.1
SHAPES = [(8, 27), (32, 288), (27, 8), (6, 6)]


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
    reference = copy.deepcopy(network)
    for one in (network, reference):
        backward(one, seed=1)
    step(build_optimisers("adamw", network, DECAY))
    torch.optim.AdamW(reference.parameters(), lr=LR, weight_decay=DECAY).step()
    for ours, theirs in zip(network.parameters(), reference.parameters(), strict=True):
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
    for one, network_optimisers in ((network, optimisers), (resumed, loaded)):
        backward(one, seed=7)
        step(network_optimisers)
    for ours, theirs in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_muon_in_another_memory_format_raises():
    network = make_network().to(memory_format=torch.contiguous_format)
    backward(network, seed=1)
    with pytest.raises(RuntimeError, match="view"):
        step(build_optimisers("muon", network, DECAY))


@pytest.mark.parametrize("shape", SHAPES)
def test_muon_changes_a_matrix_as_torch_does(shape):
    generator = torch.Generator().manual_seed(0)
    ours = torch.nn.Parameter(torch.randn(shape, generator=generator))
    theirs = torch.nn.Parameter(ours.detach().clone())
    start = ours.detach().clone()
    optimiser = Muon([ours], 0.02, 0.1)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1)
    for _ in range(10):
        gradient = torch.randn(shape, generator=generator)
        ours.grad, theirs.grad = gradient, gradient.clone()
        optimiser.step()
        reference.step()
    distance = (theirs - start).norm()
    assert distance > 0.1
    assert (ours - theirs).norm() < 0.02 * distance


@pytest.mark.parametrize("shape", SHAPES)
def test_newton_schulz_keeps_singular_vectors_and_equalises_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    rotated = left.T @ newton_schulz(matrix) @ right.T
    values = rotated.diagonal()
    assert (rotated - torch.diag(values)).abs().max() < 1e-9
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_continues_from_the_state_of_torch_muon():
    generator = torch.Generator().manual_seed(2)
    before = torch.nn.Parameter(torch.randn(32, 288, generator=generator))
    theirs = torch.optim.Muon([before], lr=0.02, weight_decay=0.1)
    for _ in range(3):
        before.grad = torch.randn(32, 288, generator=generator)
        theirs.step()
    start = before.detach().clone()
    after = torch.nn.Parameter(start.clone())
    ours = Muon([after], 0.5, 0.0)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    before.grad = torch.randn(32, 288, generator=generator)
    after.grad = before.grad.clone()
    theirs.step()
    ours.step()
    assert (after - before).norm() < 0.02 * (before - start).norm()


def test_muon_continues_from_its_saved_state():
    def run(stop):
        torch.manual_seed(0)
        matrix = torch.nn.Parameter(torch.randn(4, 9))
        muon = Muon([matrix], 0.02, 0.1)
        for step in range(6):
            if step == stop:
                saved = muon.state_dict()
                muon = Muon([matrix], 0.5, 0.0)
                muon.load_state_dict(saved)
            matrix.grad = torch.sin(step + matrix.detach())
            muon.step()
        return matrix.detach()

    assert torch.equal(run(stop=None), run(stop=3))
