"""Keywords from words: classifiers of texts, with and without a graph, compared and chosen.

All of them are trained on the same texts with the same loop. TextGCN is transductive: the texts to
classify are nodes of its graph while it is trained.
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from burnish.keywords.metrics import LabelMetrics, Numbers, measure
from burnish.keywords.training.fit import Rows, cross_entropy, fit_calibration, sigmoid
from burnish.keywords.training.heads import GraphConvolution, prior_logits
from burnish.keywords.training.text_graph import count_words, text_graph, tf_idf
from burnish.types import BoolMask

_GRAPH_WIDTH = 200
# Width of the hidden layer in Galke and Scherp: Bag-of-words vs. graph vs. sequence in text
# classification, ACL 2022, doi:10.18653/v1/2022.acl-long.279.
_WIDE = 1024
_DROPOUT = 0.5
_EVALUATE_EVERY, _MAX_EPOCHS, _PATIENCE = 5, 200, 6


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts as matrices.

    Parameters
    ----------
    features : (texts, words), TF-IDF with rows of length 1
    graph : (texts + words, texts + words), see `text_graph`; a sparse tensor
    """

    features: sparse.csr_matrix
    graph: Tensor

    @classmethod
    def build(cls, texts: Sequence[str]) -> "Corpus":
        """Return the matrices of some texts."""
        counts, words = count_words(texts)
        weights = tf_idf(counts)
        lengths = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
        scaled = sparse.diags(1 / np.maximum(lengths, 1e-12)) @ weights
        graph = text_graph(texts, counts, words)
        return cls(sparse.csr_matrix(scaled), _sparse_tensor(graph))


class LogisticRegression(nn.Module):
    """A linear classifier of TF-IDF."""

    def __init__(self, corpus: Corpus, truth: BoolMask, width: int) -> None:
        super().__init__()
        self.features = corpus.features
        self.weight = nn.Parameter(torch.zeros(corpus.features.shape[1], truth.shape[1]))
        self.bias = nn.Parameter(prior_logits(truth))

    def forward(self, rows: Rows) -> Tensor:
        """Return the logits of some texts."""
        logits: Tensor = _sparse_tensor(self.features[rows]) @ self.weight + self.bias
        return logits


class WideMLP(nn.Module):
    """One wide hidden layer on TF-IDF (Galke and Scherp 2022)."""

    def __init__(self, corpus: Corpus, truth: BoolMask, width: int) -> None:
        super().__init__()
        self.features = corpus.features
        self.weight = nn.Parameter(torch.empty(corpus.features.shape[1], _WIDE))
        nn.init.normal_(self.weight, std=0.05)
        self.hidden_bias = nn.Parameter(torch.zeros(_WIDE))
        self.last = nn.Linear(_WIDE, truth.shape[1])
        self.last.bias = nn.Parameter(prior_logits(truth))

    def forward(self, rows: Rows) -> Tensor:
        """Return the logits of some texts."""
        features = _sparse_tensor(self.features[rows])
        hidden = functional.relu(features @ self.weight + self.hidden_bias)
        logits: Tensor = self.last(functional.dropout(hidden, _DROPOUT, self.training))
        return logits


class TextGCN(nn.Module):
    """Two graph convolutions over texts and words (Yao et al. 2019).

    The nodes' features are the identity, so that the first layer's weights are vectors of nodes.
    """

    def __init__(self, corpus: Corpus, truth: BoolMask, width: int) -> None:
        super().__init__()
        self.graph = corpus.graph
        self.vectors = nn.Parameter(torch.empty(len(corpus.graph), width))
        nn.init.xavier_uniform_(self.vectors)
        self.second = GraphConvolution(width, truth.shape[1])
        self.bias = nn.Parameter(prior_logits(truth))

    def forward(self, rows: Rows) -> Tensor:
        """Return the logits of some texts."""
        hidden = functional.relu(self.graph @ self.vectors)
        hidden = functional.dropout(hidden, _DROPOUT, self.training)
        logits: Tensor = self.second(self.graph, hidden)[torch.from_numpy(rows)] + self.bias
        return logits


Builder = Callable[[Corpus, BoolMask, int], nn.Module]
# Name -> classifier, its learning rate and weight decay. The first one is the baseline.
CLASSIFIERS: dict[str, tuple[Builder, float, float]] = {
    "logistic": (LogisticRegression, 0.1, 1e-5),
    "wide-mlp": (WideMLP, 1e-3, 0.0),
    "text-gcn": (TextGCN, 0.02, 0.0),
}


