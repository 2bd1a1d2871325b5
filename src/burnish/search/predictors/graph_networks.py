"""Predictors that read the graph of a candidate, with the layers of PyTorch Geometric.

The graph convolution follows BRP-NAS (Dudziak et al. 2020, https://arxiv.org/abs/2007.08668), whose
relation head compares two candidates in place of scoring each. The relational attention is RGAT
(Busbridge et al. 2019, https://arxiv.org/abs/1904.05811), the capsules are those of CapsGNN.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import GCNConv, RGATConv, global_add_pool, global_mean_pool

from burnish.search.graph import KINDS, RELATIONS, Operation, operations
from burnish.search.predictors import Values
from burnish.search.predictors.capsules import GraphCapsules, NodeAttention
from burnish.search.space import Candidate

WIDTH = 48
# Its layers take many times as long as others of the same width.
RELATIONAL_WIDTH = 24
LAYERS = 3
EPOCHS = 50
MIN_STEPS = 200
BATCH = 32
MAX_LR = 5e-3
WEIGHT_DECAY = 1e-3
# Candidates that the relation head compares others with.
REFERENCES = 64


@cache
def to_data(candidate: Candidate) -> Data:
    """Return the graph of a candidate with its features. Edges lead both ways."""
    graph = operations(candidate)
    features = torch.tensor([_features(operation, candidate) for operation in graph])
    edges = [
        (source, target, RELATIONS.index(relation))
        for target, operation in enumerate(graph)
        for source, relation in operation.inputs
    ]
    sources, targets, relations = torch.tensor(edges).T
    both = torch.stack([torch.cat([sources, targets]), torch.cat([targets, sources])])
    edge_type = torch.cat([relations, relations + len(RELATIONS)])
    return Data(x=features, edge_index=both, edge_type=edge_type, num_nodes=len(graph))


def _features(operation: Operation, candidate: Candidate) -> list[float]:
    numbers = (operation.channels_in, operation.channels_out, operation.macs, operation.values)
    return [
        *(float(operation.kind == kind) for kind in KINDS),
        *(float(np.log1p(number)) / 4 for number in numbers),
        float(np.log2(float(operation.positions))) / 8,
        float(operation.activated),
        float(candidate.arguments["activation"] == "relu"),
        (candidate.guide_ratio or 0.0) / 4,
    ]


NUM_FEATURES = len(KINDS) + 8


class GraphConvolutions(nn.Module):
    """Graph convolutions; the nodes of each graph are summed up, and averaged."""

    out_features = 2 * WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(NUM_FEATURES, WIDTH)
        self.convs = nn.ModuleList(GCNConv(WIDTH, WIDTH) for _ in range(LAYERS))

    def forward(self, graphs: Batch) -> Tensor:
        x = F.relu(self.first(graphs.x))
        for conv in self.convs:
            x = x + F.relu(conv(x, graphs.edge_index))
        return _pooled(x, graphs)


class RelationalAttention(nn.Module):
    """Attention with weights of its own for each relation and direction.

    Parameters
    ----------
    scope : "within-relation" or "across-relation"
    """

    out_features = 2 * RELATIONAL_WIDTH

    def __init__(self, scope: str = "across-relation") -> None:
        super().__init__()
        self.first = nn.Linear(NUM_FEATURES, RELATIONAL_WIDTH)
        self.convs = nn.ModuleList(
            RGATConv(
                RELATIONAL_WIDTH, RELATIONAL_WIDTH, 2 * len(RELATIONS), attention_mechanism=scope
            )
            for _ in range(LAYERS)
        )

    def forward(self, graphs: Batch) -> Tensor:
        x = F.relu(self.first(graphs.x))
        for conv in self.convs:
            x = x + F.relu(conv(x, graphs.edge_index, graphs.edge_type))
        return _pooled(x, graphs)


class Capsules(nn.Module):
    """The capsules of a graph, from those of its nodes."""

    channels, size, out = 2, 8, 8
    out_features = out * size

    def __init__(self) -> None:
        super().__init__()
        width, count = self.channels * self.size, self.channels * (LAYERS + 1)
        self.first = nn.Linear(NUM_FEATURES, width)
        self.convs = nn.ModuleList(GCNConv(width, width) for _ in range(LAYERS))
        self.attention = NodeAttention(count, self.size)
        self.graph_capsules = GraphCapsules(count, self.size, self.out, self.size)

    def forward(self, graphs: Batch) -> Tensor:
        layers = [torch.tanh(self.first(graphs.x))]
        for conv in self.convs:
            layers.append(torch.tanh(conv(layers[-1], graphs.edge_index)))
        x = torch.cat(layers, dim=1).view(len(graphs.x), -1, self.size)
        x = self.attention(x, graphs.batch)
        capsules: Tensor = self.graph_capsules(x, graphs.batch, graphs.num_graphs)
        return capsules.flatten(1)


def _pooled(x: Tensor, graphs: Batch) -> Tensor:
    sums = global_add_pool(x, graphs.batch) / 16
    return torch.cat([sums, global_mean_pool(x, graphs.batch)], dim=1)


class _Trained:
    """A graph network and a head that is trained on candidates.

    Parameters
    ----------
    encoder : from a batch of graphs to (graphs, out_features)
    """

    def __init__(self, encoder: Callable[[], nn.Module], seed: int) -> None:
        self.encoder, self.seed = encoder, seed
        self.network: nn.ModuleList
        self.mean, self.std = np.zeros(1), np.ones(1)

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Train the network on the targets, which are scaled to mean 0 and deviation 1."""
        self.mean, self.std = targets.mean(0), targets.std(0) + 1e-9
        y = torch.tensor((targets - self.mean) / self.std, dtype=torch.float32)
        graphs = [to_data(candidate) for candidate in candidates]
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            encoder = self.encoder()
            features = cast(int, encoder.out_features)
            self.network = nn.ModuleList([encoder, self.head(features, y.shape[1])])
            self._train(graphs, y)

    def _train(self, graphs: list[Data], y: Tensor) -> None:
        size = min(BATCH, len(graphs))
        steps = max(MIN_STEPS, EPOCHS * len(graphs) // size)
        optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LR, steps)
        self.network.train()
        order = torch.randperm(len(graphs))
        for step in range(steps):
            start = step * size % (len(graphs) - size + 1)
            if start < size:
                order = torch.randperm(len(graphs))
            index = order[start : start + size]
            batch = Batch.from_data_list([graphs[i] for i in index.tolist()])
            loss = self.loss(self.network[0](batch), y[index])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        self.network.eval()

    @torch.no_grad()
    def embed(self, candidates: Sequence[Candidate]) -> Tensor:
        """Return the input of the head, (candidates, out_features)."""
        embedding: Tensor = self.network[0](Batch.from_data_list([*map(to_data, candidates)]))
        return embedding

    def head(self, features: int, targets: int) -> nn.Module:
        """Return the layers behind the graph network."""
        return nn.Sequential(nn.Linear(features, WIDTH), nn.ReLU(), nn.Linear(WIDTH, targets))

    def loss(self, embedding: Tensor, y: Tensor) -> Tensor:
        """Return the loss of some graphs."""
        return F.mse_loss(self.network[1](embedding), y)

    @torch.no_grad()
    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the numbers of candidates."""
        scaled: Values = self.network[1](self.embed(candidates)).double().numpy()
        return scaled * self.std + self.mean


class GraphRegressor(_Trained):
    """Graph convolutions that predict numbers."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(GraphConvolutions, seed)


