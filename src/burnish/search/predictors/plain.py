"""Predictors without a graph network, which graph networks have to beat."""

from collections import Counter
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

from burnish.search.graph import (
    KINDS,
    bytes_moved,
    operations,
    peak_values,
    receptive_radius,
)
from burnish.search.predictors import Values
from burnish.search.space import Candidate

_HIDDEN = (64, 64)
# Channels that engines compute at once.
_BLOCK = 16
# ms
_LEAST_TIME = 1e-3


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
    totals = [
        sum(macs.values()),
        bytes_moved(graph),
        receptive_radius(graph),
        peak_values(graph),
        sum(operation.parameters for operation in graph),
    ]
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


class LayerTimes:
    """Times of layers that add up to those of whole networks, to which they are fitted.

    The time of a layer grows with the values that it reads and writes, with its multiply-adds, and
    with the multiply-adds of channels that are rounded up to whole blocks. The rates differ for
    each kind of layer, and none is negative. The targets are logarithms.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rates = np.zeros((1, 1))

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        """Fit the rates, for small relative errors."""
        work = np.array([_layer_work(candidate) for candidate in candidates])
        ones = np.ones(len(work))
        times = np.exp(targets).T
        self.rates = np.array([nnls(work / time[:, None], ones)[0] for time in times]).T

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        """Return the logarithms of sums of times."""
        work = np.array([_layer_work(candidate) for candidate in candidates])
        return np.log(np.maximum(work @ self.rates, _LEAST_TIME))


@cache
def _layer_work(candidate: Candidate) -> Values:
    """Return the work of all layers of each kind, and that of all layers."""
    work = np.zeros((len(KINDS) + 1, 4))
    for op in operations(candidate):
        positions = float(op.positions)
        inputs, outputs = (-(-c // _BLOCK) * _BLOCK for c in (op.channels_in, op.channels_out))
        blocks = outputs * (inputs if op.groups == 1 else 1) * op.kernel**2 * positions
        reads = op.channels_in * positions * op.stride**2
        own = np.array([op.macs, blocks, reads, op.values])
        work[KINDS.index(op.kind)] += own
        work[-1] += own
    return work.ravel()


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
