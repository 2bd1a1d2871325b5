"""Heads that map a photo's features to a score for each label: without and with the label graph.

Each head takes the pooled features, (N, F), and the features of the photo's parts, "tokens",
(N, T, D), and returns logits, (N, labels).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from burnish.keywords.metrics import Numbers
from burnish.keywords.training.graph import label_graph, label_vectors
from burnish.types import BoolMask

_GRAPH_WIDTH = 256
_QUERY_WIDTH, _QUERY_HEADS = 64, 4
_DROPOUT = 0.1


class LinearHead(nn.Module):
    """A linear classifier on the pooled features, without a graph."""

    def __init__(self, truth: BoolMask, pooled_size: int, token_size: int) -> None:
        super().__init__()
        self.classifiers = nn.Parameter(torch.zeros(truth.shape[1], pooled_size))
        self.bias = nn.Parameter(prior_logits(truth))

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """Return logits."""
        return functional.linear(pooled, self.classifiers, self.bias)


class GraphConvolution(nn.Module):
    """A graph convolution: A X W for an adjacency matrix A, nodes X and weights W."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, adjacency: Tensor, nodes: Tensor) -> Tensor:
        """Return the nodes of the next layer, (nodes, outputs). The adjacency may be sparse."""
        product: Tensor = adjacency @ (nodes @ self.weight)
        return product


class GraphHead(nn.Module):
    """ML-GCN: two graph convolutions over the labels make the classifiers (Chen et al. 2019)."""

    def __init__(self, truth: BoolMask, pooled_size: int, token_size: int) -> None:
        super().__init__()
        vectors = label_vectors(truth)
        self.adjacency = nn.Buffer(_tensor(label_graph(truth)))
        self.vectors = nn.Buffer(_tensor(vectors))
        self.first = GraphConvolution(vectors.shape[1], _GRAPH_WIDTH)
        self.second = GraphConvolution(_GRAPH_WIDTH, pooled_size)
        self.bias = nn.Parameter(prior_logits(truth))

    def classifiers(self) -> Tensor:
        """Return the classifier of each label, (labels, F)."""
        hidden = functional.leaky_relu(self.first(self.adjacency, self.vectors), 0.2)
        classifiers: Tensor = self.second(self.adjacency, hidden)
        return classifiers

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """Return logits."""
        return functional.linear(pooled, self.classifiers(), self.bias)


class QueryHead(nn.Module):
    """A query per label attends to the parts of the photo.

    Ridnik, Sharir, Ben-Cohen, Ben-Baruch, Noy: ML-Decoder, WACV 2023, arXiv:2111.12933. As there,
    the queries are fixed random vectors, and attention among the queries is left out.
    """

    # Attention diverges with that of the other heads.
    learning_rate = 1e-3

    def __init__(self, truth: BoolMask, pooled_size: int, token_size: int) -> None:
        super().__init__()
        labels = truth.shape[1]
        self.project = nn.Linear(token_size, _QUERY_WIDTH)
        self.queries = nn.Buffer(torch.randn(1, labels, _QUERY_WIDTH))
        self.attention = nn.MultiheadAttention(_QUERY_WIDTH, _QUERY_HEADS, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(_QUERY_WIDTH, 2 * _QUERY_WIDTH),
            nn.ReLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(2 * _QUERY_WIDTH, _QUERY_WIDTH),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(_QUERY_WIDTH) for _ in range(2))
        self.classifiers = nn.Parameter(torch.zeros(labels, _QUERY_WIDTH))
        self.bias = nn.Parameter(prior_logits(truth))

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """Return logits."""
        parts = functional.relu(self.project(tokens))
        queries = self.queries.expand(len(parts), -1, -1)
        attended, _ = self.attention(queries, parts, parts, need_weights=False)
        states = self.norms[0](queries + attended)
        states = self.norms[1](states + self.feed_forward(states))
        logits: Tensor = (states * self.classifiers).sum(2) + self.bias
        return logits


def without_graph(head: nn.Module) -> nn.Module:
    """Return a head for running: the graph is needed to learn the classifiers only."""
    if not isinstance(head, GraphHead):
        return head
    classifiers = head.classifiers().detach()
    linear = LinearHead(np.zeros((1, len(classifiers)), bool), classifiers.shape[1], 0)
    linear.classifiers, linear.bias = nn.Parameter(classifiers), head.bias
    return linear


# Builds a head from the labels of the photos to train on, and the sizes of the features.
Builder = Callable[[BoolMask, int, int], nn.Module]
# Name -> head. The first one has no graph.
HEADS: dict[str, Builder] = {"linear": LinearHead, "ml-gcn": GraphHead, "query": QueryHead}


def prior_logits(truth: BoolMask) -> Tensor:
    """Return the logit of each label's frequency, smoothed by half a photo."""
    frequency = (truth.sum(axis=0) + 0.5) / (len(truth) + 1)
    return _tensor(np.log(frequency / (1 - frequency)))


def _tensor(values: Numbers) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))
