"""The search: it finds the known best of a toy space, resumes, and reports errors in one line."""

import gzip
import json
import math
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("optuna")

from burnish.errors import MissingLibraryError, UsageError
from burnish.modelfile.card import Guide
from burnish.runtime.cascade import level_sizes, operator_guide
from burnish.runtime.model import Model
from burnish.search import proposals, run, space
from burnish.search.front import Trial, draw, front
from burnish.search.graph import bytes_moved, operations
from burnish.search.morphnet import shrink, widen
from burnish.search.proposals import Proposer
from burnish.search.request import REFERENCE, validate_request
from burnish.search.run import Finalist, run_search
from burnish.search.space import Candidate
from burnish.search.speed import PHOTO, cascade_share, first_level, total_milliseconds
from burnish.search.table import Table
from burnish.training.pipeline import cascade_guide
from burnish.training.request import validate_request as validate_training


def macs(candidate):
    return sum(operation.macs for operation in operations(candidate))


def fidelity(candidate):
    """A made-up PSNR: more work is better, and a ReLU is worse."""
    return np.log(macs(candidate)) - (candidate.arguments["activation"] == "relu")


@pytest.fixture
def toy_space(monkeypatch):
    """A space of 48 networks."""
    for name, options in (("CELLS", (2,)), ("KINDS", ("plain",)), ("GUIDE_RATIOS", (None,))):
        monkeypatch.setattr(space, name, options)
    monkeypatch.setattr(space, "MIN_LEVELS", 2)
    monkeypatch.setattr(space, "MAX_LEVELS", 2)
    for name, options in (("WIDTHS", (8, 16)), ("DOWN", (1,)), ("UP", (0, 1, 2))):
        monkeypatch.setattr(space, name, options)
    return {
        Candidate.draw(lambda name, options, picks=picks: options[picks[name] % len(options)])
        for values in product(range(3), repeat=5)
        for picks in [
            dict.fromkeys(("cell", "levels", "guide_ratio", "kind 0", "kind 1", "down 0"), 0)
            | {"down 1": 0, "up 1": 0}
            | dict(zip(("width 0", "width 1", "up 0", "activation", "gain"), values, strict=True))
        ]
    }


@pytest.fixture
def widths_only(monkeypatch):
    """A space of three levels whose widths differ; `fast` is the widest network. Returns all."""
    options = {"CELLS": (2,), "KINDS": ("plain",), "GUIDE_RATIOS": (None,), "UP": (0,)}
    options |= {"DOWN": (1,), "ACTIVATIONS": ("leaky",), "MIN_LEVELS": 3, "MAX_LEVELS": 3}
    for name, value in options.items():
        monkeypatch.setattr(space, name, value)
    monkeypatch.setattr(proposals, "MAX_LEVELS", 3)
    monkeypatch.setattr(proposals, "POOL", 8)
    monkeypatch.setattr(proposals, "REFERENCE", Candidate("unet2-64.64.64-111-00"))
    every = product(space.WIDTHS, repeat=3)
    return [Candidate(f"unet2-{'.'.join(map(str, widths))}-111-00") for widths in every]


def importance_of_levels(candidate):
    """A made-up PSNR: deep levels matter more, and networks without a gain are worse."""
    widths = np.log(candidate.arguments["widths"])
    return float(widths @ (1, 2, 6)) - (not candidate.arguments["gain"])


@pytest.mark.parametrize("seed", [0, 2])
def test_samplers_of_widths_find_the_known_best(widths_only, seed):
    """Random choice finds it with two of five seeds, which are not these."""
    target = macs(proposals.REFERENCE) / 3
    best = max(importance_of_levels(c) for c in widths_only if macs(c) <= target)
    found = {}
    for sampler, count in {"morphnet": 12, "amc": 50, "random": 50}.items():
        own = Proposer(sampler, "macs", seed, target, lambda own: np.array([*map(macs, own)]))
        trials = []
        for _ in range(count):
            candidate, asked = own.propose(trials)
            trials.append(Trial(candidate, macs(candidate), importance_of_levels(candidate)))
            own.tell(asked, trials[-1])
        found[sampler] = max(trial.psnr for trial in trials if trial.milliseconds <= target)
    assert found["morphnet"] == found["amc"] == best > found["random"]


