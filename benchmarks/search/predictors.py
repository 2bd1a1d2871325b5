"""Compare predictors of speed and fidelity on the table of truth.

    python benchmarks/search/predictors.py TABLE [--only time|PSNR] [--seeds 10] [--json FILE]

For each seed, the candidates are split anew: three quarters to learn from, one quarter to predict;
all predictors get the same splits. Printed are Kendall's tau, which tells how well candidates are
ranked, and the mean relative error of times, or the mean absolute error of PSNR in dB, each with
its standard deviation over the seeds. The relation head ranks only, and the mean does not rank.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from burnish.search.predictors import PREDICTORS, Predictor, Values, create
from burnish.search.space import Candidate
from burnish.search.table import Table

LEARNT_FRACTION = 0.75


class Mean:
    """Predicts the mean of the numbers that it was given."""

    def fit(self, candidates: Sequence[Candidate], targets: Values) -> None:
        self.mean = targets.mean(0)

    def predict(self, candidates: Sequence[Candidate]) -> Values:
        return np.tile(self.mean, (len(candidates), 1))


def targets(table: Table) -> dict[str, tuple[list[Candidate], list[str], Values, bool]]:
    """Return each group of targets: candidates, names, values, and whether they are times."""
    groups = {}
    timed = [row for row in table.rows.values() if row.milliseconds]
    names = sorted({name for row in timed for name in row.milliseconds})
    values = np.array([[row.milliseconds[name] for name in names] for row in timed])
    groups["time"] = ([row.candidate for row in timed], names, values, True)
    keys = sorted({key for row in table.rows.values() for key in row.psnr})
    shared = max((key[1] for key in keys), key=[key[1] for key in keys].count, default=0)
    keys = [key for key in keys if key[1] == shared]
    scored = [row for row in table.rows.values() if keys and all(k in row.psnr for k in keys)]
    if scored:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--predictors", nargs="*", default=["mean", *PREDICTORS])
    parser.add_argument("--only", choices=("time", "PSNR"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for group, (candidates, names, values, is_time) in targets(Table(arguments.table)).items():
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
                row |= {"error": errors[:, column].mean(), "error_std": errors[:, column].std()}
                rows.append(row | {"seconds": seconds})
                error = f"{row['error']:.3f} ± {row['error_std']:.3f}"
                print(
                    f"| {name} | {target} | {row['tau']:.3f} ± {row['tau_std']:.3f} | "
                    f"{'' if name == 'relation' else error} | {seconds:.1f} |",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
