"""Networks at low resolution: their stated halo and costs, and the effect of their context.

Export rejects a card whose numbers differ from the graph's.
"""

import numpy as np
import pytest
import torch
from baselines import bilinear
from baselines.bilateral_grid_net import BilateralGridNet
from baselines.guided_filter_net import GuidedFilterNet
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from burnish.export.onnx_export import export
from burnish.modelfile.reader import read_model
from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model

SLIDERS = tuple(p for p in OPERATORS["l0-smoothing"].params if p.name == "lambda")
SMALL = {"widths": (4, 6), "down": (1, 1), "up": (1,)}
VARIANTS = [
    (GuidedFilterNet, SMALL | {"factor": 8}),
    (GuidedFilterNet, {"widths": (5,), "down": (0,), "up": (), "factor": 2}),
    (GuidedFilterNet, {"widths": (300, 8), "down": (1, 1), "up": (0,), "factor": 4}),
    (GuidedFilterNet, {"widths": (3, 4, 5), "down": (0, 2, 0), "up": (0, 1), "factor": 4}),
    (BilateralGridNet, SMALL | {"bins": 4, "cell": 8}),
    (BilateralGridNet, {"widths": (5,), "down": (0,), "up": (), "bins": 2, "cell": 4, "block": 1}),
    (BilateralGridNet, {"widths": (300, 8), "down": (1, 1), "up": (0,), "bins": 3, "cell": 4}),
    (BilateralGridNet, SMALL | {"bins": 5, "cell": 8, "block": 8, "down": (0, 2)}),
]
REPRESENTATIVES = [VARIANTS[0], VARIANTS[4]]
all_variants = pytest.mark.parametrize(("network_class", "arguments"), VARIANTS)
both_classes = pytest.mark.parametrize(("network_class", "arguments"), REPRESENTATIVES)


def build(network_class, arguments, context=False):
    """Return an untrained network, always with the same weights."""
    torch.manual_seed(0)
    context_arguments = {"sliders": SLIDERS, "global_context": True} if context else {}
    return network_class(**arguments, **context_arguments).eval()


def randomise(network):
    """Add random numbers to all weights, including those that start at zero."""
    generator = torch.Generator().manual_seed(0)
    start = parameters_to_vector(network.parameters()).detach()
    change = 0.05 * torch.randn(start.shape, generator=generator)
    vector_to_parameters(start + change, network.parameters())
    return network


def gradient_extent(network):
    """Return the distance of the farthest image row that an output row of a block depends on."""
    block = network.size_multiple
    start = block * (network.halo // block + 2)
    # Columns behave like rows, so that a narrow image is enough.
    image = torch.rand(1, 3, 2 * start + block, block, dtype=torch.float64, requires_grad=True)
    output = network(image)[0].sum(dim=(0, 2))
    farthest = 0
    for row in range(start, start + block):
        (gradient,) = torch.autograd.grad(output[row], image, retain_graph=True)
        nonzero = gradient[0].abs().sum(dim=(0, 2)).nonzero()
        farthest = max(farthest, int((nonzero - row).abs().max()))
    return farthest


@all_variants
def test_halo_equals_the_extent_of_the_gradient(network_class, arguments):
    network = build(network_class, arguments).double()
    with torch.no_grad():  # positive weights cancel no gradient
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 1
            parameter.copy_((0.5 + torch.rand_like(parameter)) / fan)
    assert network.halo == gradient_extent(network)


@both_classes
@pytest.mark.parametrize("context", [False, True])
def test_untrained_network_is_the_identity(network_class, arguments, context, random_context):
    network = build(network_class, arguments, context)
    image = torch.rand(2, 3, 2 * network.size_multiple, 3 * network.size_multiple)
    torch.testing.assert_close(network(image, *random_context(network, 2)), image, rtol=0, atol=0)


@pytest.mark.slow
@all_variants
def test_export_accepts_the_stated_numbers(network_class, arguments, make_card, tmp_path):
    network = randomise(build(network_class, arguments))
    file = read_model(export(network, make_card(network), tmp_path / "network.onnx"))
    assert file.card.size_multiple == network.size_multiple


@pytest.mark.slow
@both_classes
def test_tiled_equals_whole_bit_for_bit(network_class, arguments, make_card, tmp_path):
    network = randomise(build(network_class, arguments, context=True))
    card = make_card(network, SLIDERS, "l0-smoothing")
    model = Model(read_model(export(network, card, tmp_path / "network.onnx")), "cpu", 1)
    pixels = np.random.default_rng(0).random((333, 791, 3), dtype=np.float32)
    fractions = []
    tiled = model(pixels, memory=model.min_memory(333, 791), on_progress=fractions.append)
    assert len(fractions) > 3
    assert np.abs(tiled - pixels).max() > 0.01
    np.testing.assert_array_equal(tiled, model(pixels))


@both_classes
def test_batch_equals_its_images_one_by_one(network_class, arguments, random_context):
    network = randomise(build(network_class, arguments, context=True))
    image = torch.rand(1, 3, 64, 96).expand(3, -1, -1, -1)
    blocks = (64 // network.size_multiple, 96 // network.size_multiple)
    params, *others = random_context(network, 3, blocks)
    with torch.no_grad():
        batch = network(image, params, *others)
        outputs = [
            network(image[i : i + 1], params, *(x[i : i + 1] for x in others)) for i in range(3)
        ]
    torch.testing.assert_close(batch, torch.cat(outputs), rtol=0, atol=1e-5)


@both_classes
def test_output_depends_on_each_context_input(network_class, arguments, random_context):
    network = randomise(build(network_class, arguments, context=True))
    image = torch.rand(1, 3, 64, 96)
    blocks = (64 // network.size_multiple, 96 // network.size_multiple)
    context, other = (random_context(network, 1, blocks, seed) for seed in (0, 1))
    with torch.no_grad():
        first = network(image, *context)
        for index in range(len(context)):
            changed = [*context[:index], other[index], *context[index + 1 :]]
            assert (network(image, *changed) - first).abs().max() > 1e-4


@both_classes
def test_every_weight_has_a_gradient(network_class, arguments, random_context):
    network = randomise(build(network_class, arguments, context=True)).train()
    image = torch.rand(4, 3, 64, 64)
    (
        network(image, *random_context(network, 4, (64 // network.size_multiple,) * 2)) - image**2
    ).square().mean().backward()
    without_gradient = [
        name for name, p in network.named_parameters() if not p.grad.abs().max() > 0
    ]
    assert without_gradient == []


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
def test_source_cells_are_those_with_a_gradient(factor):
    cells = torch.rand(1, 1, 5, 1, requires_grad=True)
    output = bilinear.upsample(cells, factor)[0, 0, :, 0]
    for pixel in range(2 * factor, 3 * factor):
        (gradient,) = torch.autograd.grad(output[pixel], cells, retain_graph=True)
        nonzero = gradient.flatten().nonzero().flatten()
        assert bilinear.source_cells(pixel, factor) == (nonzero.min(), nonzero.max())
