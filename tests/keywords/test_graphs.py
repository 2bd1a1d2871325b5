"""Graphs of labels and of texts, and their convolutions, against loops in NumPy."""

import math
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from burnish.keywords.training import graph, text_graph  # noqa: E402
from burnish.keywords.training.heads import (  # noqa: E402
    HEADS,
    GraphConvolution,
    GraphHead,
    without_graph,
)
from burnish.keywords.training.text import CLASSIFIERS, Corpus, TextGCN  # noqa: E402

TEXTS = ["red boat sea", "red red sky", "sea sky boat sun", "sun red", "nothing else", "boat sea"]


def random_truth(photos=30, labels=6, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random((photos, labels)) < 0.3
    truth[:, 1] |= truth[:, 0]  # so that there is an edge
    truth[0] = True
    return truth


def test_label_graph_equals_loops():
    truth = random_truth()
    labels = truth.shape[1]
    weights = np.zeros((labels, labels))
    for i in range(labels):
        neighbours = [
            j
            for j in range(labels)
            if j != i and (truth[:, i] & truth[:, j]).sum() >= 0.4 * truth[:, i].sum()
        ]
        for j in neighbours:
            weights[i, j] = 0.2 / len(neighbours)
        weights[i, i] = 0.8
    degree = weights.sum(axis=1)
    expected = np.array(
        [
            [weights[i, j] / math.sqrt(degree[i] * degree[j]) for j in range(labels)]
            for i in range(labels)
        ]
    )
    result = graph.label_graph(truth)
    np.testing.assert_allclose(result, expected)
    assert (result - np.diag(np.diag(result)) > 0).any()


def test_graph_convolution_equals_loops():
    random = np.random.default_rng(0)
    adjacency, nodes = random.random((4, 4)), random.normal(size=(4, 3))
    layer = GraphConvolution(3, 2)
    weight = layer.weight.detach().numpy()
    expected = np.zeros((4, 2))
    for node in range(4):
        for neighbour in range(4):
            for output in range(2):
                message = sum(nodes[neighbour, k] * weight[k, output] for k in range(3))
                expected[node, output] += adjacency[node, neighbour] * message
    result = layer(torch.tensor(adjacency).float(), torch.tensor(nodes).float())
    np.testing.assert_allclose(result.detach().numpy(), expected, atol=1e-5)


def test_order_of_labels_does_not_matter_to_ml_gcn():
    truth = random_truth()
    order = np.random.default_rng(1).permutation(truth.shape[1])
    head, permuted = GraphHead(truth, 5, 0), GraphHead(truth[:, order], 5, 0)
    with torch.no_grad():
        # The vectors of labels have an entry for each label.
        permuted.first.weight.copy_(head.first.weight[order])
        permuted.second.weight.copy_(head.second.weight)
    pooled = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    expected = head(pooled, pooled)[:, order]
    torch.testing.assert_close(permuted(pooled, pooled), expected)


def test_ml_gcn_runs_as_a_linear_head():
    head = GraphHead(random_truth(), 5, 0)
    pooled = torch.randn(3, 5)
    torch.testing.assert_close(without_graph(head)(pooled, pooled), head(pooled, pooled))


@pytest.mark.parametrize("name", HEADS)
def test_heads_begin_with_the_frequencies(name):
    truth = random_truth(photos=100)
    head = HEADS[name](truth, 8, 4).eval()
    if isinstance(head, GraphHead):
        torch.nn.init.zeros_(head.second.weight)
    probabilities = torch.sigmoid(head(torch.randn(2, 8), torch.randn(2, 9, 4)))
    np.testing.assert_allclose(probabilities.detach()[0], truth.mean(axis=0), atol=0.01)


def test_order_of_parts_does_not_matter_to_queries():
    head = HEADS["query"](random_truth(), 8, 4).eval()
    torch.nn.init.normal_(head.classifiers)
    tokens = torch.randn(2, 9, 4)
    expected = head(tokens, tokens)
    torch.testing.assert_close(head(tokens, tokens.flip(1)), expected, atol=1e-5, rtol=1e-4)


def test_tf_idf_equals_loops():
    counts, words = text_graph.count_words(TEXTS)
    assert words == ["boat", "red", "sea", "sky", "sun"]
    expected = [
        [
            Counter(text.split())[word]
            * math.log(len(TEXTS) / sum(word in other.split() for other in TEXTS))
            for word in words
        ]
        for text in TEXTS
    ]
    np.testing.assert_allclose(text_graph.tf_idf(counts).toarray(), expected)


@pytest.mark.parametrize("window", [2, 3, 20])
def test_pmi_equals_loops(window):
    _, words = text_graph.count_words(TEXTS)
    windows = []
    for text in TEXTS:
        tokens = text.split()
        starts = range(max(1, len(tokens) - window + 1))
        windows += [set(tokens[start : start + window]) for start in starts]

    def share(*present):
        return sum(all(word in one for word in present) for one in windows) / len(windows)

    expected = np.zeros((len(words), len(words)))
    for i, first in enumerate(words):
        for j, second in enumerate(words):
            if i != j and share(first, second) > 0:
                value = math.log(share(first, second) / (share(first) * share(second)))
                expected[i, j] = max(0, value)
    result = text_graph.pmi(TEXTS, words, window).toarray()
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_text_gcn_equals_numpy():
    corpus = Corpus.build(TEXTS)
    truth = np.array([[1, 0], [0, 1], [1, 1], [0, 1], [0, 0], [1, 0]], bool)
    network = TextGCN(corpus, truth, 7).eval()
    adjacency = corpus.graph.to_dense().numpy()
    np.testing.assert_allclose(adjacency, adjacency.T, atol=1e-6)
    vectors, second, bias = (
        values.detach().numpy() for values in (network.vectors, network.second.weight, network.bias)
    )
    hidden = np.maximum(adjacency @ vectors, 0)
    expected = (adjacency @ hidden @ second)[: len(TEXTS)] + bias
    np.testing.assert_allclose(network(np.arange(len(TEXTS))).detach().numpy(), expected, atol=1e-5)


def test_order_of_texts_does_not_matter_to_the_graph():
    order = np.random.default_rng(0).permutation(len(TEXTS))
    corpus, permuted = Corpus.build(TEXTS), Corpus.build([TEXTS[index] for index in order])
    words = corpus.features.shape[1]
    nodes = np.concatenate([order, len(TEXTS) + np.arange(words)])
    expected = corpus.graph.to_dense().numpy()[nodes][:, nodes]
    np.testing.assert_allclose(permuted.graph.to_dense().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_texts_without_any_word_are_possible(name):
    corpus = Corpus.build(["one", "two", "three"])
    network = CLASSIFIERS[name][0](corpus, np.eye(3, dtype=bool), 4)
    assert network(np.arange(3)).shape == (3, 3)
