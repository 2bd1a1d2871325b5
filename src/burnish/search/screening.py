"""Screening: a predictor learns from results, and picks the most promising of some proposals."""

from collections.abc import Callable, Sequence

import numpy as np

from burnish.search.front import Trial, best_at
from burnish.search.morphnet import Predict
from burnish.search.predictors import Predictor, Values, create
from burnish.search.space import Candidate
from burnish.search.table import Row

# Candidates that the predictor chooses one from.
POOL = 24
# With fewer trials than these, there is no predictor yet.
MIN_TRIALS = 12
# Networks from whose times those of others are predicted.
TIMED = 40
# One candidate in so many is not screened.
_UNSCREENED = 5
# A candidate that is predicted to be slower than the target by this factor is left out.
_TOLERANCE = 1.1
_SLOW_LOSS = 1e3


class Screening:
    """Picks candidates by their predicted PSNR and time.

    Parameters
    ----------
    predictor : predicts the PSNR of candidates
    target : the time in ms that candidates should not exceed, or None
    predict_times : predicts their times in ms
    bytes_moved : returns the bytes that a candidate moves, if these are an objective
    """

    def __init__(
        self,
        predictor: str,
        seed: int,
        target: float | None,
        predict_times: Predict,
        bytes_moved: Callable[[Candidate], float] | None = None,
    ) -> None:
        self.predictor, self.seed, self.target = predictor, seed, target
        self.predict_times, self.bytes_moved = predict_times, bytes_moved

    @staticmethod
    def is_due(number: int, trials: Sequence[Trial]) -> bool:
        """Return whether the proposal of this number is screened.

        Some are not, so that the predictor does not only see what it likes.
        """
        return len(trials) >= MIN_TRIALS and number % _UNSCREENED != _UNSCREENED - 1

    def fit(self, trials: Sequence[Trial], prior: Sequence[Sequence[Trial]] = ()) -> Predict:
        """Return a function that predicts the PSNR of candidates, learnt from some trials.

        Parameters
        ----------
        prior : trials of other operators; their PSNR is comparable within each only
        """
        predictor = create(self.predictor, self.seed)
        _fit_fidelity(predictor, trials, prior)
        psnrs = np.array([trial.psnr for trial in trials])
        return lambda own: predictor.predict(own)[:, 0] * (psnrs.std() + 1e-9) + psnrs.mean()

    def gains(
        self, candidates: Sequence[Candidate], trials: Sequence[Trial], predict_psnrs: Predict
    ) -> Values:
        """Return how much each candidate promises.

        That is how far it is beyond the front or, with a target, beyond all that reach it.
        """
        worst = min(trial.psnr for trial in trials)
        gains = []
        predictions = (predict_psnrs(candidates), self.predict_times(candidates))
        for candidate, psnr, time in zip(candidates, *predictions, strict=True):
            moved = self.bytes_moved(candidate) if self.bytes_moved else None
            gain = psnr - max(best_at(trials, self.target or time, moved), worst)
            is_slow = self.target is not None and time > self.target * _TOLERANCE
            gains.append(gain - _SLOW_LOSS if is_slow else gain)
        return np.array(gains)


def predict_milliseconds(
    rows: Sequence[Row], engine: str, candidates: Sequence[Candidate]
) -> Values:
    """Return the times of networks, learnt from those of others.

    Parameters
    ----------
    rows : with the times of these
    engine : and its precision, as in `burnish.search.table.Row`
    """
    predictor = create("layers")
    own = np.log([[row.milliseconds[engine]] for row in rows])
    predictor.fit([row.candidate for row in rows], own)
    return np.exp(predictor.predict(candidates))[:, 0]


def _fit_fidelity(
    predictor: Predictor, trials: Sequence[Trial], prior: Sequence[Sequence[Trial]]
) -> None:
    """Fit a predictor to PSNRs, scaled to mean 0 and deviation 1 for each operator."""
    candidates, targets = [], []
    for group in (trials, *prior):
        psnrs = np.array([trial.psnr for trial in group])
        candidates += [trial.candidate for trial in group]
        targets += [*((psnrs - psnrs.mean()) / (psnrs.std() + 1e-9))]
    predictor.fit(candidates, np.array(targets)[:, None])