def test_morphnet_removes_the_widths_that_matter_least(widths_only):
    parent = Candidate("unet2-32.32.32-111-00")
    psnrs, times = (
        lambda own, number=number: np.array([number(candidate) for candidate in own])
        for number in (importance_of_levels, macs)
    )
    narrower = [Candidate(f"unet2-{w}-111-00") for w in ("24.32.32", "32.24.32", "32.32.24")]
    lost = [
        (importance_of_levels(parent) - importance_of_levels(c)) / (macs(parent) - macs(c))
        for c in narrower
    ]
    small = shrink(parent, 1, psnrs, times)
    assert small == narrower[int(np.argmin(lost))]
    wide = widen(small, 1.5 * macs(parent), times)
    assert macs(parent) < macs(wide) <= 1.5 * macs(parent)


def test_interrupted_searches_go_on_with_what_they_know(toy_space):
    """A sampler that is given the trials of an earlier one proposes none of them again."""
    trials = [Trial(c, macs(c), fidelity(c)) for c in sorted(toy_space, key=str)[:20]]
    for sampler in ("nsga2", "tpe"):
        own = Proposer(sampler, "macs", 0, None, lambda own: np.array([*map(macs, own)]), trials)
        assert [t.values for t in own.study.trials] == [list(t.objectives) for t in trials]
        assert own.propose(trials)[0] not in {trial.candidate for trial in trials}


def test_proposals_end_with_the_space(toy_space):
    trials = [Trial(candidate, 1.0, 1.0) for candidate in toy_space]
    assert Proposer("random", "macs", 0, None, np.array).propose(trials) is None


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_the_known_best_of_a_toy_space_is_found(toy_space, sampler):
    target = float(np.median([macs(candidate) for candidate in toy_space]))
    quick = [candidate for candidate in toy_space if macs(candidate) <= target]
    best = max(fidelity(candidate) for candidate in quick)
    proposer = Proposer(sampler, "macs", 0, target, lambda own: np.array([macs(c) for c in own]))
    trials = []
    for _ in range(24):
        candidate, asked = proposer.propose(trials)
        trials.append(Trial(candidate, macs(candidate), fidelity(candidate)))
        proposer.tell(asked, trials[-1])
    assert len({trial.candidate for trial in trials}) == len(trials)
    found = max(trial.psnr for trial in trials if trial.milliseconds <= target)
    assert found == best


def test_front_equals_its_definition():
    random = np.random.default_rng(0)
    numbers = random.random((40, 2))
    trials = [Trial(Candidate(str(i)), *map(float, pair)) for i, pair in enumerate(numbers)]
    expected = {
        trial.candidate
        for trial in trials
        if not any(o.milliseconds < trial.milliseconds and o.psnr >= trial.psnr for o in trials)
    }
    assert {trial.candidate for trial in front(trials)} == expected


def test_front_of_three_objectives_equals_its_definition():
    numbers = np.random.default_rng(0).random((40, 3))
    trials = [Trial(Candidate(str(i)), *map(float, row)) for i, row in enumerate(numbers)]
    costs = numbers * (1, -1, 1)
    expected = [not ((costs <= own).all(1) & (costs < own).any(1)).any() for own in costs]
    assert {t.candidate.network for t in front(trials)} == {*map(str, np.flatnonzero(expected))}


def test_energy_is_an_objective(tmp_path, stubbed):
    result = run_search(request(tmp_path, energy=True))
    for trial in result.trials:
        candidate = trial.candidate
        share = cascade_share(candidate, Guide(size=256, operator_size=512, max_ratio=4))
        moved = bytes_moved(operations(candidate)) * share
        assert trial.bytes_moved == pytest.approx(moved, abs=0.06)
    plain = [replace(trial, bytes_moved=None) for trial in result.trials]
    assert {t.candidate for t in front(plain)} < {t.candidate for t in front(result.trials)}
    draw(result.trials, result.reference, None, tmp_path / "front.png")


