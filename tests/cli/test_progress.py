"""The progress of long commands, without and with a terminal."""

import pytest

from burnish.cli.progress import ConsoleProgress
from burnish.cli.train import TrainingProgress
from burnish.training import StepInfo


def test_progress_without_a_terminal_prints_the_start_of_each_task(capsys):
    with ConsoleProgress() as progress:
        progress.start("computing pairs", 12)
        progress.advance()
        progress.start("training")
        progress.message("a line [of text]")
    assert capsys.readouterr().err == "computing pairs: 12\na line [of text]\n"


@pytest.mark.parametrize("options", [{"plain": False}, {"hidden": True}])
def test_progress_without_plain_lines_prints_nothing(capsys, options):
    with ConsoleProgress(2, **options) as progress:
        progress.start("a.jpg", 1)
        progress.advance(0.5)
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_shows_the_current_task(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with ConsoleProgress(2) as progress:
        progress.start("a[1].jpg", 1)
        progress.start("b.jpg", 1)
        progress.advance(0.5)
    text = capsys.readouterr().err
    assert "2 of 2: b.jpg" in text
    assert "50%" in text


def test_training_progress_prints_a_line_per_interval(capsys, monkeypatch):
    monkeypatch.setattr("burnish.cli.train.LINE_INTERVAL", 0.0)
    with TrainingProgress() as progress:
        progress.on_step(StepInfo(20, 0.5, 3.0, 0.25, {"edges": 0.125}))
        progress.on_validation(20, 31.5, "preview.png")
    assert capsys.readouterr().err.splitlines() == [
        "step 20, 50.0 %, loss 0.250000  edges 0.125",
        "step 20: 31.50 dB on the validation photos, see preview.png",
    ]


def test_progress_shows_a_spinner_and_no_share_until_work_is_reported(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with ConsoleProgress(1) as progress:
        progress.start("slow.jpg", 1)
    text = capsys.readouterr().err
    assert "slow.jpg" in text
    assert "0:00:00" in text
    assert "0%" not in text


@pytest.mark.parametrize("hidden", [False, True])
def test_compilation_is_reported_once(capsys, hidden):
    numba = pytest.importorskip("numba", reason="numba is not installed")
    double, triple = (numba.njit(lambda x, k=k: x * k) for k in (2, 3))
    with ConsoleProgress(plain=False, hidden=hidden):
        assert (double(4), triple(4)) == (8, 12)
        assert double(5) == 10
    with ConsoleProgress(plain=False):
        assert double(6) == 12
    assert capsys.readouterr().err.count("compiling") == (0 if hidden else 1)
