"""Proposals: a sampler draws candidates from the space, and a predictor screens them.

The samplers are NSGA-II, TPE and random choice of Optuna, and two that change the widths of `fast`
only: MorphNet's, and the ratios of AMC (He et al. 2018, https://arxiv.org/abs/1802.03494). AMC
chooses a ratio of channels for each layer by reinforcement learning. Here TPE chooses one for each
level, because the layers of a level share their width.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from burnish.search.front import Trial, front
from burnish.search.morphnet import Predict, shrink, widen
from burnish.search.request import REFERENCE, Sampler
from burnish.search.screening import POOL, Screening
from burnish.search.space import MAX_LEVELS, Candidate, is_allowed

_MAX_ATTEMPTS = 500
_POPULATION = 16
# The smallest ratio of channels for AMC.
_MIN_RATIO = 0.1


class Proposer:
    """Proposes candidates, and learns from their results.

    Parameters
    ----------
    predictor, target, predict_times, bytes_moved : see `burnish.search.screening.Screening`
    trials : known results, from which the sampler learns
    """

    def __init__(
        self,
        sampler: Sampler,
        predictor: str,
        seed: int,
        target: float | None,
        predict_times: Predict,
        trials: Sequence[Trial] = (),
        bytes_moved: Callable[[Candidate], float] | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings(action="ignore"):  # about experimental arguments
            self.study = optuna.create_study(
                sampler=_sampler(sampler, seed + len(trials)),
                directions=["minimize"] * (3 if bytes_moved else 2),
            )
        self.sampler, self.target, self.predict_times = sampler, target, predict_times
        self.screening = Screening(predictor, seed, target, predict_times, bytes_moved)
        self.random = np.random.default_rng(seed + len(trials))
        self.proposed: set[Candidate] = set()
        for trial in trials:
            self.study.enqueue_trial(self._params(trial.candidate))
            self.tell(self._ask()[1], trial)

    def propose(
        self,
        trials: Sequence[Trial],
        prior: Sequence[Sequence[Trial]] = (),
    ) -> tuple[Candidate, optuna.Trial] | None:
        """Return the next candidate, and Optuna's trial, which `tell` gets.

        None is returned if no candidate is found that is new.

        Parameters
        ----------
        trials : all results
        prior : trials of other operators; their PSNR is comparable within each only
        """
        known = self.proposed | {trial.candidate for trial in trials}
        is_screened = self.sampler != "random" and self.screening.is_due(len(self.proposed), trials)
        psnrs = self.screening.fit(trials, prior) if is_screened else None
        asked: list[tuple[Candidate, optuna.Trial]] = []
        rejected: list[optuna.Trial] = []
        wanted = POOL if psnrs and self.sampler != "morphnet" else 1
        for attempt in range(_MAX_ATTEMPTS):
            if self.sampler == "morphnet":
                importance = psnrs if attempt < POOL else None
                self.study.enqueue_trial(self._params(self._morphed(trials, importance)))
            elif self.sampler == "amc" and attempt > POOL:  # TPE repeats itself
                ratios = self.random.uniform(_MIN_RATIO, 1.0, MAX_LEVELS)
                self.study.enqueue_trial({f"width {i}": ratio for i, ratio in enumerate(ratios)})
            candidate, trial = self._ask()
            if candidate in known or not is_allowed(candidate):
                rejected.append(trial)
            else:
                known.add(candidate)
                asked.append((candidate, trial))
            if len(asked) == wanted or (asked and attempt > 2 * POOL):
                break
        chosen = None
        if asked:
            candidates = [candidate for candidate, _ in asked]
            gains = self.screening.gains(candidates, trials, psnrs) if psnrs else [0]
            chosen = asked.pop(int(np.argmax(gains)))
            self.proposed.add(chosen[0])
        for trial in (*rejected, *(trial for _, trial in asked)):
            self.study.tell(trial, state=TrialState.FAIL)
        return chosen

    def tell(self, trial: optuna.Trial, result: Trial) -> None:
        """Report the result of a candidate to Optuna."""
        self.study.tell(trial, result.objectives)

    def _ask(self) -> tuple[Candidate, optuna.Trial]:
        trial = self.study.ask()
        return Candidate.draw(partial(self._suggest, trial)), trial

    def _suggest(self, trial: optuna.Trial, name: str, options: Sequence[Any]) -> Any:
        if self.sampler != "amc":
            return trial.suggest_categorical(name, list(options))
        own = REFERENCE.choices[name]
        if not name.startswith("width"):
            return own
        ratio = trial.suggest_float(name, _MIN_RATIO, 1.0)
        return min(options, key=lambda width: abs(width - ratio * own))

    def _params(self, candidate: Candidate) -> dict[str, Any]:
        """Return the numbers that Optuna suggests for a candidate."""
        choices = candidate.choices
        if self.sampler != "amc":
            return choices
        widths = [name for name in choices if name.startswith("width")]
        return {name: choices[name] / REFERENCE.choices[name] for name in widths}

    def _morphed(self, trials: Sequence[Trial], psnrs: Predict | None) -> Candidate:
        """Return a candidate of the front after MorphNet's step.

        Without predictions of PSNR, levels are of random importance.
        """
        parents = [
            trial for trial in front(trials) if trial.milliseconds <= (self.target or np.inf)
        ]
        parent = REFERENCE
        if parents:
            parent = parents[self.random.integers(len(parents))].candidate
        limit = self.target or self.predict_times([parent])[0]
        steps = int(self.random.integers(1, 2 * len(parent.arguments["widths"])))
        importance = psnrs or (lambda candidates: self.random.random(len(candidates)))
        small = shrink(parent, steps, importance, self.predict_times)
        return widen(small, limit, self.predict_times)


def _sampler(name: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name in ("tpe", "amc"):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