class RelationalRegressor(_Trained):
    """Relational attention that predicts numbers."""

    def __init__(self, seed: int = 0, scope: str = "across-relation") -> None:
        super().__init__(lambda: RelationalAttention(scope), seed)


class WithinRelationRegressor(RelationalRegressor):
    """Relational attention whose weights sum to one within each relation."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, "within-relation")


class CapsuleRegressor(_Trained):
    """Graph capsules that predict numbers."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(Capsules, seed)


class RelationRanker(_Trained):
    """Graph convolutions that tell which one of two candidates has the larger number.

    A candidate's prediction is the mean of its logits against candidates it was trained on. It
    ranks candidates, and has no unit.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(GraphConvolutions, seed)
        self.references: Sequence[Candidate] = ()

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Train the network to compare the candidates."""
        super().fit(candidates, targets)
        self.references = candidates[:REFERENCES]

    def head(self, features: int, targets: int) -> nn.Module:
        """Return the layers that compare two candidates, the second one negated."""
        return super().head(2 * features, targets)

    def loss(self, embedding: Tensor, y: Tensor) -> Tensor:
        """Return the cross-entropy over all pairs of some graphs."""
        larger = (y[:, None] > y[None]).float()
        return F.binary_cross_entropy_with_logits(self._compare(embedding, embedding), larger)

    @torch.no_grad()
    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return how far candidates are ahead of others."""
        logits = self._compare(self.embed(candidates), self.embed(self.references))
        return logits.mean(1).double().numpy()

    def _compare(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the logits that the first is larger, (first, second, targets)."""
        a = first[:, None].expand(-1, len(second), -1)
        b = second[None].expand(len(first), -1, -1)
        logits: Tensor = self.network[1](torch.cat([a, b], dim=-1))
        return logits
