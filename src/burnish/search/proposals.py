"""Proposals: Optuna draws candidates from the space, and a predictor screens them."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from burnish.errors import UsageError
from burnish.search.front import Trial, best_at
from burnish.search.predictors import Predictor, Values, create
from burnish.search.request import Sampler
from burnish.search.space import Candidate, is_allowed

# Candidates that the predictor chooses one from.
POOL = 24
_MAX_ATTEMPTS = 2000
# With fewer trials than these, there is no predictor yet.
MIN_TRIALS = 12
_POPULATION = 16
# One candidate in so many is not screened.
_UNSCREENED = 5
# A candidate that is predicted to be slower than the target by this factor is left out.
_TOLERANCE = 1.1
_SLOW_LOSS = 1e3


class Proposer:
    """Proposes candidates, and learns from their results.

    Parameters
    ----------
    predictor : predicts the PSNR of proposals
    target : the time in ms that candidates should not exceed, or None
    predict_times : predicts their times in ms
    trials : known results. NSGA-II begins a new population, the others learn from them
    """

    def __init__(
        self,
        sampler: Sampler,
        predictor: str,
        seed: int,
        target: float | None,
        predict_times: Callable[[Sequence[Candidate]], Values],
        trials: Sequence[Trial] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings(action="ignore"):  # about experimental arguments
            self.study = optuna.create_study(
                sampler=_sampler(sampler, seed + len(trials)), directions=["minimize", "maximize"]
            )
        for trial in trials:
            self.study.add_trial(_finished(trial))
        self.sampler, self.predictor = sampler, predictor
        self.seed, self.target, self.predict_times = seed, target, predict_times
        self.count = 0

    def propose(
        self,
        trials: Sequence[Trial],
        prior: Sequence[Sequence[Trial]] = (),
    ) -> tuple[Candidate, optuna.Trial]:
        """Return the next candidate, and Optuna's trial, which `tell` gets.

        Parameters
        ----------
        trials : all results
        prior : trials of other operators; their PSNR is comparable within each only
        """
        self.count += 1
        known = {trial.candidate for trial in trials}
        is_screened = self.sampler != "random" and self.count % _UNSCREENED > 0
        is_screened = is_screened and len(trials) >= MIN_TRIALS
        asked: list[tuple[Candidate, optuna.Trial]] = []
        wanted = POOL if is_screened else 1
        for attempt in range(_MAX_ATTEMPTS):
            trial = self.study.ask()
            candidate = Candidate.draw(partial(_suggest, trial))
            if candidate in known or not is_allowed(candidate):
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                known.add(candidate)
                asked.append((candidate, trial))
            if len(asked) == wanted or (asked and attempt > 2 * POOL):
                break
        if not asked:
            remedy = "search for less long"
            raise UsageError("the search", "no candidate of the space is left", remedy)
        chosen = 0
        if is_screened:
            chosen = self._best([candidate for candidate, _ in asked], trials, prior)
        for index, (_, trial) in enumerate(asked):
            if index != chosen:
                self.study.tell(trial, state=TrialState.FAIL)
        return asked[chosen]

    def tell(self, trial: optuna.Trial, result: Trial) -> None:
        """Report the result of a candidate to Optuna."""
        self.study.tell(trial, [result.milliseconds, result.psnr])

    def _best(
        self,
        candidates: Sequence[Candidate],
        trials: Sequence[Trial],
        prior: Sequence[Sequence[Trial]],
    ) -> int:
        """Return the index of the candidate that promises most.

        That is the one farthest beyond the front or, with a target, the best that is quick enough.
        """
        fidelity = create(self.predictor, self.seed)
        _fit_fidelity(fidelity, trials, prior)
        times = self.predict_times(candidates)
        scores = np.array([trial.psnr for trial in trials])
        psnrs = fidelity.predict(candidates)[:, 0] * (scores.std() + 1e-9) + scores.mean()
        gains = []
        for psnr, time in zip(psnrs, times, strict=True):
            if self.target is None:
                gains.append(psnr - max(best_at(trials, time), scores.min()))
            else:
                is_slow = time > self.target * _TOLERANCE
                gains.append(psnr - _SLOW_LOSS if is_slow else psnr)
        return int(np.argmax(gains))


def _suggest(trial: optuna.Trial, name: str, options: Sequence[Any]) -> Any:
    return trial.suggest_categorical(name, list(options))


def _finished(trial: Trial) -> optuna.trial.FrozenTrial:
    """Return a trial as Optuna's own."""
    choices = trial.candidate.choices
    distributions: dict[str, optuna.distributions.BaseDistribution] = {}

    def choose(name: str, options: Sequence[Any]) -> Any:
        distributions[name] = optuna.distributions.CategoricalDistribution(list(options))
        return choices[name]

    Candidate.draw(choose)
    values = [trial.milliseconds, trial.psnr]
    return optuna.trial.create_trial(params=choices, distributions=distributions, values=values)


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


def _sampler(name: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True)
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
