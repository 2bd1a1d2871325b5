"""The graph of labels, from the labels that photos share (Chen et al. 2019, sections 3.3 and 3.4).

Chen, Wei, Wang, Guo: Multi-label image recognition with graph convolutional networks, CVPR 2019,
doi:10.1109/CVPR.2019.00532.
"""

import numpy as np

from burnish.keywords.metrics import Numbers
from burnish.types import BoolMask

# The paper's threshold tau for edges, and its weight p of all neighbours of a label together.
THRESHOLD, NEIGHBOUR_WEIGHT = 0.4, 0.2


def conditional_probabilities(truth: BoolMask) -> Numbers:
    """Return P(j | i), the share of the photos with label i that have label j, too.

    Examples
    --------
    >>> conditional_probabilities(np.array([[1, 1], [1, 0]], bool))
    array([[1. , 0.5],
           [1. , 1. ]])
    """
    counts = truth.astype(np.float64)
    together = counts.T @ counts
    result: Numbers = together / np.maximum(np.diag(together), 1)[:, None]
    return result


def label_graph(
    truth: BoolMask, threshold: float = THRESHOLD, neighbour_weight: float = NEIGHBOUR_WEIGHT
) -> Numbers:
    """Return the normalised adjacency matrix of the labels.

    An edge leads from i to j if P(j | i) reaches the threshold. A label's neighbours share the
    weight p, and the label itself has 1 - p (re-weighting, equation 8). The matrix is then
    normalised by the degrees, as in Kipf and Welling's graph convolution.
    """
    edges = conditional_probabilities(truth) >= threshold
    np.fill_diagonal(edges, False)
    neighbours = edges / np.maximum(edges.sum(axis=1, keepdims=True), 1)
    weights = neighbour_weight * neighbours + (1 - neighbour_weight) * np.eye(len(edges))
    return normalise(weights)


def normalise(adjacency: Numbers) -> Numbers:
    """Return D^-1/2 A D^-1/2, with the degrees of the rows.

    Examples
    --------
    >>> normalise(np.full((2, 2), 3.0))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    scale = 1 / np.sqrt(adjacency.sum(axis=1))
    result: Numbers = scale[:, None] * adjacency * scale
    return result


def label_vectors(truth: BoolMask) -> Numbers:
    """Return a vector per label: the row of P(j | i), scaled to length 1.

    The paper takes word vectors (GloVe), which would have to be downloaded.
    """
    rows = conditional_probabilities(truth)
    result: Numbers = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return result