def test_picture_of_the_front(tmp_path):
    trials = [Trial(Candidate("a"), 10.0, 30.0), Trial(REFERENCE, 20.0, 31.0)]
    draw(trials, trials[1], 15.0, tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("guide", "computed"),
    [
        (Guide(size=256, max_ratio=4), [(876, 1168)]),
        (Guide(size=256, operator_size=512, max_ratio=2), [(1239, 1653)]),
        (Guide(size=160, operator_size=320, max_ratio=4, halved=True), [(750, 1000)]),
    ],
)
def test_the_cascade_counts_all_levels_but_the_first(guide, computed):
    candidate = Candidate("fast", 4.0)
    pixels = sum(height * width for height, width in [*computed, PHOTO])
    share = pixels / (PHOTO[0] * PHOTO[1])
    assert cascade_share(candidate, guide) == pytest.approx(share, rel=0.01)
    assert total_milliseconds(candidate, 100, 5, guide) == pytest.approx(100 * share + 5, rel=0.01)
    assert total_milliseconds(Candidate("fast"), 100, 5, guide) == 100


@pytest.mark.parametrize("operator", ["l0-smoothing", "local-laplacian", "dark-channel-dehazing"])
def test_the_cascade_is_that_of_the_models(tmp_path, operator):
    config = validate_training(operator, photos=tmp_path, output=tmp_path / "x.onnx").config
    guide, model = cascade_guide(config), Model.open(operator)
    assert first_level(guide) == model.first_level(*PHOTO)
    ratio = model.card.guide.max_ratio
    _, *levels = level_sizes(PHOTO, operator_guide(PHOTO, model.card.guide))
    share = sum(map(math.prod, levels)) / math.prod(PHOTO)
    assert cascade_share(Candidate("fast", ratio), guide) == share


def test_table_grows_line_by_line_and_survives_a_kill(tmp_path):
    path = tmp_path / "table.jsonl"
    candidate = Candidate("unet2-16.16-11-1", 2.0)
    table = Table(path, {"operator": "x"})
    table.add_costs(candidate, {"onnxruntime fp32": 3.0}, halo=7)
    table.add_psnr(candidate, "x", 300, 31.5, 2.0)
    with path.open("a") as file:
        file.write('{"candidate": "unet2')  # killed while it wrote
    packed = tmp_path / "table.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for again in (Table(path), Table(packed)):
        (row,) = again.rows.values()
        assert row.candidate == candidate
        assert row.milliseconds == {"onnxruntime fp32": 3.0}
        assert row.psnr == {("x", 300): 31.5}


def test_committed_table_is_of_the_space():
    table = Table(Path(__file__).parents[2] / "benchmarks/search/table.jsonl.gz")
    timed = [row.candidate for row in table.rows.values() if len(row.milliseconds) == 3]
    assert len(timed) >= 600
    assert all(Candidate.draw(partial(_pick, c.choices)) == c for c in timed[:40])


def _pick(choices, name, options):
    assert choices[name] in options
    return choices[name]


def test_incomplete_line_is_replaced(tmp_path):
    path = tmp_path / "table.jsonl"
    table = Table(path, {})
    with path.open("a") as file:
        file.write('{"candidate": "unet2')
    table = Table(path)
    table.add_costs(Candidate("unet2-16.16-11-1"), {"onnxruntime fp32": 3.0})
    assert list(Table(path).rows) == ["unet2-16.16-11-1"]


@pytest.mark.parametrize("text", ['{"version": 99}\n', "no table\n", ""])
def test_other_files_are_no_tables(tmp_path, text):
    path = tmp_path / "table.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"table\.jsonl: .*; ") as caught:
        Table(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tflite"}, "--engine: there is no engine 'tflite'"),
        ({"sampler": "luck"}, "--sampler: there is no sampler 'luck'"),
        ({"predictor": "luck"}, "--predictor: there is no predictor 'luck'"),
        ({"latency": "40ms/MP", "speed": "2x"}, "--speed: it cannot be combined with --latency"),
        ({"latency": "soon"}, "--latency: 'soon' is not a number above 0"),
        ({"photos": None}, "--photos: a folder of training photos is required"),
        ({"budget": "long"}, "--budget: 'long' is not a duration"),
    ],
)
def test_wrong_options_are_reported_in_one_line(tmp_path, options, message):
    arguments = {"photos": tmp_path, "output": tmp_path / "x.onnx"} | options
    with pytest.raises(UsageError, match=message):
        validate_request("l0-smoothing", **arguments)


