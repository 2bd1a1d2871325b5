"""The students as model files: what they state is what their graphs need, with context or without.

Export refuses a card whose numbers differ from the graph's by as little as one, and a graph whose
result differs from torch's. So what is read back here has been held against both.
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
from burnish.networks.registry import NETWORKS, build

SHAPES = [
    {"widths": (4, 6), "down": (1, 1), "up": (1,)},
    {"widths": (6,), "down": (0,), "up": ()},
    {"widths": (2, 3, 9), "down": (0, 2, 0), "up": (0, 1), "factor": 1},
    {"widths": (40, 7), "down": (2, 0), "up": (0,), "factor": 4},
    {"widths": (16, 64), "down": (0, 1), "up": (2,)},
]
CONTEXTS = [(("lambda",), False), ((), True), (("lambda", "kappa"), True), ((), False), ((), True)]


@pytest.mark.parametrize(("shape", "taken"), list(zip(SHAPES, CONTEXTS, strict=True)))
def test_what_a_student_states_is_what_its_graph_needs(shape, taken, lively, card_of, tmp_path):
    network, sliders = lively(*taken, **shape)
    file = read_model(export(network, card_of(network, sliders), tmp_path / "student.onnx"))
    model = onnx.load_model_from_string(file.graph)
    found = graph_costs(model, network.size_multiple, "student.onnx")
    assert found.macs_per_pixel == network.macs_per_pixel
    assert found.peak_activations_per_pixel == network.activations_per_pixel
    assert receptive_field(model, network.size_multiple, network.halo, "student.onnx") == network.halo


@pytest.mark.parametrize("name", [name for name, s in NETWORKS.items() if s.supports_conditioning])
def test_context_costs_what_is_looked_up_and_nothing_else(name, card_of, tmp_path):
    plain = read_model(export(build(name), card_of(build(name)), tmp_path / "plain.onnx")).card
    network = build(name, global_context=True)
    rich = read_model(export(network, card_of(network), tmp_path / "rich.onnx")).card
    looked_up = 4 * network.widths[-1] / network.size_multiple**2
    assert 0 <= rich.macs_per_pixel - plain.macs_per_pixel <= np.ceil(looked_up)
    assert rich.peak_activations_per_pixel == plain.peak_activations_per_pixel
    assert rich.parameter_count > plain.parameter_count


def test_exported_graph_is_torch_s_function_of_all_that_it_takes(slider_model, lively):
    network, _ = lively()
    session = onnxruntime.InferenceSession(slider_model.read_bytes())
    generator = np.random.default_rng(0)
    results = []
    for value in (0.002, 0.03, 0.2):
        given = {
            "image": generator.random((2, 3, 12, 20), dtype=np.float32),
            "params": np.array([value, 2.0], np.float32).reshape(1, 2, 1, 1),
            "thumbnail": generator.random((1, 3, 64, 64), dtype=np.float32),
            "coords": 2 * generator.random((1, 3, 5, 2), dtype=np.float32) - 1,
        }
        results.append(session.run(["result"], given)[0])
        with torch.no_grad():
            expected = network(*map(torch.from_numpy, given.values())).numpy()
        np.testing.assert_allclose(results[-1], expected, atol=1e-5)
        assert np.abs(results[-1] - given["image"]).max() > 0.01


def test_graph_without_what_its_card_names_is_not_exported(lively, card_of, tmp_path):
    network, sliders = lively((), thumbnail=False)
    wrong = card_of(network, sliders, thumbnail=64)
    with pytest.raises(ModelError):
        export(network, wrong, tmp_path / "student.onnx")
    assert list(tmp_path.iterdir()) == []
