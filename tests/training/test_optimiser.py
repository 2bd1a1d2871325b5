"""Muon on kernels as matrices, torch's own AdamW on the rest."""

import copy

import pytest
import torch
from torch import nn

from burnish.networks.can import CAN
from burnish.networks.network import Network
from burnish.networks.unet import UNet
from burnish.operators.registry import OPERATORS
from burnish.training.muon import Muon
from burnish.training.optimiser import ADAMW_LR_SCALE, Optimiser

RATE = 0.01
DECAY = 0.1


def network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    sliders = OPERATORS["rudin-osher-fatemi"].params
    student = UNet(widths=(8, 12), down=(1, 1), up=(1,), sliders=sliders)
    nn.init.normal_(student.tail.weight, std=0.1)  # it starts at zero, and so would all gradients
    return student.to(memory_format=torch.channels_last)


def backward(student: Network, seed: int) -> None:
    torch.manual_seed(seed)
    student.zero_grad()
    image = torch.rand(2, 3, 16, 16)
    context = [torch.full((1, student.num_sliders, 1, 1), 20.0)] if student.num_sliders else []
    (student(image, *context) - torch.rand_like(image)).square().mean().backward()


def test_a_kernel_moves_as_its_matrix_does_under_muon():
    student = network()
    backward(student, seed=1)
    kernel = student.descend[0].weight
    matrix = nn.Parameter(kernel.detach().permute(0, 2, 3, 1).reshape(len(kernel), -1).clone())
    matrix.grad = kernel.grad.permute(0, 2, 3, 1).reshape(len(kernel), -1).clone()
    Optimiser("muon", student, DECAY).step(RATE)
    Muon([matrix], RATE, DECAY).step()
    moved = kernel.detach().permute(0, 2, 3, 1).reshape(len(kernel), -1)
    torch.testing.assert_close(moved, matrix.detach(), rtol=0, atol=1e-7)


def test_muons_update_is_nearly_orthogonal():
    student = network()
    before = student.descend[0].weight.detach().clone()
    backward(student, seed=1)
    Optimiser("muon", student, 0.0).step(RATE)
    update = (student.descend[0].weight.detach() - before).flatten(1) / RATE
    values = torch.linalg.svdvals(update)
    assert values.max() < 1.4
    assert values.median() > 0.5


@pytest.mark.parametrize("sliders", [False, True])
def test_biases_and_what_sliders_change_move_as_under_adamw_in_their_turn(sliders):
    student = network()
    student.set_trainable(sliders=sliders)
    backward(student, seed=1)
    before = {name: value.detach().clone() for name, value in student.named_parameters()}
    others = {
        name: nn.Parameter(parameter.detach().clone())
        for name, parameter in student.named_parameters()
        if parameter.requires_grad and (sliders or parameter.ndim == 1)
    }
    assert len(others) > 3
    for name, parameter in others.items():
        parameter.grad = student.get_parameter(name).grad
    Optimiser("muon", student, DECAY).step(RATE, sliders=sliders)
    torch.optim.AdamW(others.values(), lr=ADAMW_LR_SCALE * RATE, weight_decay=0.0).step()
    for name, parameter in others.items():
        torch.testing.assert_close(student.get_parameter(name), parameter, rtol=0, atol=1e-7)
    for name, value in before.items():
        if name.startswith("conditioning.") != sliders:
            assert torch.equal(student.get_parameter(name), value), name


def test_adamw_alone_is_torchs():
    student = CAN(width=4, dilations=(1, 2)).to(memory_format=torch.channels_last)
    other = copy.deepcopy(student)
    for one in (student, other):
        backward(one, seed=1)
    Optimiser("adamw", student, DECAY).step(RATE)
    torch.optim.AdamW(other.parameters(), lr=RATE, weight_decay=DECAY).step()
    for ours, theirs in zip(student.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(name):
    student = network()
    optimiser = Optimiser(name, student, DECAY)
    for seed in range(3):
        backward(student, seed)
        optimiser.step(RATE)
    resumed = network(seed=9)
    resumed.load_state_dict(student.state_dict())
    second = Optimiser(name, resumed, DECAY)
    second.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for one, its in ((student, optimiser), (resumed, second)):
        backward(one, seed=7)
        its.step(RATE)
    for ours, theirs in zip(student.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_other_memory_formats_are_refused_rather_than_copied():
    with pytest.raises(RuntimeError, match="view"):
        Optimiser("muon", UNet(widths=(8,), down=(1,), up=()), DECAY)
