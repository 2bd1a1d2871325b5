"""UNet: its stated halo and costs against measurements, and the effect of its context."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.flop_counter import FlopCounterMode

from burnish.networks.registry import NETWORKS, build
from burnish.networks.unet import UNet
from burnish.params import Param

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")
RADIUS = Param("radius", "looks wider", default=3, low=1, high=9)
# Name prefixes of the modulating modules.
MODULATION = ("conditioning.", "thumbnail_encoder.")


@st.composite
def unet_arguments(draw):
    """Arguments of networks of one to three levels, with up to two convolutions each way."""
    levels = draw(st.integers(1, 3))
    counts = st.integers(0, 2)
    return {
        "widths": tuple(draw(st.integers(1, 4)) for _ in range(levels)),
        "down": tuple(draw(counts) for _ in range(levels)),
        "up": tuple(draw(counts) for _ in range(levels - 1)),
        "factor": draw(st.sampled_from([1, 2, 4])),
        "grey": draw(st.booleans()),
        "gain": draw(st.booleans()),
        "kinds": tuple(
            draw(st.sampled_from(["plain", "separable", "dilated"])) for _ in range(levels)
        ),
        "activation": draw(st.sampled_from(["leaky", "relu"])),
    }


def with_positive_weights(network: UNet) -> UNet:
    """Set all weights above zero, so that no gradient is cancelled or stopped."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
            uniform = torch.rand(parameter.shape, generator=generator)
            parameter.copy_(
                (0.5 + uniform) / fan_in if not name.startswith(MODULATION) else 0 * uniform
            )
    return network.double().eval()


def randomise(network: UNet, seed: int = 0) -> UNet:
    """Add random numbers to all weights, including those that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    start = parameters_to_vector(network.parameters()).detach()
    change = 0.1 * torch.randn(start.shape, generator=generator)
    vector_to_parameters(start + change, network.parameters())
    return network.eval()


def gradient_extent(network: UNet) -> int:
    """The distance of the farthest pixel that an output pixel of any position depends on."""
    multiple = network.size_multiple
    start = multiple * (network.halo // multiple + 2)
    side = 2 * start + multiple
    image = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    output = network(image)[0].sum(dim=0)
    farthest = 0
    for pixel in range(start, start + multiple):
        (gradient,) = torch.autograd.grad(output[pixel, pixel], image, retain_graph=True)
        nonzero = gradient[0].abs().sum(dim=0).nonzero()
        farthest = max(farthest, int((nonzero - pixel).abs().max()))
    return farthest


@settings(deadline=None, max_examples=25)
@given(arguments=unet_arguments())
def test_halo_equals_the_extent_of_the_gradient(arguments):
    network = with_positive_weights(UNet(**arguments))
    assert network.halo == gradient_extent(network)


@settings(deadline=None, max_examples=25)
@given(arguments=unet_arguments())
def test_size_multiple_is_the_smallest_accepted_size(arguments):
    network = UNet(**arguments)
    for size in range(1, 2 * network.size_multiple):
        try:
            fits = network(torch.zeros(1, 3, size, size)).shape == (1, 3, size, size)
        except RuntimeError:
            fits = False
        assert fits == (size % network.size_multiple == 0)


def count_macs(network: UNet, side: int) -> int:
    """The multiply-adds that torch counts during a run."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() // 2


@settings(deadline=None, max_examples=40)
@given(arguments=unet_arguments())
def test_macs_per_pixel_equal_those_counted_by_torch(arguments):
    network = UNet(**arguments)
    side = 4 * network.size_multiple
    assert network.macs_per_pixel == int(np.ceil(count_macs(network, side) / side**2))


@settings(deadline=None, max_examples=20)
@given(arguments=unet_arguments(), seed=st.integers(0, 99))
def test_untrained_network_is_the_identity(random_context, arguments, seed):
    torch.manual_seed(seed)
    network = UNet(**arguments | {"grey": False}, sliders=(LAMBDA,), global_context=True)
    image = torch.rand(2, 3, 2 * network.size_multiple, 3 * network.size_multiple)
    torch.testing.assert_close(network(image, *random_context(network, 2)), image, rtol=0, atol=0)


SMALL = {"widths": (4, 6), "down": (1, 1), "up": (1,)}
CONTEXTS = [
    {"sliders": (LAMBDA,)},
    {"global_context": True},
    {"sliders": (LAMBDA, RADIUS), "global_context": True},
]


@pytest.mark.parametrize("context", CONTEXTS, ids=" and ".join)
def test_untrained_context_changes_nothing(context, random_context):
    torch.manual_seed(0)
    network = UNet(**SMALL, **context)
    nn.init.normal_(network.tail.weight)
    plain = UNet(**SMALL)
    plain.load_state_dict(network.state_dict(), strict=False)
    image = torch.rand(2, 3, 16, 12)
    with torch.no_grad():
        output = network(image, *random_context(network, 2, (4, 3)))
        assert not torch.equal(output, image)
        torch.testing.assert_close(output, plain(image), rtol=0, atol=0)


