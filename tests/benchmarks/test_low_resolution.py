"""Students that decide at low resolution: what they state of themselves against what they do.

Export refuses a card whose numbers differ from the graph's by as little as one.
"""

import numpy as np
import pytest
import torch
from baselines import bilinear
from baselines.bilateral_grid_net import GridStudent
from baselines.guided_filter_net import GuidedStudent
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from burnish.export.onnx_export import export
from burnish.modelfile.reader import read_model
from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model

SLIDERS = tuple(p for p in OPERATORS["l0-smoothing"].params if p.name == "lambda")
SMALL = {"widths": (4, 6), "down": (1, 1), "up": (1,)}
SHAPES = [
    (GuidedStudent, SMALL | {"factor": 8}),
    (GuidedStudent, {"widths": (5,), "down": (0,), "up": (), "factor": 2}),
    (GuidedStudent, {"widths": (300, 8), "down": (1, 1), "up": (0,), "factor": 4}),
    (GuidedStudent, {"widths": (3, 4, 5), "down": (0, 2, 0), "up": (0, 1), "factor": 4}),
    (GridStudent, SMALL | {"bins": 8, "cell": 16}),
    (GridStudent, {"widths": (5,), "down": (0,), "up": (), "bins": 2, "cell": 4, "block": 1}),
    (GridStudent, {"widths": (300, 8), "down": (1, 1), "up": (0,), "bins": 3, "cell": 4}),
    (GridStudent, SMALL | {"bins": 5, "cell": 8, "block": 8, "down": (0, 2)}),
]
KINDS = [SHAPES[0], SHAPES[4]]
every_shape = pytest.mark.parametrize(("kind", "shape"), SHAPES)
each_kind = pytest.mark.parametrize(("kind", "shape"), KINDS)


def made(kind, shape, context=False):
    """Untrained, always the same."""
    torch.manual_seed(0)
    taken = {"sliders": SLIDERS, "global_context": True} if context else {}
    return kind(**shape, **taken).eval()


def busy(network):
    """Every number drawn, so that also what starts at zero counts."""
    generator = torch.Generator().manual_seed(0)
    start = parameters_to_vector(network.parameters()).detach()
    change = 0.05 * torch.randn(start.shape, generator=generator)
    vector_to_parameters(start + change, network.parameters())
    return network


def rows_seen(network):
    """How far a block's results see, by their gradients, above and below."""
    block = network.size_multiple
    start = block * (network.halo // block + 2)
    # The same everywhere along a row: narrow pictures will do.
    image = torch.rand(1, 3, 2 * start + block, block, dtype=torch.float64, requires_grad=True)
    result = network(image)[0].sum(dim=(0, 2))
    farthest = 0
    for row in range(start, start + block):
        (gradient,) = torch.autograd.grad(result[row], image, retain_graph=True)
        seen = gradient[0].abs().sum(dim=(0, 2)).nonzero()
        farthest = max(farthest, int((seen - row).abs().max()))
    return farthest


@every_shape
def test_halo_is_how_far_a_result_sees_and_not_more(kind, shape):
    network = made(kind, shape).double()
    with torch.no_grad():  # weights above zero hide nothing
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 1
            parameter.copy_((0.5 + torch.rand_like(parameter)) / fan)
    assert network.halo == rows_seen(network)


@each_kind
@pytest.mark.parametrize("context", [False, True])
def test_untrained_it_is_the_identity(kind, shape, context, context_of):
    network = made(kind, shape, context)
    image = torch.rand(2, 3, 2 * network.size_multiple, 3 * network.size_multiple)
    torch.testing.assert_close(network(image, *context_of(network, 2)), image, rtol=0, atol=0)


@every_shape
def test_export_finds_what_it_states(kind, shape, card_of, tmp_path):
    network = busy(made(kind, shape))
    file = read_model(export(network, card_of(network), tmp_path / "student.onnx"))
    assert file.card.size_multiple == network.size_multiple


@each_kind
def test_tiled_equals_whole_bit_for_bit(kind, shape, card_of, tmp_path):
    network = busy(made(kind, shape, context=True))
    card = card_of(network, SLIDERS, "l0-smoothing")
    model = Model(read_model(export(network, card, tmp_path / "student.onnx")), "cpu", 1)
    pixels = np.random.default_rng(0).random((333, 791, 3), dtype=np.float32)
    shares = []
    tiled = model(pixels, memory=model.min_memory(333, 791), on_progress=shares.append)
    assert len(shares) > 3
    assert np.abs(tiled - pixels).max() > 0.01
    np.testing.assert_array_equal(tiled, model(pixels))


@each_kind
def test_several_pictures_at_once_are_each_by_itself(kind, shape, context_of):
    network = busy(made(kind, shape, context=True))
    image = torch.rand(1, 3, 64, 96).expand(3, -1, -1, -1)
    blocks = (64 // network.size_multiple, 96 // network.size_multiple)
    params, *others = context_of(network, 3, blocks)
    with torch.no_grad():
        together = network(image, params, *others)
        each = [
            network(image[i : i + 1], params, *(part[i : i + 1] for part in others))
            for i in range(3)
        ]
    torch.testing.assert_close(together, torch.cat(each), rtol=0, atol=1e-5)


@each_kind
def test_each_part_of_the_context_changes_the_result(kind, shape, context_of):
    network = busy(made(kind, shape, context=True))
    image = torch.rand(1, 3, 64, 96)
    blocks = (64 // network.size_multiple, 96 // network.size_multiple)
    context, other = (context_of(network, 1, blocks, seed) for seed in (0, 1))
    with torch.no_grad():
        first = network(image, *context)
        for index in range(len(context)):
            changed = [*context[:index], other[index], *context[index + 1 :]]
            assert (network(image, *changed) - first).abs().max() > 1e-4


@each_kind
def test_every_weight_learns(kind, shape, context_of):
    network = busy(made(kind, shape, context=True)).train()
    image = torch.rand(4, 3, 64, 64)
    (
        network(image, *context_of(network, 4, (64 // network.size_multiple,) * 2)) - image**2
    ).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if not p.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("side", [2, 4, 8, 16])
def test_a_pixel_reads_the_cells_that_its_value_is_made_of(side):
    cells = torch.rand(1, 1, 5, 1, requires_grad=True)
    result = bilinear.enlarge(cells, side)[0, 0, :, 0]
    for pixel in range(2 * side, 3 * side):
        (gradient,) = torch.autograd.grad(result[pixel], cells, retain_graph=True)
        seen = gradient.flatten().nonzero().flatten()
        assert bilinear.reads(pixel, side) == (seen.min(), seen.max())
