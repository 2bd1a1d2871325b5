"""UNet: what it states of itself against what it does, and that context changes what it should."""

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
# What the parameters of sliders and of the look at a thumbnail begin with.
CONTEXT = ("conditioning.", "thumbnail_encoder.")


@st.composite
def shapes(draw):
    """Networks of one to three levels, each with no to two convolutions each way."""
    levels = draw(st.integers(1, 3))
    counts = st.integers(0, 2)
    return {
        "widths": tuple(draw(st.integers(1, 4)) for _ in range(levels)),
        "down": tuple(draw(counts) for _ in range(levels)),
        "up": tuple(draw(counts) for _ in range(levels - 1)),
        "factor": draw(st.sampled_from([1, 2, 4])),
        "grey": draw(st.booleans()),
    }


def open_wide(network: UNet) -> UNet:
    """Weights above zero, which hide nothing: what is seen shows, whatever the rectifiers."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 1
            uniform = torch.rand(parameter.shape, generator=generator)
            parameter.copy_((0.5 + uniform) / fan if not name.startswith(CONTEXT) else 0 * uniform)
    return network.double().eval()


def busy(network: UNet, seed: int = 0) -> UNet:
    """Every number drawn, so that also what starts at zero counts."""
    generator = torch.Generator().manual_seed(seed)
    start = parameters_to_vector(network.parameters()).detach()
    change = 0.1 * torch.randn(start.shape, generator=generator)
    vector_to_parameters(start + change, network.parameters())
    return network.eval()


def reach(network: UNet) -> int:
    """How far result pixels see, by the gradient of each row and column of a block."""
    multiple = network.size_multiple
    start = multiple * (network.halo // multiple + 2)
    side = 2 * start + multiple
    image = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    result = network(image)[0].sum(dim=0)
    farthest = 0
    for pixel in range(start, start + multiple):
        (gradient,) = torch.autograd.grad(result[pixel, pixel], image, retain_graph=True)
        seen = gradient[0].abs().sum(dim=0).nonzero()
        farthest = max(farthest, int((seen - pixel).abs().max()))
    return farthest


@settings(deadline=None, max_examples=25)
@given(shape=shapes())
def test_halo_is_how_far_a_result_sees_and_not_more(shape):
    network = open_wide(UNet(**shape))
    assert network.halo == reach(network)


@settings(deadline=None, max_examples=25)
@given(shape=shapes())
def test_multiple_is_the_smallest_size_that_goes_through(shape):
    network = UNet(**shape)
    for size in range(1, 2 * network.size_multiple):
        try:
            fits = network(torch.zeros(1, 3, size, size)).shape == (1, 3, size, size)
        except RuntimeError:
            fits = False
        assert fits == (size % network.size_multiple == 0)


def counted_macs(network: UNet, side: int) -> int:
    """What torch counts as it runs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, side, side))
    return counter.get_total_flops() // 2


@settings(deadline=None, max_examples=40)
@given(shape=shapes())
def test_multiply_adds_are_counted_as_it_runs(shape):
    network = UNet(**shape)
    side = 4 * network.size_multiple
    assert network.macs_per_pixel == int(np.ceil(counted_macs(network, side) / side**2))


@settings(deadline=None, max_examples=20)
@given(shape=shapes(), seed=st.integers(0, 99))
def test_untrained_it_is_the_identity(context_of, shape, seed):
    torch.manual_seed(seed)
    network = UNet(**shape | {"grey": False}, sliders=(LAMBDA,), global_context=True)
    image = torch.rand(2, 3, 2 * network.size_multiple, 3 * network.size_multiple)
    torch.testing.assert_close(network(image, *context_of(network, 2)), image, rtol=0, atol=0)


SMALL = {"widths": (4, 6), "down": (1, 1), "up": (1,)}
CONTEXTS = [
    {"sliders": (LAMBDA,)},
    {"global_context": True},
    {"sliders": (LAMBDA, RADIUS), "global_context": True},
]


@pytest.mark.parametrize("taken", CONTEXTS, ids=lambda taken: " and ".join(taken))
def test_context_starts_as_no_change(taken, context_of):
    """The same weights without context give the same."""
    torch.manual_seed(0)
    network = UNet(**SMALL, **taken)
    nn.init.normal_(network.tail.weight)
    plain = UNet(**SMALL)
    plain.load_state_dict(network.state_dict(), strict=False)
    image = torch.rand(2, 3, 16, 12)
    with torch.no_grad():
        result = network(image, *context_of(network, 2, (4, 3)))
        assert not torch.equal(result, image)
        torch.testing.assert_close(result, plain(image), rtol=0, atol=0)