@pytest.mark.parametrize("context", CONTEXTS, ids=" and ".join)
def test_batch_equals_its_images_one_by_one(context, random_context):
    network = randomise(UNet(**SMALL, **context))
    image = torch.rand(1, 3, 16, 12).expand(3, -1, -1, -1)
    inputs = random_context(network, 3, (4, 3))
    with torch.no_grad():
        batch = network(image, *inputs)
        outputs = [
            network(image[i : i + 1], *(x[i : i + 1] if len(x) > 1 else x for x in inputs))
            for i in range(3)
        ]
    torch.testing.assert_close(batch, torch.cat(outputs), rtol=0, atol=1e-5)


@pytest.mark.parametrize("context", CONTEXTS, ids=" and ".join)
def test_output_depends_on_the_context(context, random_context):
    network = randomise(UNet(**SMALL, **context))
    image = torch.rand(1, 3, 16, 12)
    with torch.no_grad():
        first, second = (
            network(image, *random_context(network, 1, (4, 3), seed)) for seed in (0, 1)
        )
    assert (first - second).abs().max() > 1e-3


def test_slider_changes_can_be_folded_into_the_convolutions():
    network = randomise(UNet(widths=(4,), down=(0,), up=(), sliders=(RADIUS,)))
    image, values = torch.rand(1, 3, 8, 8), torch.tensor(7.0).view(1, 1, 1, 1)
    with torch.no_grad():
        expected = network(image, values)
        plain = UNet(widths=(4,), down=(0,), up=())
        plain.load_state_dict(network.state_dict(), strict=False)
        assert (plain(image) - expected).abs().max() > 1e-2
        changes = network.conditioning(values)
        for layer, (gain, shift, kernel) in zip((plain.head, plain.tail), changes, strict=True):
            layer.weight.copy_((layer.weight + kernel) * (1 + gain).view(-1, 1, 1, 1))
            layer.bias.copy_(layer.bias * (1 + gain).flatten() + shift.flatten())
        torch.testing.assert_close(plain(image), expected, rtol=0, atol=1e-5)


def test_network_at_the_slider_defaults_equals_the_one_without_sliders():
    network = randomise(UNet(**SMALL, sliders=(LAMBDA, RADIUS)))
    plain = UNet(**SMALL)
    plain.load_state_dict(network.state_dict(), strict=False)
    image, values = torch.rand(1, 3, 8, 8), torch.tensor([LAMBDA.default, RADIUS.default])
    with torch.no_grad():
        assert torch.equal(network(image, values.view(1, 2, 1, 1)), plain(image))


def test_set_trainable_separates_conditioning_from_all_other_weights():
    network = randomise(UNet(**SMALL, sliders=(LAMBDA,), global_context=True)).train()
    names = [name for name, _ in network.named_parameters()]
    for sliders in (True, False):
        network.set_trainable(sliders=sliders)
        trainable = [
            name for name, parameter in network.named_parameters() if parameter.requires_grad
        ]
        assert trainable == [name for name in names if name.startswith("conditioning.") == sliders]


def test_every_weight_has_a_gradient(random_context):
    network = randomise(UNet(**SMALL, sliders=(LAMBDA, RADIUS), global_context=True)).train()
    image = torch.rand(4, 3, 32, 32)
    (network(image, *random_context(network, 4, (8, 8))) - image**2).square().mean().backward()
    without_gradient = [
        name for name, p in network.named_parameters() if not p.grad.abs().max() > 0
    ]
    assert without_gradient == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "best"])
def test_registered_networks_accept_sliders_and_global_context(name):
    network = build(name, (LAMBDA, RADIUS), True)
    assert network.context_inputs == ["params", "thumbnail", "coords"]
    assert build(name).context_inputs == []
    sampling_macs = 4 * network.widths[-1] / network.size_multiple**2
    assert 0 <= network.macs_per_pixel - build(name).macs_per_pixel <= np.ceil(sampling_macs)
    assert network.halo == gradient_extent(with_positive_weights(build(name)))


@pytest.mark.parametrize("name", NETWORKS)
def test_description_states_the_macs(name):
    assert (
        f" {round(build(name).macs_per_pixel / 1000)} k multiply-adds" in NETWORKS[name].description
    )


def test_output_moves_with_the_image_by_whole_blocks():
    network = randomise(UNet(**SMALL))
    side = network.size_multiple * (2 * (network.halo // network.size_multiple + 1) + 6)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    step, halo = network.size_multiple, network.halo + network.size_multiple
    with torch.no_grad():
        output, moved = network(image), network(image.roll((step, step), (2, 3)))
    inner = slice(halo, -halo)
    expected = output.roll((step, step), (2, 3))[..., inner, inner]
    torch.testing.assert_close(moved[..., inner, inner], expected, rtol=0, atol=1e-6)


def test_grey_output_is_the_mean_of_the_colours():
    image = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    coloured = randomise(UNet((4, 6), (1, 1), (1,)))
    grey = UNet((4, 6), (1, 1), (1,), grey=True).eval()
    grey.load_state_dict(coloured.state_dict())
    output = coloured(image)
    assert (output.amax(1) - output.amin(1)).max() > 0.01
    torch.testing.assert_close(grey(image), output.mean(1, keepdim=True).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", NETWORKS)
def test_build_makes_networks_grey_if_they_support_it(name):
    extra_macs = build(name, grey=True).macs_per_pixel - build(name).macs_per_pixel
    assert extra_macs == (36 if NETWORKS[name].is_unet else 0)
