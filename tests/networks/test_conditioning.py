"""Modulation by sliders, against NumPy, and by a thumbnail."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from burnish.networks.conditioning import ParamConditioning, ParamNormaliser, ThumbnailEncoder
from burnish.params import Param

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
RADIUS = Param("radius", "looks wider", default=3, low=-1, high=9)
EPSILON = Param("epsilon", "is small", default=1e-5, low=1e-5, high=1e-2, scale="log")
# The last layer has too many weights for a kernel delta.
LAYERS = (nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 3), nn.Conv2d(40, 40, 3))


def randomise(conditioning: ParamConditioning) -> ParamConditioning:
    """Set all weights to random values; untrained ones change nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in conditioning.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return conditioning


def as_input(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def test_normaliser_equals_the_formula():
    values = np.array([[0.002, -1, 1e-5], [0.2, 9, 1e-2], [0.05, 0.7, 3e-4]])
    expected = np.stack(
        [
            2 * np.log(values[:, 0] / 0.002) / np.log(100) - 1,
            2 * (values[:, 1] + 1) / 10 - 1,
            2 * np.log(values[:, 2] / 1e-5) / np.log(1000) - 1,
        ],
        axis=1,
    )
    inputs = torch.tensor(values, dtype=torch.float32)[..., None, None]
    normalised = ParamNormaliser([LAMBDA, RADIUS, EPSILON])(inputs)
    assert normalised.shape == (3, 3, 1, 1)
    np.testing.assert_allclose(normalised[..., 0, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("param", [LAMBDA, RADIUS, EPSILON], ids=lambda param: param.name)
def test_normaliser_is_linear_in_the_fraction_of_the_range(param):
    fractions = np.linspace(0, 1, 9)
    values = torch.tensor([param.at_fraction(fraction) for fraction in fractions]).view(-1, 1, 1, 1)
    normalised = ParamNormaliser([param])(values).flatten().numpy()
    np.testing.assert_allclose(normalised, 2 * fractions - 1, atol=1e-4)


def test_normaliser_of_zero_on_a_linear_scale_is_finite():
    normalised = ParamNormaliser([LAMBDA, RADIUS])(torch.tensor([0.02, 0.0]).view(1, 2, 1, 1))
    assert torch.isfinite(normalised).all()
    assert normalised.flatten()[1].item() == pytest.approx(-0.8, abs=1e-6)


def test_each_layer_has_a_gain_and_a_shift_and_small_layers_a_kernel_delta():
    films = randomise(ParamConditioning((LAMBDA, RADIUS), LAYERS))(as_input(0.1, 4))
    for layer, (gain, shift, kernel) in zip(LAYERS, films, strict=True):
        assert gain.shape == shift.shape == (1, layer.out_channels, 1, 1)
        assert (kernel is None) == (layer is LAYERS[-1])
        assert kernel is None or kernel.shape == layer.weight.shape


def changes(conditioning: ParamConditioning, values: torch.Tensor) -> list[torch.Tensor]:
    return [tensor for film in conditioning(values) for tensor in film if tensor is not None]


def test_untrained_conditioning_changes_nothing():
    assert not any(
        change.any() for change in changes(ParamConditioning((LAMBDA,), LAYERS), as_input(0.1))
    )


def test_conditioning_changes_nothing_at_the_defaults():
    conditioning = randomise(ParamConditioning((LAMBDA, RADIUS), LAYERS))
    assert not any(
        change.any() for change in changes(conditioning, as_input(LAMBDA.default, RADIUS.default))
    )


@pytest.mark.parametrize("values", [(0.05, 3), (0.02, 5)])
def test_each_value_changes_every_layer(values):
    conditioning = randomise(ParamConditioning((LAMBDA, RADIUS), LAYERS))
    assert all(change.abs().max() > 0.01 for change in changes(conditioning, as_input(*values)))


def test_kernel_delta_is_the_linear_combination_of_the_basis():
    conditioning = randomise(ParamConditioning((RADIUS,), LAYERS))
    embedding = conditioning._embed(as_input(7)) - conditioning._embed(as_input(RADIUS.default))
    delta = conditioning.deltas[1]
    coefficients = delta.coefficients(embedding).detach().numpy().reshape(-1)
    basis = delta.basis.weight.detach().numpy().reshape(4, 5, 3, 3, -1)
    _, _, kernel = conditioning(as_input(7))[1]
    np.testing.assert_allclose(kernel.detach().numpy(), basis @ coefficients, rtol=1e-4, atol=1e-4)


def test_normaliser_of_a_log_scale_is_exact_at_both_ends_and_the_middle():
    middle = math.sqrt(0.002 * 0.2)
    normalised = ParamNormaliser([LAMBDA])(torch.tensor([0.002, middle, 0.2]).view(3, 1, 1, 1))
    torch.testing.assert_close(normalised.flatten(), torch.tensor([-1.0, 0, 1]), rtol=0, atol=1e-6)


def random_encoder() -> ThumbnailEncoder:
    """An encoder with random weights; an untrained one changes nothing."""
    generator = torch.Generator().manual_seed(0)
    encoder = ThumbnailEncoder(LAYERS)
    with torch.no_grad():
        for parameter in encoder.parameters():
            width = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / width**0.5)
    return encoder


def encode(encoder: ThumbnailEncoder, thumbnail: torch.Tensor) -> torch.Tensor:
    return torch.cat([tensor for film in encoder(thumbnail) for tensor in film], dim=1)


def test_each_layer_has_a_gain_and_a_shift_that_start_as_zero():
    films = ThumbnailEncoder(LAYERS)(torch.rand(3, 3, 64, 64))
    for layer, film in zip(LAYERS, films, strict=True):
        for change in film:
            assert change.shape == (3, layer.out_channels, 1, 1)
            assert not change.any()


def test_histogram_branch_ignores_the_order_of_pixels():
    encoder = random_encoder()
    with torch.no_grad():
        encoder.fuse.weight[:, 64:] = 0  # the spatial branch
    thumbnail = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))
    shuffled = thumbnail.flatten(2)[:, :, order].view_as(thumbnail)
    torch.testing.assert_close(
        encode(encoder, shuffled), encode(encoder, thumbnail), rtol=0, atol=1e-5
    )


def test_output_depends_on_positions_and_colours():
    encoder = random_encoder()
    thumbnail = torch.zeros(1, 3, 64, 64)
    thumbnail[..., :32, :] = 1
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::2, :] = 1  # with as many bright pixels
    tinted = thumbnail * torch.tensor([1, 0.9, 0.8])[:, None, None]
    for other in (stripes, tinted):
        assert (encode(encoder, other) - encode(encoder, thumbnail)).abs().max() > 1e-3


def test_encoding_a_batch_equals_encoding_each_thumbnail():
    encoder = random_encoder()
    thumbnails = torch.rand(3, 3, 64, 64)
    expected = torch.cat([encode(encoder, thumbnail[None]) for thumbnail in thumbnails])
    torch.testing.assert_close(encode(encoder, thumbnails), expected, rtol=0, atol=1e-6)
