"""Layers of CapsGNN, capsule graph networks, which PyTorch Geometric does not have.

After Xinyi and Chen 2019 (https://openreview.net/forum?id=Byl8BnRcYm). A capsule is a vector whose
length says how present something is. Graphs of any size become a fixed number of capsules.
"""

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter, softmax

_EPS = 1e-8


def squash(capsules: Tensor) -> Tensor:
    """Shorten capsules to a length below one, and keep their directions.

    Examples
    --------
    >>> squash(torch.tensor([[0.0, 3.0]]))
    tensor([[0.0000, 0.9000]])
    """
    square = capsules.square().sum(-1, keepdim=True)
    return capsules * (square.add(_EPS).sqrt() / (1 + square))


class NodeAttention(nn.Module):
    """Scales the capsules of each node by attention, which has the mean 1 over each graph.

    Without it, large graphs would count for more than small ones.

    Shape: (nodes, capsules, size) and the graph of each node (nodes,) -> (nodes, capsules, size)
    """

    def __init__(self, capsules: int, size: int) -> None:
        super().__init__()
        width = capsules * size
        self.score = nn.Sequential(
            nn.Linear(width, width // 4), nn.Tanh(), nn.Linear(width // 4, capsules)
        )

    def forward(self, x: Tensor, batch: Tensor) -> Tensor:
        attention = softmax(self.score(x.flatten(1)), batch)
        scaled: Tensor = x * attention[..., None]
        return scaled


class GraphCapsules(nn.Module):
    """Turns the capsules of all nodes of a graph into a few capsules, by dynamic routing.

    Each node's capsule votes for each capsule of the graph. Votes that agree with the result count
    for more in the next round (Sabour et al. 2017, https://doi.org/10.48550/arXiv.1710.09829).

    Shape: (nodes, capsules, size) and the graph of each node (nodes,) -> (graphs, out, out_size)
    """

    def __init__(
        self, capsules: int, size: int, out: int, out_size: int, iterations: int = 3
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(capsules, out, size, out_size) * size**-0.5)
        self.iterations = iterations

    def forward(self, x: Tensor, batch: Tensor, graphs: int) -> Tensor:
        votes = torch.einsum("nci,coij->ncoj", x, self.weight)
        return route(votes, batch, graphs, self.iterations)


def route(votes: Tensor, batch: Tensor, graphs: int, iterations: int) -> Tensor:
    """Return the capsules of graphs that votes agree on.

    Shape: votes (nodes, capsules, out, size) and the graph of each node (nodes,) ->
    (graphs, out, size)
    """
    logits = votes.new_zeros(votes.shape[:3])
    result = votes.new_zeros(graphs, *votes.shape[2:])
    for iteration in range(iterations):
        weights = logits.softmax(2)
        sums = (weights[..., None] * votes).sum(1)
        result = squash(scatter(sums, batch, 0, graphs, "sum"))
        if iteration < iterations - 1:
            logits = logits + (votes * result[batch][:, None]).sum(-1)
    return result
