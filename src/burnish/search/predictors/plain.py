"""Predictors without a graph network, which graph networks have to beat."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from burnish.search.graph import KINDS, bytes_moved, operations
from burnish.search.predictors import Values
from burnish.search.space import Candidate

_HIDDEN = (64, 64)
# The share of multiply-adds that the table of layers starts with, so that none takes no time.
_LEAST = 1e-6


@cache
def flat_features(candidate: Candidate) -> NDArray[np.float64]:
    """Return the choices of a candidate and sums over its operations, as one vector."""
    choices = candidate.choices
    numbers = [float(value or 0) for value in choices.values() if not isinstance(value, str)]
    kinds = [choices[f"kind {index}"] for index in range(5)]
    letters = [float(kind == name) for kind in kinds for name in ("separable", "dilated")]
    graph = operations(candidate)
    macs = dict.fromkeys(KINDS, 0.0)
    for operation in graph:
        macs[operation.kind] += operation.macs
    counts = Counter(operation.kind for operation in graph)
    sums = [np.log1p(macs[kind]) for kind in KINDS] + [float(counts[kind]) for kind in KINDS]
    network = candidate.build()
    totals = [
        sum(macs.values()),
        bytes_moved(graph),
        network.halo,
        network.peak_activations_per_pixel,
    ]
    totals.append(sum(parameter.numel() for parameter in network.parameters()))
    relu = float(choices["activation"] == "relu")
    return np.array([*numbers, relu, *letters, *sums, *map(np.log, totals)])


class Macs:
    """A straight line over the logarithm of the multiply-adds."""

    def __init__(self, seed: int = 0) -> None:
        self.model = LinearRegression()

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Fit the line."""
        self.model.fit(self._features(candidates), targets)

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the numbers on the line."""
        return np.asarray(self.model.predict(self._features(candidates)))

    @staticmethod
    def _features(candidates: Sequence[Candidate]) -> Values:
        return np.log([[sum(op.macs for op in operations(c))] for c in candidates])


class LayerTable:
    """A table of the time of each kind of layer, fitted to the times of whole networks.

    The targets are logarithms. A layer that no network had takes time in proportion to its
    multiply-adds.
    """

    def __init__(self, seed: int = 0) -> None:
        self.tables: list[dict[tuple[object, ...], float]] = []
        self.rates: list[float] = []

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Fit the table with non-negative times, with relative errors."""
        layers = [_layers(candidate) for candidate in candidates]
        keys = sorted({key for counts in layers for key in counts}, key=repr)
        columns = {key: index for index, key in enumerate(keys)}
        matrix = np.zeros((len(layers), len(keys) + 1))
        for row, counts in enumerate(layers):
            for key, positions in counts.items():
                matrix[row, columns[key]] = positions
        matrix[:, -1] = [_macs(candidate) for candidate in candidates]
        self.tables, self.rates = [], []
        for target in np.exp(targets).T:
            *times, rate = nnls(matrix / target[:, None], np.ones(len(target)))[0]
            self.tables.append(dict(zip(keys, times, strict=True)))
            self.rates.append(max(rate, _LEAST))

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the logarithms of sums of times."""
        rows = []
        for candidate in candidates:
            layers, macs = _layers(candidate), _macs(candidate)
            sums = [
                sum(table.get(key, 0.0) * n for key, n in layers.items()) + rate * macs
                for table, rate in zip(self.tables, self.rates, strict=True)
            ]
            rows.append(np.log(sums))
        return np.array(rows)


def _layers(candidate: Candidate) -> dict[tuple[object, ...], float]:
    """Return the positions of each kind of layer."""
    counts: dict[tuple[object, ...], float] = defaultdict(float)
    for op in operations(candidate):
        key = (op.kind, op.channels_in, op.channels_out, op.activated)
        counts[key] += float(op.positions)
    return counts


def _macs(candidate: Candidate) -> float:
    return sum(operation.macs for operation in operations(candidate))


class _Flat:
    """A model of scikit-learn on `flat_features`."""

    def __init__(self, model: object) -> None:
        self.model = MultiOutputRegressor(model)
        self.scaler = StandardScaler()

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Learn from candidates."""
        scaled = self.scaler.fit_transform(targets)
        self.model.fit([flat_features(candidate) for candidate in candidates], scaled)

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the numbers of candidates."""
        scaled = self.model.predict([flat_features(candidate) for candidate in candidates])
        return np.asarray(self.scaler.inverse_transform(scaled))


class Boosting(_Flat):
    """Gradient boosting of trees."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(
            HistGradientBoostingRegressor(
                max_iter=200, learning_rate=0.08, min_samples_leaf=3, random_state=seed
            )
        )


class Mlp(_Flat):
    """A network of dense layers."""

    def __init__(self, seed: int = 0) -> None:
        network = MLPRegressor(
            hidden_layer_sizes=_HIDDEN, alpha=1e-2, max_iter=400, random_state=seed
        )
        super().__init__(make_pipeline(StandardScaler(), network))
