"""Predictors: layers against brute force, invariance to the order of nodes, and overfitting."""

from collections import defaultdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

import networkx as nx  # noqa: E402
from torch_geometric.data import Batch, Data  # noqa: E402

from burnish.search.graph import bytes_moved, operations  # noqa: E402
from burnish.search.predictors import PREDICTORS, create, graph_networks  # noqa: E402
from burnish.search.predictors.capsules import NodeAttention, route, squash  # noqa: E402
from burnish.search.space import Candidate, random_candidate  # noqa: E402

ENCODERS = [
    graph_networks.GraphConvolutions,
    graph_networks.RelationalAttention,
    graph_networks.Capsules,
]


def candidates(count):
    random = np.random.default_rng(3)
    return [random_candidate(random) for _ in range(count)]


def test_routing_equals_its_definition():
    """Node by node and capsule by capsule, as in the paper's algorithm."""
    generator = torch.Generator().manual_seed(0)
    votes = torch.randn(5, 2, 3, 4, generator=generator)
    batch = torch.tensor([0, 0, 1, 1, 1])
    expected = []
    for graph in range(2):
        own = votes[batch == graph].flatten(0, 1)
        logits = torch.zeros(len(own), 3)
        for iteration in range(3):
            sums = torch.zeros(3, 4)
            for i, vote in enumerate(own):
                weights = logits[i].exp() / logits[i].exp().sum()
                for j in range(3):
                    sums[j] += weights[j] * vote[j]
            lengths = sums.norm(dim=1, keepdim=True)
            result = sums / lengths * lengths**2 / (1 + lengths**2)
            if iteration < 2:
                for i, vote in enumerate(own):
                    for j in range(3):
                        logits[i, j] += vote[j] @ result[j]
        expected.append(result)
    torch.testing.assert_close(route(votes, batch, 2, 3), torch.stack(expected))


def test_capsules_are_shorter_than_one_and_keep_their_direction():
    capsules = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    short = squash(capsules)
    torch.testing.assert_close(short[0], capsules[0] / 5 * 25 / 26)
    assert short[1].tolist() == [0, 0]


def test_attention_sums_to_one_over_each_graph():
    attention = NodeAttention(3, 4)
    x = torch.ones(6, 3, 4)
    batch = torch.tensor([0, 0, 0, 0, 1, 1])
    scaled = attention(x, batch)[..., 0].detach()
    torch.testing.assert_close(scaled[:4].sum(0), torch.ones(3))
    torch.testing.assert_close(scaled[4:].sum(0), torch.ones(3))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_order_of_nodes_changes_nothing(encoder):
    torch.manual_seed(0)
    network = encoder()
    first, second = map(graph_networks.to_data, candidates(2))
    order = torch.randperm(first.num_nodes)
    position = torch.empty_like(order)
    position[order] = torch.arange(len(order))
    shuffled = Data(
        x=first.x[order], edge_index=position[first.edge_index], edge_type=first.edge_type
    )
    with torch.no_grad():
        plain, mixed = (
            network(Batch.from_data_list([graph, second])) for graph in (first, shuffled)
        )
    torch.testing.assert_close(plain, mixed, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain[0], plain[1])


def test_relations_matter():
    torch.manual_seed(0)
    network = graph_networks.RelationalAttention()
    graph = graph_networks.to_data(candidates(1)[0])
    other = graph.clone()
    other.edge_type = (graph.edge_type + 1) % 6
    with torch.no_grad():
        results = [network(Batch.from_data_list([g])) for g in (graph, other)]
    assert not torch.allclose(*results)


@pytest.mark.parametrize("name", sorted(PREDICTORS.keys() - {"rgat-within"}))
def test_predictors_overfit_ten_graphs(name, monkeypatch):
    if name == "rgat":  # its steps take four times as long, and it needs fewer
        monkeypatch.setattr(graph_networks, "MIN_STEPS", 60)
    own = candidates(10)
    targets = np.log([[bytes_moved(operations(c)), c.build().halo] for c in own])
    if name not in ("macs", "layers"):  # these can only learn costs
        targets[:, 0] = np.random.default_rng(0).permutation(10)
    predictor = create(name)
    predictor.fit(own, targets)
    predicted = predictor.predict(own)
    order = [np.argsort(values[:, 0]) for values in (predicted, targets)]
    agreement = np.corrcoef(*map(np.argsort, order))[0, 1]
    assert predicted.shape == (10, 2)
    assert agreement > (0.5 if name == "macs" else 0.85)


def atlas():
    """Return the connected graphs of 5 to 7 nodes by their degrees, and their diameters.

    Left out are degrees that decide whether the diameter is at most 2.
    """
    groups = defaultdict(list)
    for graph in nx.graph_atlas_g():
        if graph.order() >= 5 and nx.is_connected(graph):
            degrees = tuple(sorted(degree for _, degree in graph.degree))
            groups[degrees].append((graph, nx.diameter(graph)))
    return [group for group in groups.values() if len({size <= 2 for _, size in group}) == 2]


def atlas_data(graph):
    """Return a graph for the capsule network, which is given the degree of each node."""
    x = torch.zeros(graph.order(), graph_networks.NUM_FEATURES)
    x[range(len(x)), [degree for _, degree in graph.degree]] = 1
    edges = torch.tensor(nx.to_numpy_array(graph)).nonzero().T
    return Data(x=x, edge_index=edges, num_nodes=len(x))


def test_capsules_recognise_graphs_of_small_diameter(monkeypatch):
    """Degrees alone leave a third of these graphs wrong, even if all answers are known."""
    monkeypatch.setattr(graph_networks, "to_data", atlas_data)
    monkeypatch.setattr(graph_networks, "EPOCHS", 30)
    groups = atlas()
    graphs, diameters = zip(*(pair for group in groups for pair in group), strict=True)
    small = np.array(diameters) <= 2
    order = np.random.default_rng(0).permutation(len(graphs))
    known, new = np.split(order, [3 * len(order) // 4])
    predictor = create("capsgnn")
    predictor.fit([graphs[i] for i in known], small[known, None].astype(float))
    recognised = predictor.predict([graphs[i] for i in new])[:, 0] > 0.5
    majority = max(small[new].mean(), 1 - small[new].mean())
    counts = [(sum(size <= 2 for _, size in group), len(group)) for group in groups]
    by_degrees = sum(max(count, total - count) for count, total in counts)
    assert len(graphs) == 276
    assert majority < by_degrees / len(graphs) < 0.68
    assert (recognised == small[new]).mean() > 0.85


def test_times_of_layers_are_found():
    """Networks whose time is a sum over layers are predicted, also those that are new."""

    def time(candidate):
        return sum(op.macs * 1e-3 + op.values * 1e-2 for op in operations(candidate))

    own = candidates(60)
    predictor = create("layers")
    predictor.fit(own[:40], np.log([[time(c)] for c in own[:40]]))
    predicted = np.exp(predictor.predict(own[40:]))[:, 0]
    np.testing.assert_allclose(predicted, [time(c) for c in own[40:]], rtol=1e-6)


def test_equal_seeds_give_equal_predictions(monkeypatch):
    monkeypatch.setattr(graph_networks, "MIN_STEPS", 20)
    own = candidates(6)
    targets = np.arange(6.0)[:, None]
    results = []
    for _ in range(2):
        predictor = create("gcn", seed=4)
        predictor.fit(own, targets)
        results.append(predictor.predict([Candidate("unet2-16.16-11-1")]))
    assert np.array_equal(*results)