@dataclass(frozen=True, eq=False)
class TextResult:
    """A classifier after the number of epochs with the best validation.

    Parameters
    ----------
    validation_score : mean average precision, or accuracy if each text has one label, in percent
    logits : of all texts, (texts, labels)
    calibration : slope and offset of Platt scaling, fitted on the texts for validation
    """

    classifier: str
    epochs: int
    validation_score: float
    logits: Numbers
    calibration: tuple[float, float]

    def probabilities(self) -> Numbers:
        """Return calibrated probabilities of all texts."""
        slope, offset = self.calibration
        return sigmoid(slope * self.logits + offset)

    def metrics(self, truth: BoolMask, rows: Rows) -> LabelMetrics:
        """Return the metrics on some texts."""
        return measure(truth[rows], self.probabilities()[rows])


def train_classifier(
    name: str,
    corpus: Corpus,
    truth: BoolMask,
    train: Rows,
    validation: Rows,
    *,
    seed: int = 0,
    width: int = _GRAPH_WIDTH,
    single_label: bool = False,
    max_epochs: int = _MAX_EPOCHS,
) -> TextResult:
    """Train a classifier until its validation gets no better.

    Parameters
    ----------
    name : one of `CLASSIFIERS`
    truth : (texts, labels); only the rows of `train` and `validation` are used
    width : length of a node's vector in TextGCN
    single_label : each text has exactly one label
    """
    build, learning_rate, decay = CLASSIFIERS[name]
    best: dict[str, Any] = {"score": (-1.0, 0.0)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(corpus, truth[train], width)
        optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=decay)
        target = torch.from_numpy(truth[train].astype(np.float32))
        for epoch in range(1, max_epochs + 1):
            logits = network.train()(train)
            if single_label:
                loss = functional.cross_entropy(logits, target)
            else:
                loss = functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if epoch % _EVALUATE_EVERY:
                continue
            outputs = _logits(network, validation)
            score = _score(truth[validation], outputs, single_label=single_label)
            if score > best["score"]:
                best.update(score=score, epoch=epoch, weights=copy.deepcopy(network.state_dict()))
            elif epoch - best["epoch"] >= _PATIENCE * _EVALUATE_EVERY:
                break
    network.load_state_dict(best["weights"])
    logits_of_all = _logits(network, np.arange(len(truth)))
    calibration = fit_calibration(truth[validation], logits_of_all[validation])
    return TextResult(name, best["epoch"], best["score"][0], logits_of_all, calibration)


def _logits(network: nn.Module, rows: Rows) -> Numbers:
    with torch.no_grad():
        logits: Numbers = network.eval()(rows).numpy().astype(np.float64)
    return logits


def _score(truth: BoolMask, logits: Numbers, *, single_label: bool) -> tuple[float, float]:
    """Return the score of a validation, and the log-likelihood, which decides between equals."""
    likelihood = -cross_entropy(truth, logits)
    if single_label:
        correct = truth[np.arange(len(truth)), logits.argmax(axis=1)]
        return 100 * float(correct.mean()), likelihood
    return measure(truth, sigmoid(logits)).mean_ap, likelihood


def suggest_from_words(
    texts: Sequence[str], truth: BoolMask, labelled: Rows, seed: int = 0
) -> TextResult:
    """Return the classifier with the best validation on a fifth of the texts with labels.

    Parameters
    ----------
    texts : with and without labels
    truth : (texts, labels)
    labelled : the texts with labels
    """
    corpus = Corpus.build(texts)
    order = np.random.default_rng(seed).permutation(labelled)
    held_out = max(1, len(order) // 5)
    results = [
        train_classifier(name, corpus, truth, order[held_out:], order[:held_out], seed=seed)
        for name in CLASSIFIERS
    ]
    return max(results, key=lambda result: result.validation_score)


def _sparse_tensor(matrix: sparse.spmatrix) -> Tensor:
    csr = sparse.csr_matrix(matrix, dtype=np.float32)
    csr.sort_indices()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this format a beta
        return torch.sparse_csr_tensor(csr.indptr, csr.indices, csr.data, csr.shape)
