"""Compare predictors of speed and fidelity on the table of truth.

    python benchmarks/search/predictors.py TABLE [--only time|PSNR|steps] [--seeds 10] [--json FILE]

For each seed, the candidates are split anew: three quarters to learn from, one quarter to predict;
all predictors get the same splits. Printed are Kendall's tau, which tells how well candidates are
ranked, and the mean relative error of times, or the mean absolute error of PSNR in dB, each with
its standard deviation over the seeds. The relation head ranks only, and the mean does not rank.

"steps" is how far the results of short trainings predict those of long ones: Kendall's tau over the
networks that have both.

Results of an earlier run in FILE are kept, unless they are of the same predictors and targets.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from burnish.search.predictors import PREDICTORS, Predictor, Values, create
from burnish.search.space import Candidate
from burnish.search.table import Table

LEARNT_FRACTION = 0.75
# What tells a result from others.
_KEY = ("predictor", "target", "candidates")


class Mean:
    """Predicts the mean of the numbers that it was given."""

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        self.mean = targets.mean(0)

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        return np.tile(self.mean, (len(candidates), 1))


def targets(
    table: Table, count: int | None
) -> dict[str, tuple[list[Candidate], list[str], Values, bool]]:
    """Return each group of targets: candidates, names, values, and whether they are times.

    Parameters
    ----------
    count : so many candidates, the first ones [default: all]
    """
    groups = {}
    timed = [row for row in table.rows.values() if row.milliseconds][:count]
    names = sorted({name for row in timed for name in row.milliseconds})
    values = np.array([[row.milliseconds[name] for name in names] for row in timed])
    groups["time"] = ([row.candidate for row in timed], names, values, True)
    numbers = Counter(key for row in table.rows.values() for key in row.psnr)
    steps = max(numbers, key=lambda key: numbers[key])[1] if numbers else 0
    keys = sorted(key for key in numbers if key[1] == steps)
    scored = [row for row in table.rows.values() if all(k in row.psnr for k in keys)][:count]
    if keys and scored:
        values = np.array([[row.psnr[key] for key in keys] for row in scored])
        names = [operator for operator, _ in keys]
        groups["PSNR"] = ([row.candidate for row in scored], names, values, False)
    return groups


def scores(
    name: str, candidates: Sequence[Candidate], values: Values, is_time: bool, seed: int
) -> tuple[Values, Values]:
    """Return tau and error of a predictor for each target, for one split."""
    order = np.random.default_rng(seed).permutation(len(candidates))
    count = round(LEARNT_FRACTION * len(order))
    learnt, held = order[:count], order[count:]
    transformed = np.log(values) if is_time else values
    predictor: Predictor = Mean() if name == "mean" else create(name, seed)
    predictor.fit([candidates[i] for i in learnt], transformed[learnt])
    predicted = predictor.predict([candidates[i] for i in held])
    taus, errors = [], []
    for column in range(values.shape[1]):
        own, truth = predicted[:, column], transformed[held, column]
        taus.append(0.0 if np.ptp(own) == 0 else kendalltau(own, truth).statistic)
        errors.append(np.abs(np.exp(own - truth) - 1 if is_time else own - truth).mean())
    return np.array(taus), np.array(errors)


def agreement(table: Table) -> list[dict[str, Any]]:
    """Return how far results after fewer steps predict those after more, for each operator."""
    rows = []
    keys = sorted({key for row in table.rows.values() for key in row.psnr})
    for short, long in combinations(keys, 2):
        both = [row.psnr for row in table.rows.values() if {short, long} <= row.psnr.keys()]
        if short[0] != long[0] or len(both) < 2:
            continue
        before, after = (np.array([psnr[key] for psnr in both]) for key in (short, long))
        row = {"target": long[0], "candidates": len(both), "steps": [short[1], long[1]]}
        row |= {"tau": kendalltau(before, after).statistic, "gain": (after - before).mean()}
        rows.append(row | {"predictor": f"PSNR after {short[1]} steps"})
        print(
            f"{long[0]}, {len(both)} networks: tau of PSNR after {short[1]} and {long[1]} steps "
            f"{row['tau']:.3f}, mean gain {row['gain']:.2f} dB"
        )
    return rows


def save(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write results to a file, which keeps all others that it has."""
    new = {tuple(row[name] for name in _KEY) for row in rows}
    old = json.loads(path.read_text()) if path.exists() else []
    kept = [row for row in old if tuple(row[name] for name in _KEY) not in new]
    path.write_text(json.dumps([*kept, *rows], indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--predictors", nargs="*", default=["mean", *PREDICTORS])
    parser.add_argument("--only", choices=("time", "PSNR", "steps"))
    parser.add_argument("--count", type=int, help="only so many candidates, the first ones")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = Table(arguments.table)
    rows = agreement(table) if arguments.only in (None, "steps") else []
    for group, (candidates, names, values, is_time) in targets(table, arguments.count).items():
        if arguments.only not in (None, group):
            continue
        print(f"\n{group}: {len(candidates)} candidates")
        for name in arguments.predictors:
            start = time.process_time()
            results = [
                scores(name, candidates, values, is_time, seed) for seed in range(arguments.seeds)
            ]
            seconds = (time.process_time() - start) / arguments.seeds
            taus, errors = (np.array(part) for part in zip(*results, strict=True))
            for column, target in enumerate(names):
                row = {"predictor": name, "target": target, "candidates": len(candidates)}
                row |= {"tau": taus[:, column].mean(), "tau_std": taus[:, column].std()}
                row["splits"] = arguments.seeds
                row |= {"error": errors[:, column].mean(), "error_std": errors[:, column].std()}
                rows.append(row | {"seconds": seconds})
                error = f"{row['error']:.3f} ± {row['error_std']:.3f}"
                print(
                    f"| {name} | {target} | {row['tau']:.3f} ± {row['tau_std']:.3f} | "
                    f"{'' if name == 'relation' else error} | {seconds:.1f} |",
                    flush=True,
                )
    if arguments.json:
        save(rows, arguments.json)


if __name__ == "__main__":
    main()
