"""The space: its candidates' graphs against the networks themselves and their exports."""

import numpy as np
import pytest
from onnx import ModelProto

from burnish.export.onnx_export import export
from burnish.modelfile.card import Guide
from burnish.modelfile.graph_costs import graph_costs
from burnish.modelfile.reader import read_model
from burnish.search import space
from burnish.search.graph import operations, peak_values, receptive_radius
from burnish.search.onnx_graph import to_onnx
from burnish.search.space import Candidate, mutated, random_candidate


def candidates(count):
    random = np.random.default_rng(0)
    return [random_candidate(random) for _ in range(count)]


@pytest.mark.parametrize("candidate", candidates(12), ids=lambda candidate: candidate.label)
def test_costs_of_the_graph_equal_those_of_the_network(candidate):
    network, graph = candidate.build(), operations(candidate)
    macs = sum(operation.macs for operation in graph)
    assert int(np.ceil(macs)) == network.macs_per_pixel <= space.MAX_MACS
    costs = graph_costs(to_onnx(candidate), network.size_multiple, "candidate.onnx")
    assert costs.macs_per_pixel == network.macs_per_pixel
    assert costs.peak_activations_per_pixel == network.peak_activations_per_pixel
    assert network.size_multiple <= space.MAX_SIZE_MULTIPLE
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert sum(operation.parameters for operation in graph) == weights
    assert 0 <= network.halo - receptive_radius(graph) < network.size_multiple
    # They differ in how many copies of the image and the guide are kept.
    assert abs(peak_values(graph) - network.peak_activations_per_pixel) <= 12


@pytest.mark.parametrize("label", ["unet4-8.16-11-1-sd-relu guide 2", "unet2-8.8-11-0-offset"])
def test_graph_has_the_nodes_of_an_export(label, make_card, tmp_path):
    candidate = Candidate.from_label(label)
    network = candidate.build().eval()
    guide = Guide(size=256, max_ratio=2) if candidate.guide_ratio else None
    card = make_card(network, guide=guide)
    file = read_model(export(network, card, tmp_path / "candidate.onnx"))
    nodes = [node.op_type for node in ModelProto.FromString(file.graph).graph.node]
    own = [node.op_type for node in to_onnx(candidate).graph.node]
    assert own == [name for name in nodes if name not in ("Cast", "Constant", "Identity")]


def test_choices_lead_back_to_the_candidate():
    for candidate in candidates(30):
        choices = candidate.choices
        assert Candidate.draw(lambda name, options, c=choices: c[name]) == candidate
        assert Candidate.from_label(candidate.label) == candidate


def test_mutations_stay_in_the_space():
    random = np.random.default_rng(1)
    candidate = random_candidate(random)
    for _ in range(20):
        other = mutated(candidate, random)
        assert other != candidate
        candidate = other
