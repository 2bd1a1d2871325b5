"""Replay searches on the table of truth: nothing is trained, results are looked up.

    python benchmarks/search/replay.py TABLE [--strategies random macs] [--seeds 20] [--json FILE]

A search trains one network after the other, `fast` first. Its result is the best other network that
takes at most the time limit, which is the time of `fast` divided by a speed. What differs is how
the next network is chosen from those of the table that are not yet trained:

random : at random, as `burnish search --sampler random` does it
quick : screened by predicted time alone: the first of 24 random ones that is quick enough
a predictor : screened by predicted time and PSNR, as `burnish search` does it
relation-iterative : as in BRP-NAS (Dudziak et al. 2020, https://arxiv.org/abs/2007.08668). Of all
    networks that are not trained, the relation head picks half of each batch from the top, and half
    at random from a part of the top that shrinks by half with each batch

A predictor is fitted after every ten networks, not after each one as in a search. Results of an
earlier run in FILE are kept, unless they are of the same strategies.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from trained import ENGINE, OPERATORS, trained_networks, with_cascade

from burnish.search.front import Trial, best_at, front
from burnish.search.morphnet import Predict
from burnish.search.predictors import Values
from burnish.search.request import REFERENCE
from burnish.search.screening import MIN_TRIALS, POOL, TIMED, Screening, predict_milliseconds
from burnish.search.space import Candidate
from burnish.search.table import Table

ITERATIVE = "relation-iterative"
STRATEGIES = ("random", "quick", "macs", "boosting", "mlp", "gcn", "relation", ITERATIVE)
SPEEDS = (1.0, 2.0)
# Results are reported after so many trained networks.
REPORTED = (10, 20, 40, 80)
# A predictor is fitted after so many networks.
BATCH = 10
# dB: a result is as good as the best of the table if it is at most this far behind.
CLOSE = 0.1


def replay(
    strategy: str,
    trials: Sequence[Trial],
    target: float,
    predict_times: Predict,
    seed: int,
    count: int = REPORTED[-1],
) -> list[Trial]:
    """Return `fast` and so many networks, in the order in which a search trains them.

    Parameters
    ----------
    trials : all networks of the table
    """
    random = np.random.default_rng(seed)
    predictor = strategy.removesuffix("-iterative")
    screening = Screening(predictor, seed, target, predict_times)
    known, rest = [_reference(trials)], _others(trials)
    batch: list[Trial] = []
    fits = 0
    while rest and len(known) <= count:
        if strategy != "random" and len(known) >= MIN_TRIALS + BATCH * fits:
            psnrs = screening.fit(known) if strategy != "quick" else _no_difference
            fits += 1
            if strategy == ITERATIVE:
                batch = _iterative_batch(rest, known, screening, psnrs, random, fits)
        pool = [rest[index] for index in random.permutation(len(rest))[:POOL]]
        chosen = pool[0]
        if batch:
            chosen = batch.pop()
        elif fits and screening.is_due(len(known) - 1, known):
            candidates = [trial.candidate for trial in pool]
            chosen = pool[int(np.argmax(screening.gains(candidates, known, psnrs)))]
        known.append(chosen)
        rest.remove(chosen)
    return known


def _no_difference(candidates: Sequence[Candidate]) -> Values:
    return np.zeros(len(candidates))


def _iterative_batch(
    rest: Sequence[Trial],
    known: Sequence[Trial],
    screening: Screening,
    psnrs: Predict,
    random: np.random.Generator,
    number: int,
) -> list[Trial]:
    """Return the batch of this number: half from the top, half from a larger part of it."""
    gains = screening.gains([trial.candidate for trial in rest], known, psnrs)
    order = np.argsort(-gains, kind="stable")
    half = BATCH // 2
    part = random.permutation(order[half : max(BATCH, len(order) >> number)])
    return [rest[index] for index in (*order[:half], *part[: BATCH - half])]


def score(
    strategy: str, trials: Sequence[Trial], speed: float, predict_times: Sequence[Predict]
) -> dict[str, Any]:
    """Return the results of replays, one for each function that predicts times.

    For each number of networks, the mean and the deviation of the best PSNR are given, or None if a
    replay has no network yet that is quick enough.
    """
    target = _reference(trials).milliseconds / speed
    best = best_at(_others(trials), target, None)
    psnrs, trainings = [], []
    for seed, predict in enumerate(predict_times):
        known = _others(replay(strategy, trials, target, predict, seed))
        found = [best_at(known[:count], target, None) for count in range(1, len(known) + 1)]
        psnrs.append([found[min(count, len(found)) - 1] for count in REPORTED])
        close = [count for count, psnr in enumerate(found, 1) if psnr >= best - CLOSE]
        trainings.append(close[0] if close else np.inf)
    median = float(np.median(trainings))
    spread = {
        str(count): None if np.isinf(own).any() else [float(own.mean()), float(own.std())]
        for count, own in zip(REPORTED, np.array(psnrs).T, strict=True)
    }
    return {
        "strategy": strategy,
        "speed": speed,
        "milliseconds": round(target, 1),
        "quick_enough": sum(trial.milliseconds <= target for trial in _others(trials)),
        "best": best,
        "seeds": len(predict_times),
        "psnr": spread,
        "trainings": median if np.isfinite(median) else None,
        "reached": float(np.isfinite(trainings).mean()),
    }


def _reference(trials: Sequence[Trial]) -> Trial:
    """Return the trial of `fast`."""
    (reference,) = [trial for trial in trials if trial.candidate == REFERENCE]
    return reference


def _others(trials: Sequence[Trial]) -> list[Trial]:
    """Return all but `fast`."""
    return [trial for trial in trials if trial.candidate != REFERENCE]


def time_predictor(table: Table, operator: str, seed: int) -> Predict:
    """Return a function that predicts times from those of some networks, as a search does it."""
    timed = [row for row in table.rows.values() if ENGINE in row.milliseconds]
    random = np.random.default_rng(seed)
    rows = [timed[index] for index in random.permutation(len(timed))[:TIMED]]
    labels = [trial.candidate for trial in trained_networks(table, operator)]
    own = predict_milliseconds(rows, ENGINE, labels)
    totals = {c: with_cascade(table, operator, c, ms) for c, ms in zip(labels, own, strict=True)}
    return lambda candidates: np.array([totals[candidate] for candidate in candidates])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = Table(arguments.table)
    for strategy in arguments.strategies:
        for operator in OPERATORS:
            trials = trained_networks(table, operator)
            times = [time_predictor(table, operator, seed) for seed in range(arguments.seeds)]
            replays = []
            for speed in SPEEDS:
                start = time.process_time()
                replays.append(score(strategy, trials, speed, times))
                print(
                    _line(operator, replays[-1]), f"{time.process_time() - start:.0f} s", flush=True
                )
            if arguments.json:
                save(operator, trials, replays, arguments.json)


def _line(operator: str, row: dict[str, Any]) -> str:
    """Return results as a line of a table."""
    pairs = row["psnr"].values()
    numbers = [f"{pair[0]:.2f} ± {pair[1]:.2f}" if pair else "" for pair in pairs]
    median = "" if row["trainings"] is None else f"{row['trainings']:.0f}"
    cells = [operator, f"{row['speed']:g}x", row["strategy"], *numbers, median]
    return f"| {' | '.join(cells)} | {row['reached']:.0%} |"


def save(
    operator: str, trials: Sequence[Trial], replays: Sequence[dict[str, Any]], path: Path
) -> None:
    """Write results of an operator to a file, which keeps those of other strategies."""
    everything = json.loads(path.read_text()) if path.exists() else {}
    result: dict[str, Any] = {
        "networks": len(trials),
        "fast": _numbers(_reference(trials)),
        "front": [_numbers(trial) for trial in front(_others(trials))],
    }
    old = everything.get(operator, {})
    is_same_table = old.get("networks") == len(trials)
    new = {row["strategy"] for row in replays}
    kept = [row for row in old["replays"] if row["strategy"] not in new] if is_same_table else []
    everything[operator] = result | {"replays": [*kept, *replays]}
    path.write_text(json.dumps(everything, indent=1) + "\n")


def _numbers(trial: Trial) -> dict[str, Any]:
    milliseconds, psnr = round(trial.milliseconds, 1), round(trial.psnr, 2)
    return {"network": trial.candidate.label, "milliseconds": milliseconds, "psnr": psnr}


if __name__ == "__main__":
    main()
