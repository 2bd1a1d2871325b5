"""Replays of searches on a made-up table, whose best networks are known."""

import json

import numpy as np
import pytest

pytest.importorskip("optuna")

import predictors
import replay
from trained import OPERATORS, spread, trained_networks

from burnish.search.graph import operations
from burnish.search.request import REFERENCE
from burnish.search.space import random_candidate
from burnish.search.table import Table


def macs(candidate):
    return sum(operation.macs for operation in operations(candidate))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """60 networks whose PSNR grows with their multiply-adds; the long trainings agree."""
    path = tmp_path_factory.mktemp("table") / "table.jsonl"
    table = Table(path, {"operator_milliseconds": dict.fromkeys(OPERATORS, 5.0)})
    random = np.random.default_rng(0)
    for candidate in [REFERENCE, *(random_candidate(random) for _ in range(59))]:
        table.add_costs(candidate, {"onnxruntime fp32": macs(candidate) / 50})
        for operator in OPERATORS:
            psnr = 20 + np.log(macs(candidate))
            table.add_psnr(candidate, operator, 300, psnr, 1.0)
            if macs(candidate) > 2000:
                table.add_psnr(candidate, operator, 3000, psnr + 1, 1.0)
    return table


@pytest.mark.parametrize("strategy", ["random", "quick", "macs", replay.ITERATIVE])
def test_a_replay_trains_each_network_once(table, monkeypatch, strategy):
    monkeypatch.setattr(replay.Screening, "fit", lambda self, trials: lambda own: [*map(macs, own)])
    trials = trained_networks(table, OPERATORS[0])
    predict = replay.time_predictor(table, OPERATORS[0], seed=1)
    known = replay.replay(strategy, trials, 100.0, predict, seed=1)
    assert known[0].candidate == REFERENCE
    assert sorted(known, key=repr) == sorted(trials, key=repr)
    few = replay.replay(strategy, trials, 100.0, predict, seed=1, count=30)
    assert few == known[:31]


def test_screening_finds_the_best_sooner_than_chance(table, monkeypatch):
    monkeypatch.setattr(replay, "CLOSE", 1e-9)
    operator = OPERATORS[1]
    trials = trained_networks(table, operator)
    times = [replay.time_predictor(table, operator, seed) for seed in range(6)]
    speed = 1.5
    target = trials[0].milliseconds / speed
    chance, screened = (
        replay.score(strategy, trials, speed, times) for strategy in ("random", "macs")
    )
    best = max(trial.psnr for trial in trials[1:] if trial.milliseconds <= target)
    assert screened["reached"] == chance["reached"] == 1
    assert screened["psnr"]["80"] == chance["psnr"]["80"] == [pytest.approx(best), pytest.approx(0)]
    assert screened["trainings"] < chance["trainings"]


def test_random_order_takes_half_of_the_table_on_average(table):
    """The best of n networks in random order is at place (n + 1) / 2 on average."""
    trials = trained_networks(table, OPERATORS[0])
    best = max(trials[1:], key=lambda trial: trial.psnr)
    places = [
        replay.replay("random", trials, np.inf, macs, seed).index(best) for seed in range(300)
    ]
    assert np.mean(places) == pytest.approx(len(trials) / 2, rel=0.1)


def test_results_of_other_strategies_are_kept(tmp_path, table):
    path, trials = tmp_path / "replay.json", trained_networks(table, OPERATORS[0])
    for rows in ([("a", 1), ("b", 1)], [("b", 2)]):
        replays = [{"strategy": name, "best": best} for name, best in rows]
        replay.save("x", trials, replays, path)
    assert [row["best"] for row in json.loads(path.read_text())["x"]["replays"]] == [1, 2]
    replay.save("x", trials[:-1], [{"strategy": "c"}], path)
    assert [row["strategy"] for row in json.loads(path.read_text())["x"]["replays"]] == ["c"]


def test_long_trainings_are_spread_over_the_whole_range(table):
    chosen = spread(table, 20)
    assert chosen == spread(table, 20)
    assert chosen[0] == REFERENCE
    assert len({*chosen}) == 20
    trials = sorted(trained_networks(table, OPERATORS[0]), key=lambda trial: trial.psnr)
    assert {trials[0].candidate, trials[-1].candidate} <= {*chosen}


def test_agreement_of_short_and_long_trainings(table):
    rows = predictors.agreement(table)
    assert [row["target"] for row in rows] == [*OPERATORS]
    for row in rows:
        assert row["tau"] == pytest.approx(1)
        assert row["gain"] == pytest.approx(1)
        assert row["candidates"] == sum(macs(own.candidate) > 2000 for own in table.rows.values())
