"""Predictors of the cost and the fidelity of candidates, from graphs or from flat features."""

import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.search.space import Candidate

Values = NDArray[np.float64]


class Predictor(Protocol):
    """Learns numbers of candidates, such as the logarithms of their times."""

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Learn from the numbers of some candidates, (candidates, targets)."""

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the numbers of candidates, (candidates, targets)."""


# Name -> module and class
PREDICTORS = {
    "macs": "plain:Macs",
    "layers": "plain:LayerTimes",
    "boosting": "plain:Boosting",
    "mlp": "plain:Mlp",
    "gcn": "graph_networks:GraphRegressor",
    "rgat": "graph_networks:RelationalRegressor",
    "rgat-within": "graph_networks:WithinRelationRegressor",
    "capsgnn": "graph_networks:CapsuleRegressor",
    "relation": "graph_networks:RelationRanker",
}


def create(name: str, seed: int = 0) -> Predictor:
    """Return a new predictor by its name."""
    module, class_name = PREDICTORS[name].split(":")
    with warnings.catch_warnings(action="ignore"):  # PyTorch Geometric uses what PyTorch gives up
        found = import_module(f"burnish.search.predictors.{module}")
    predictor: Predictor = getattr(found, class_name)(seed)
    return predictor
