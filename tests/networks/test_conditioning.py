"""Sliders: against numpy, and that they change nothing at the values that hold unsaid."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from burnish.networks.conditioning import ParamConditioning, ParamNormaliser
from burnish.params import Param

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
RADIUS = Param("radius", "looks wider", default=3, low=-1, high=9)
FAINT = Param("faint", "is faint", default=1e-5, low=1e-5, high=1e-2, scale="log")
# The last has too many numbers for other kernels.
LAYERS = (nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3), nn.Conv2d(40, 40, 3))


def busy(sliders: ParamConditioning) -> ParamConditioning:
    """One whose every number counts: an untrained one changes nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in sliders.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return sliders


def at(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def test_values_are_scaled_as_the_formula_says():
    values = np.array([[0.002, -1, 1e-5], [0.2, 9, 1e-2], [0.05, 0.7, 3e-4]])
    expected = np.stack(
        [
            2 * np.log(values[:, 0] / 0.002) / np.log(100) - 1,
            2 * (values[:, 1] + 1) / 10 - 1,
            2 * np.log(values[:, 2] / 1e-5) / np.log(1000) - 1,
        ],
        axis=1,
    )
    given = torch.tensor(values, dtype=torch.float32)[..., None, None]
    scaled = ParamNormaliser([LAMBDA, RADIUS, FAINT])(given)
    assert scaled.shape == (3, 3, 1, 1)
    np.testing.assert_allclose(scaled[..., 0, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("param", [LAMBDA, RADIUS, FAINT], ids=lambda param: param.name)
def test_scale_is_the_way_that_training_draws_along(param):
    shares = np.linspace(0, 1, 9)
    values = torch.tensor([param.at_fraction(share) for share in shares]).view(-1, 1, 1, 1)
    scaled = ParamNormaliser([param])(values).flatten().numpy()
    np.testing.assert_allclose(scaled, 2 * shares - 1, atol=1e-4)


def test_zero_on_a_linear_scale_is_a_number():
    scaled = ParamNormaliser([LAMBDA, RADIUS])(torch.tensor([0.02, 0.0]).view(1, 2, 1, 1))
    assert torch.isfinite(scaled).all()
    assert scaled.flatten()[1].item() == pytest.approx(-0.8, abs=1e-6)


def test_each_layer_gets_a_gain_a_shift_and_where_it_is_small_a_kernel():
    made = busy(ParamConditioning((LAMBDA, RADIUS), LAYERS))(at(0.1, 4))
    for layer, (gain, shift, kernel) in zip(LAYERS, made, strict=True):
        assert gain.shape == shift.shape == (1, layer.out_channels, 1, 1)
        assert (kernel is None) == (layer is LAYERS[-1])
        assert kernel is None or kernel.shape == layer.weight.shape


def changes(sliders: ParamConditioning, values: torch.Tensor) -> list[torch.Tensor]:
    return [part for layer in sliders(values) for part in layer if part is not None]


def test_untrained_nothing_is_changed_at_any_value():
    assert not any(part.any() for part in changes(ParamConditioning((LAMBDA,), LAYERS), at(0.1)))


def test_trained_nothing_is_changed_at_the_values_that_hold_unsaid():
    sliders = busy(ParamConditioning((LAMBDA, RADIUS), LAYERS))
    assert not any(part.any() for part in changes(sliders, at(LAMBDA.default, RADIUS.default)))


@pytest.mark.parametrize("values", [(0.05, 3), (0.02, 5)])
def test_each_value_changes_every_layer(values):
    sliders = busy(ParamConditioning((LAMBDA, RADIUS), LAYERS))
    assert all(part.abs().max() > 0.01 for part in changes(sliders, at(*values)))


def test_a_kernel_is_the_sum_of_the_learnt_ones_by_weight():
    sliders = busy(ParamConditioning((RADIUS,), LAYERS))
    code = sliders._embed(at(7)) - sliders._embed(at(RADIUS.default))
    bend = sliders.deltas[1]
    weights = bend.weights(code).detach().numpy().reshape(-1)
    kernels = bend.kernels.weight.detach().numpy().reshape(4, 5, 3, 3, -1)
    _, _, kernel = sliders(at(7))[1]
    np.testing.assert_allclose(kernel.detach().numpy(), kernels @ weights, rtol=1e-4, atol=1e-4)


def test_a_log_scale_is_exact_at_its_ends_and_in_its_middle():
    middle = math.sqrt(0.002 * 0.2)
    ends = ParamNormaliser([LAMBDA])(torch.tensor([0.002, middle, 0.2]).view(3, 1, 1, 1))
    torch.testing.assert_close(ends.flatten(), torch.tensor([-1.0, 0, 1]), rtol=0, atol=1e-6)
