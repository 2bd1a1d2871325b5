"""U-Nets as model files: their stated numbers equal those of the graph, with and without context.

Export rejects a card whose numbers differ from the graph's, and a graph whose output differs from
torch's.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from burnish.errors import ModelError
from burnish.export.onnx_export import export
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.reader import read_model
from burnish.modelfile.receptive_field import receptive_field
from burnish.networks.registry import build

ARGUMENTS = [
    {"widths": (4, 6), "down": (1, 1), "up": (1,)},
    {"widths": (6,), "down": (0,), "up": ()},
    {"widths": (2, 3, 9), "down": (0, 2, 0), "up": (0, 1), "factor": 1},
    {"widths": (40, 7), "down": (2, 0), "up": (0,), "factor": 4},
    {"widths": (16, 64), "down": (0, 1), "up": (2,)},
    {
        "widths": (8, 4),
        "down": (1, 1),
        "up": (1,),
        "kinds": ("separable", "dilated"),
        "activation": "relu",
        "gain": False,
    },
]
CONTEXTS = [
    *[(("lambda",), False), ((), True), (("lambda", "kappa"), True), ((), False), ((), True)],
    (("lambda",), True),
]


@pytest.mark.parametrize(
    ("arguments", "context"),
    [
        pytest.param(arguments, context, marks=[pytest.mark.slow] if index in (0, 2, 3, 4) else [])
        for index, (arguments, context) in enumerate(zip(ARGUMENTS, CONTEXTS, strict=True))
    ],
)
def test_stated_numbers_equal_those_of_the_graph(
    arguments, context, random_network, make_card, tmp_path
):
    network, sliders = random_network(*context, **arguments)
    file = read_model(export(network, make_card(network, sliders), tmp_path / "unet.onnx"))
    model = onnx.load_model_from_string(file.graph)
    multiple = network.size_multiple
    costs = graph_costs(model, multiple, "unet.onnx")
    assert costs.macs_per_pixel == network.macs_per_pixel
    assert costs.peak_activations_per_pixel == network.peak_activations_per_pixel
    assert receptive_field(model, multiple, network.halo, "unet.onnx") == network.halo


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "best"])
def test_global_context_costs_only_its_samples(name, make_card, tmp_path):
    plain = read_model(export(build(name), make_card(build(name)), tmp_path / "plain.onnx")).card
    network = build(name, global_context=True)
    card = read_model(export(network, make_card(network), tmp_path / "context.onnx")).card
    sampling_macs = 4 * network.widths[-1] / network.size_multiple**2
    assert 0 <= card.macs_per_pixel - plain.macs_per_pixel <= np.ceil(sampling_macs)
    assert card.peak_activations_per_pixel == plain.peak_activations_per_pixel
    assert card.parameter_count > plain.parameter_count


def test_exported_graph_equals_the_network_for_all_its_inputs(slider_model, random_network):
    network, _ = random_network()
    session = onnxruntime.InferenceSession(slider_model.read_bytes())
    generator = np.random.default_rng(0)
    for value in (0.002, 0.03, 0.2):
        inputs = {
            "image": generator.random((2, 3, 12, 20), dtype=np.float32),
            "params": np.array([value, 2.0], np.float32).reshape(1, 2, 1, 1),
            "thumbnail": generator.random((1, 3, 64, 64), dtype=np.float32),
            "coords": 2 * generator.random((1, 3, 5, 2), dtype=np.float32) - 1,
        }
        (output,) = session.run(["result"], inputs)
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        np.testing.assert_allclose(output, expected, atol=1e-5)
        assert np.abs(output - inputs["image"]).max() > 0.01


def test_export_of_a_network_without_the_thumbnail_of_its_card_raises(
    random_network, make_card, tmp_path
):
    network, sliders = random_network((), global_context=False)
    card = make_card(network, sliders, thumbnail_size=64)
    with pytest.raises(ModelError):
        export(network, card, tmp_path / "unet.onnx")
    assert list(tmp_path.iterdir()) == []