@pytest.mark.parametrize("taken", CONTEXTS, ids=lambda taken: " and ".join(taken))
def test_several_pictures_at_once_are_each_by_itself(taken, context_of):
    network = busy(UNet(**SMALL, **taken))
    image = torch.rand(1, 3, 16, 12).expand(3, -1, -1, -1)
    context = context_of(network, 3, (4, 3))
    with torch.no_grad():
        together = network(image, *context)
        each = [
            network(
                image[i : i + 1], *(part[i : i + 1] if len(part) > 1 else part for part in context)
            )
            for i in range(3)
        ]
    torch.testing.assert_close(together, torch.cat(each), rtol=0, atol=1e-5)


@pytest.mark.parametrize("taken", CONTEXTS, ids=lambda taken: " and ".join(taken))
def test_other_context_gives_another_result(taken, context_of):
    network = busy(UNet(**SMALL, **taken))
    image = torch.rand(1, 3, 16, 12)
    with torch.no_grad():
        first, other = (network(image, *context_of(network, 1, (4, 3), seed)) for seed in (0, 1))
    assert (first - other).abs().max() > 1e-3


def test_what_a_slider_does_is_a_convolution_with_other_weights():
    """Folded by hand into the layers, it is gone into them."""
    network = busy(UNet(widths=(4,), down=(0,), up=(), sliders=(RADIUS,)))
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


def test_at_the_values_that_hold_unsaid_it_is_the_network_without_sliders():
    network = busy(UNet(**SMALL, sliders=(LAMBDA, RADIUS)))
    plain = UNet(**SMALL)
    plain.load_state_dict(network.state_dict(), strict=False)
    image, values = torch.rand(1, 3, 8, 8), torch.tensor([LAMBDA.default, RADIUS.default])
    with torch.no_grad():
        assert torch.equal(network(image, values.view(1, 2, 1, 1)), plain(image))


def test_sliders_are_learnt_apart_from_all_else():
    network = busy(UNet(**SMALL, sliders=(LAMBDA,), global_context=True)).train()
    names = [name for name, _ in network.named_parameters()]
    for sliders in (True, False):
        network.set_trainable(sliders=sliders)
        learnt = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
        assert learnt == [name for name in names if name.startswith("conditioning.") == sliders]


def test_every_weight_learns(context_of):
    """No layer is left out of the way: each gets a gradient, those of the context too."""
    network = busy(UNet(**SMALL, sliders=(LAMBDA, RADIUS), global_context=True)).train()
    image = torch.rand(4, 3, 32, 32)
    (network(image, *context_of(network, 4, (8, 8))) - image**2).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if not p.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("name", [name for name, s in NETWORKS.items() if s.supports_conditioning])
def test_networks_of_the_table_take_sliders_and_a_thumbnail(name):
    network = build(name, (LAMBDA, RADIUS), True)
    assert network.context_inputs == ["params", "thumbnail", "coords"]
    assert build(name).context_inputs == []
    looked_up = 4 * network.widths[-1] / network.size_multiple**2
    assert 0 <= network.macs_per_pixel - build(name).macs_per_pixel <= np.ceil(looked_up)
    assert network.halo == reach(open_wide(build(name)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_says_how_much_work_a_network_is(name):
    assert (
        f" {round(build(name).macs_per_pixel / 1000)} k multiply-adds" in NETWORKS[name].description
    )


def test_a_picture_moved_by_a_whole_block_gives_the_result_moved():
    network = busy(UNet(**SMALL))
    side = network.size_multiple * (2 * (network.halo // network.size_multiple + 1) + 6)
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    step, margin = network.size_multiple, network.halo + network.size_multiple
    with torch.no_grad():
        result, moved = network(image), network(image.roll((step, step), (2, 3)))
    inner = slice(margin, -margin)
    expected = result.roll((step, step), (2, 3))[..., inner, inner]
    torch.testing.assert_close(moved[..., inner, inner], expected, rtol=0, atol=1e-6)


def test_grey_is_the_mean_of_the_colours():
    image = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    coloured = busy(UNet((4, 6), (1, 1), (1,)))
    grey = UNet((4, 6), (1, 1), (1,), grey=True).eval()
    grey.load_state_dict(coloured.state_dict())
    result = coloured(image)
    assert (result.amax(1) - result.amin(1)).max() > 0.01
    torch.testing.assert_close(grey(image), result.mean(1, keepdim=True).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("name", NETWORKS)
def test_grey_goes_to_those_that_can_be_told(name):
    more = build(name, grey=True).macs_per_pixel - build(name).macs_per_pixel
    assert more == (36 if NETWORKS[name].supports_grey else 0)