def test_missing_engine_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingLibraryError, match="openvino"):
        validate_request("l0-smoothing", photos=tmp_path, engine="openvino")


@pytest.fixture
def stubbed(monkeypatch):
    """The search with made-up measurements and final trainings; returns the candidates trained."""
    trained = []

    class FakeTrials:
        def __init__(self, config, data):
            pass

        def psnr(self, candidate):
            trained.append(candidate)
            return fidelity(candidate)

    def final(self, trial, budget):
        return Finalist(trial, self.folder / "x.onnx", trial.psnr)

    pair = SimpleNamespace(read=lambda: np.zeros((2, 8, 8, 3), np.float32))
    data = SimpleNamespace(validation=[pair])
    monkeypatch.setattr(run, "Trials", FakeTrials)
    monkeypatch.setattr(run, "prepare_data", lambda *arguments: data)
    monkeypatch.setattr(run, "operator_milliseconds", lambda *arguments: 1.0)
    monkeypatch.setattr(run, "milliseconds", lambda own, _: [[macs(c) / 100] for c in own])
    monkeypatch.setattr(run._Search, "_final", final)
    monkeypatch.setattr(run, "TIMED", 20)
    # A trial takes some of the budget.
    times = iter(range(10**6))
    monkeypatch.setattr(run, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    monkeypatch.setattr(run._Search, "_write", lambda self, best, record: best.path)
    return trained


def request(tmp_path, **options):
    folder = tmp_path / "photos"
    folder.mkdir(exist_ok=True)
    return validate_request(
        "l0-smoothing",
        photos=folder,
        output=tmp_path / "x.onnx",
        run_dir=tmp_path / "run",
        budget="30s",
        predictor="macs",
        **options,
    )


def test_a_search_reaches_its_target_and_resumes(tmp_path, stubbed):
    result = run_search(request(tmp_path, speed="2x"))
    assert result.target == result.reference.milliseconds / 2
    (finalist,) = result.finalists
    assert finalist.trial.milliseconds <= result.target
    quick = [trial.psnr for trial in result.trials if trial.milliseconds <= result.target]
    assert finalist.trial.psnr == max(quick)
    assert result.compared.trial.candidate == REFERENCE
    count = len(stubbed)
    again = run_search(request(tmp_path, speed="2x"))
    assert len(stubbed) == count
    assert again.finalists == result.finalists


def test_other_search_in_the_folder_raises(tmp_path, stubbed):
    run_search(request(tmp_path))
    with pytest.raises(UsageError, match="holds another search, with a different sampler"):
        run_search(request(tmp_path, sampler="random"))


def test_a_search_goes_on_until_a_candidate_can_be_chosen(tmp_path, stubbed, monkeypatch):
    times = iter([50.0, 90.0, 90.0, 90.0])  # of `fast`, and of three that are slower and worse
    monkeypatch.setattr(run, "milliseconds", lambda own, _: [[next(times, 10.0)]])
    monkeypatch.setattr(run.Trials, "psnr", lambda self, candidate: float(candidate == REFERENCE))
    monkeypatch.setattr(run, "FINAL_SHARE", 0.99)
    result = run_search(request(tmp_path))
    assert len(result.trials) == 5
    assert [finalist.trial for finalist in result.finalists] == [result.trials[-1]]


def test_unreachable_target_raises(tmp_path, stubbed):
    with pytest.raises(UsageError, match=r"--latency: no candidate takes at most 0\.1 ms/MP"):
        run_search(request(tmp_path, latency="0.1ms/MP"))


def test_trials_of_other_operators_are_learnt_from(tmp_path, stubbed):
    path = tmp_path / "table.jsonl"
    table = Table(path, {})
    for index, width in enumerate((8, 16, 24)):
        table.add_psnr(Candidate(f"unet2-{width}.16-11-1"), "other", 300, 30.0 + index, 1.0)
    result = run_search(request(tmp_path, table=path))
    labels = [trial.candidate.label for trial in result.trials]
    assert "unet2-8.16-11-1" not in labels
    assert json.loads((tmp_path / "run" / "request.json").read_text())["sampler"] == "nsga2"
