"""The trained networks of the table of truth as trials of a search."""

from collections.abc import Sequence
from functools import cache

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


@cache
def guide_of(operator: str) -> Guide:
    """Return the cascade of the operator's shipped model."""
    guide = read_card(find_model(operator)).guide
    assert guide
    return guide


def with_cascade(table: Table, operator: str, candidate: Candidate, network: float) -> float:
    """Return the time of a candidate with its cascade, from that of its network."""
    first_level = table.about["operator_milliseconds"][operator]
    return float(total_milliseconds(candidate, network, first_level, guide_of(operator)))


def trained_networks(table: Table, operator: str, steps: int = TRIAL_STEPS) -> list[Trial]:
    """Return the networks with this training and a time, which contains the cascade."""
    key = (operator, steps)
    return [
        Trial(row.candidate, with_cascade(table, operator, row.candidate, own), row.psnr[key])
        for row in table.rows.values()
        if key in row.psnr and (own := row.milliseconds.get(ENGINE))
    ]


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
