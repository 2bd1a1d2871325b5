"""The trained networks of the table of truth as trials of a search."""

from collections.abc import Sequence

import numpy as np

from burnish.modelfile.card import Guide
from burnish.modelfile.reader import read_card
from burnish.runtime.model_registry import find_model
from burnish.search.front import Trial, front
from burnish.search.request import REFERENCE, TRIAL_STEPS
from burnish.search.space import Candidate
from burnish.search.speed import total_milliseconds
from burnish.search.table import Table

OPERATORS = ("l0-smoothing", "local-laplacian")
ENGINE = "onnxruntime fp32"


def guide_of(operator: str) -> Guide:
    """Return the cascade of the operator's shipped model."""
    guide = read_card(find_model(operator)).guide
    assert guide
    return guide


def trained_networks(table: Table, operator: str, steps: int = TRIAL_STEPS) -> list[Trial]:
    """Return the networks with this training and a time, which contains the cascade."""
    first_level = table.about["operator_milliseconds"][operator]
    guide, key = guide_of(operator), (operator, steps)
    trials = []
    for row in table.rows.values():
        if key in row.psnr and ENGINE in row.milliseconds:
            own = row.milliseconds[ENGINE]
            total = total_milliseconds(row.candidate, own, first_level, guide)
            trials.append(Trial(row.candidate, total, row.psnr[key]))
    return trials


def spread(table: Table, count: int) -> list[Candidate]:
    """Return `fast` and other networks: about half from the fronts, the rest from all ranks."""
    trials = {operator: trained_networks(table, operator) for operator in OPERATORS}
    ranks: dict[Candidate, list[int]] = {}
    for own in trials.values():
        for rank, trial in enumerate(sorted(own, key=lambda trial: trial.psnr)):
            ranks.setdefault(trial.candidate, []).append(rank)
    scored = [c for c in ranks if len(ranks[c]) == len(OPERATORS)]
    chosen = [REFERENCE]
    best = {trial.candidate for own in trials.values() for trial in front(own)}
    for group, end in ((best, 1 + (count - 1) // 2), (scored, count)):
        rest = [candidate for candidate in scored if candidate in group and candidate not in chosen]
        rest.sort(key=lambda candidate: (sum(ranks[candidate]), candidate.label))
        chosen += _evenly(rest, end - len(chosen))
    return chosen


def _evenly(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return so many candidates at equal distances, the first and the last one among them."""
    indices = np.linspace(0, len(candidates) - 1, min(count, len(candidates)))
    return [candidates[round(index)] for index in indices]
