"""Muon against PyTorch's own, which computes in 16 bits, and against singular values."""

import copy

import pytest
import torch

from burnish.training.muon import Muon, newton_schulz

SHAPES = [(8, 27), (32, 288), (27, 8), (6, 6)]


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
