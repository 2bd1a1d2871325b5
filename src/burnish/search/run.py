"""The search: propose, screen, measure, train for a while, and train the best to the end."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from burnish.cluster.connection import is_connected
from burnish.cluster.tasks import run_tasks, task_count
from burnish.errors import UsageError
from burnish.export.onnx_export import write_card
from burnish.files import atomic_write, make_folder
from burnish.modelfile.reader import read_card
from burnish.operators.user_defined import find_operator
from burnish.runtime.engine_choice import EngineChoice
from burnish.search.front import Trial, draw, front
from burnish.search.predictors import Values
from burnish.search.proposals import Proposer
from burnish.search.request import REFERENCE, SearchRequest
from burnish.search.screening import TIMED, predict_milliseconds
from burnish.search.space import Candidate, random_candidate
from burnish.search.speed import (
    first_level,
    milliseconds,
    operator_milliseconds,
    total_bytes_moved,
    total_milliseconds,
)
from burnish.search.table import Row, Table
from burnish.search.trial import Trials, trial_psnr
from burnish.training import TrainCallbacks
from burnish.training.data import prepare_data
from burnish.training.pipeline import cascade_guide, train_and_export
from burnish.training.request import slugify
from burnish.types import Pixels

# The part of the budget for the final trainings.
FINAL_SHARE = 0.5
# A picture is drawn after so many trials.
PICTURE_INTERVAL = 10
# The key of the record of a search in a card's `training`.
RECORD = "search"


@dataclass(frozen=True)
class Finalist:
    """A network that was trained to the end.

    Attributes
    ----------
    trial : its time, and its PSNR after the short training
    psnr : of the model file on the validation photos
    """

    trial: Trial
    path: Path
    psnr: float


@dataclass(frozen=True)
class SearchResult:
    """All trials and the networks that were trained to the end, the winner first.

    Attributes
    ----------
    path : the model file
    reference : `fast` after the short training
    compared : `fast`, trained to the end; None if it was not
    target : the time in ms that the winner had to reach, or None
    """

    path: Path
    trials: Sequence[Trial]
    finalists: Sequence[Finalist]
    reference: Trial
    compared: Finalist | None
    target: float | None


def run_search(request: SearchRequest, callbacks: TrainCallbacks | None = None) -> SearchResult:
    """Search for a network as requested, and write it as a model file.

    Raises
    ------
    UsageError : there are too few photos, the folder holds another search, or no candidate reaches
        the target
    """
    callbacks = callbacks or TrainCallbacks()
    make_folder(request.training.run_dir)
    request.check_folder()
    return _Search(request, callbacks).run()


class _Search:
    """The state of a search."""

    def __init__(self, request: SearchRequest, callbacks: TrainCallbacks) -> None:
        self.request, self.callbacks = request, callbacks
        self.folder = request.training.run_dir
        self.trial_seconds = request.budget * (1 - FINAL_SHARE)
        callbacks.message(
            f"Timing and short trainings take {self.trial_seconds / 60:.3g} min, and the final "
            f"trainings {request.budget * FINAL_SHARE / 60:.3g} min. Computing the pairs and "
            "validating come on top."
        )
        config = request.trial_config
        training = request.training
        data = prepare_data(config, training.photos, training.validation, callbacks)
        self.bench = Trials(config, data)
        self.guide = cascade_guide(config)
        self.operator_time = self._operator_time(data.validation[0].read()[0])
        self.table = Table(self.folder / "trials.jsonl", {"operator": config.operator_name})
        self._last_measurement = time.perf_counter()
        self.choice = EngineChoice(request.engine, "fp32")
        callbacks.start("measuring the network fast")
        self.reference = self._trial(REFERENCE)
        self.target = request.latency
        if request.speed is not None:
            self.target = self.reference.milliseconds / request.speed

    def run(self) -> SearchResult:
        """Run trials until their time is up, and train the best candidates to the end."""
        request = self.request
        self.callbacks.start("searching")
        trials = self._known_trials()
        seed = request.training.config.seed
        proposer = Proposer(
            request.sampler,
            request.predictor,
            seed,
            self.target,
            self._predict_times,
            trials,
            self._bytes_moved if request.energy else None,
        )
        prior = self._prior()
        while not self._is_over(trials):
            found = [proposer.propose(trials, prior) for _ in range(task_count())]
            proposals = [proposal for proposal in found if proposal]
            if not proposals:
                self.callbacks.message("All networks that the sampler can propose were trained.")
                break
            if is_connected():
                self._train_on_cluster([candidate for candidate, _ in proposals])
            for candidate, asked in proposals:
                trial = self._trial(candidate)
                proposer.tell(asked, trial)
                trials.append(trial)
                self._report(trials)
        draw(trials, self.reference, self.target, self.folder / "front.png")
        return self._finish(trials)

    def _is_over(self, trials: Sequence[Trial]) -> bool:
        """Return whether the time for trials is up, and at least one candidate can be chosen.

        A target may be out of reach. Then one candidate is enough, whatever its time is.
        """
        is_enough = len(trials) > 1 if self.target else bool(self._better(trials))
        return self.table.seconds >= self.trial_seconds and is_enough

    def _train_on_cluster(self, candidates: Sequence[Candidate]) -> None:
        """Train candidates at the same time, and add their PSNR to the table."""
        request, training = self.request, self.request.training
        key = (request.trial_config.operator_name, request.trial_steps)
        rows = self.table.rows
        new = [
            candidate
            for candidate in dict.fromkeys(candidates)
            if candidate.label not in rows or key not in rows[candidate.label].psnr
        ]
        task = partial(trial_psnr, request.trial_config, training.photos, training.validation)
        for candidate, psnr in run_tasks(task, new):
            self.table.add_psnr(candidate, *key, psnr, self._elapsed())

    def _trial(self, candidate: Candidate) -> Trial:
        """Return the measurements of a candidate, which are taken unless the table has them."""
        key = (self.request.trial_config.operator_name, self.request.trial_steps)
        self._time(candidate)
        if key not in self.table.rows[candidate.label].psnr:
            self.table.add_psnr(candidate, *key, self.bench.psnr(candidate), self._elapsed())
        row = self.table.rows[candidate.label]
        own = row.milliseconds[self._engine_name]
        total = self._total(candidate, own)
        moved = self._bytes_moved(candidate) if self.request.energy else None
        return Trial(candidate, total, row.psnr[key], moved)

    def _known_trials(self) -> list[Trial]:
        """Return the trials of an interrupted search, and that of `fast`."""
        return [self._trial(row.candidate) for row in self.table.rows.values() if row.psnr]

    @property
    def _engine_name(self) -> str:
        return f"{self.choice.engine} {self.choice.precision}"

    def _time(self, candidate: Candidate) -> None:
        """Measure the time of a candidate, unless the table has it."""
        row = self.table.rows.get(candidate.label)
        if row is None or self._engine_name not in row.milliseconds:
            ((own,),) = milliseconds([candidate], [self.choice])
            self.table.add_costs(candidate, {self._engine_name: own}, seconds=self._elapsed())

    def _elapsed(self) -> float:
        """Return the seconds since the last measurement, in this run of the search."""
        start, self._last_measurement = self._last_measurement, time.perf_counter()
        return self._last_measurement - start

    def _timed_rows(self) -> list[Row]:
        """Return the candidates with a time. Before the first prediction there are few of them."""
        random = np.random.default_rng(self.request.training.config.seed)
        while True:
            rows = [row for row in self.table.rows.values() if row.milliseconds]
            if len(rows) >= TIMED:
                return rows
            self._time(random_candidate(random))

    def _predict_times(self, candidates: Sequence[Candidate]) -> Values:
        times = predict_milliseconds(self._timed_rows(), self._engine_name, candidates)
        return np.array([*map(self._total, candidates, times)])

    def _total(self, candidate: Candidate, network: float) -> float:
        """Return the time of a candidate with its cascade, from that of its network."""
        return float(total_milliseconds(candidate, network, self.operator_time, self.guide))

    def _bytes_moved(self, candidate: Candidate) -> float:
        return total_bytes_moved(candidate, self.guide)

    def _prior(self) -> list[list[Trial]]:
        """Return the trials of other operators in the table that the user gave."""
        groups: dict[tuple[str, int], list[Trial]] = {}
        for row in self.request.prior.rows.values() if self.request.prior else ():
            for key, psnr in row.psnr.items():
                groups.setdefault(key, []).append(Trial(row.candidate, 0.0, psnr))
        return [*groups.values()]

    def _operator_time(self, photo: Pixels) -> float:
        """Return the operator's time for the first level, measured once for a search."""
        size = first_level(self.guide)
        path = self.folder / f"operator-{size[0]}x{size[1]}.json"
        if not path.exists():
            config = self.request.trial_config
            operator = find_operator(config.operator)
            measured = operator_milliseconds(operator, config.params, photo, size)
            with atomic_write(path, overwrite=True) as file:
                file.write(json.dumps({"milliseconds": measured}).encode())
        return float(json.loads(path.read_text())["milliseconds"])

    def _report(self, trials: Sequence[Trial]) -> None:
        """Show the last trial, and the state of the search."""
        trial = trials[-1]
        mark = "  front" if trial in front(trials) else ""
        energy = "" if trial.bytes_moved is None else f"{trial.bytes_moved:5.0f} B/px  "
        self.callbacks.message(
            f"{len(trials):4d}  {trial.milliseconds:7.1f} ms/MP  {trial.psnr:6.2f} dB  {energy}"
            f"{trial.candidate.label}{mark}"
        )
        share = min(1.0, self.table.seconds / self.trial_seconds)
        self.callbacks.note(f"{len(trials)} trials, {share:.0%}")
        if len(trials) % PICTURE_INTERVAL == 0:
            draw(trials, self.reference, self.target, self.folder / "front.png")

    def _finish(self, trials: Sequence[Trial]) -> SearchResult:
        """Train the best candidates to the end, and write the best of them."""
        request = self.request
        chosen = self._finalists(trials)
        candidates = [REFERENCE] * request.compare + [trial.candidate for trial in chosen]
        budget = request.budget * FINAL_SHARE / len(candidates)
        compared = self._final(self.reference, budget) if request.compare else None
        finalists = [self._final(trial, budget) for trial in chosen]
        finalists.sort(key=lambda finalist: -finalist.psnr)
        best = finalists[0]
        path = self._write(best, self._record(trials, best, compared))
        return SearchResult(path, trials, finalists, self.reference, compared, self.target)

    def _write(self, best: Finalist, record: Mapping[str, Any]) -> Path:
        """Write the winner with the record of the search on its card."""
        draft = self.folder / "result.onnx"
        draft.write_bytes(best.path.read_bytes())
        card = read_card(draft)
        write_card(draft, card.model_copy(update={"training": {**card.training, RECORD: record}}))
        output = self.request.training.output
        with atomic_write(output, overwrite=self.request.training.overwrite) as file:
            file.write(draft.read_bytes())
        return output

    @staticmethod
    def _better(trials: Sequence[Trial]) -> list[Trial]:
        """Return the candidates of the front, none of which `fast` beats."""
        return [trial for trial in front(trials) if trial.candidate != REFERENCE]

    def _finalists(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the best candidates of the front that reach the target."""
        candidates = self._better(trials)
        if self.target is None and not candidates:
            problem = f"none of {len(trials) - 1} candidates is quicker or better than fast"
            raise UsageError("the search", problem, "use that network")
        if self.target is not None:
            target = self.target
            candidates = [trial for trial in candidates if trial.milliseconds <= target]
        if not candidates:
            quickest = min(trial.milliseconds for trial in trials)
            raise UsageError(
                "--latency" if self.request.speed is None else "--speed",
                f"no candidate takes at most {self.target:.1f} ms/MP; the quickest takes "
                f"{quickest:.1f}",
                "ask for less, or search longer",
            )
        return sorted(candidates, key=lambda trial: -trial.psnr)[: self.request.finalists]

    def _final(self, trial: Trial, budget: float) -> Finalist:
        """Train a candidate to the end, unless an interrupted search has done so."""
        candidate, training = trial.candidate, self.request.training
        name = slugify(candidate.label)
        folder = self.folder / name
        path = folder / f"{training.output.stem}.onnx"
        if not path.exists():
            make_folder(folder)
            self.callbacks.message(f"The training of {candidate.label} begins.")
            guided = candidate.guide_ratio is not None
            config = replace(
                training.config,
                network=candidate.network,
                guided=guided,
                guide_ratio=candidate.guide_ratio or training.config.guide_ratio,
                budget=budget,
            )
            train_and_export(
                replace(training, config=config, run_dir=folder, output=path), self.callbacks
            )
        rows = [row for row in read_card(path).metrics if row.guide != "network"]
        return Finalist(trial, path, (rows or read_card(path).metrics)[0].psnr_mean)

    def _record(
        self, trials: Sequence[Trial], best: Finalist, compared: Finalist | None
    ) -> dict[str, Any]:
        """Return a record of the search for the card."""
        request = self.request
        return {
            "engine": request.engine,
            "target_milliseconds": self.target and round(self.target, 2),
            "sampler": request.sampler,
            "predictor": request.predictor,
            "trials": len(trials),
            "trial_steps": request.trial_steps,
            "milliseconds": round(best.trial.milliseconds, 2),
            "guide_ratio": best.trial.candidate.guide_ratio,
            "energy": request.energy,
            "bytes_moved_per_pixel": best.trial.bytes_moved,
            "trial_psnr": round(best.trial.psnr, 2),
            "fast_milliseconds": round(self.reference.milliseconds, 2),
            "fast_trial_psnr": round(self.reference.psnr, 2),
            "fast_psnr": None if compared is None else compared.psnr,
        }
