"""Films beside photos: one plan, one run, outcomes of the same form."""

import json
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonschema import validate
from PIL import Image

import burnish as package
from burnish.editing import inputs as sources
from burnish.editing import plan as planning
from burnish.editing.outcome import outcome_schema
from burnish.errors import MissingLibraryError, UsageError, VideoError
from burnish.video.formats import EncodingOptions


@pytest.fixture
def folder(clip, tmp_path, picture):
    """Two photos, a film, and something else."""
    clip("b.mp4", frames=5)
    for name in ("a.png", "c.png"):
        Image.fromarray(picture(1)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_a_folder_of_both(folder, burnish):
    code, out, err = burnish("apply", "l0-smoothing", folder, "--json")
    assert code == 0
    outcomes = [json.loads(line) for line in out.splitlines()]
    for outcome in outcomes:
        validate(outcome, json.loads(outcome_schema()))
    assert [Path(outcome["output"]).name for outcome in outcomes] == [
        *("a.l0-smoothing.png", "b.l0-smoothing.mp4", "c.l0-smoothing.png")
    ]
    assert [outcome["frames"] for outcome in outcomes] == [None, 5, None]
    assert outcomes[1]["length"] == pytest.approx(0.2)
    assert outcomes[1]["megapixels"] == pytest.approx(5 * 96 * 64 / 1e6)
    assert "3 of 3 photos and films done" in err
    # Another run takes neither results nor what has them.
    code, out, err = burnish("apply", "l0-smoothing", folder, "--skip-existing", "--json")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["skipped"] * 3


def test_a_dry_run_names_the_film_and_makes_nothing(folder, burnish):
    code, out, _ = burnish("apply", "l0-smoothing", folder, "--dry-run", "--format", "mkv")
    assert code == 0
    assert f"{folder / 'b.mp4'} -> {folder / 'b.l0-smoothing.mkv'}" in out
    assert f"{folder / 'a.png'} -> {folder / 'a.l0-smoothing.png'}" in out
    assert len(list(folder.iterdir())) == 4


def test_one_film_by_name(folder, burnish):
    code, out, _ = burnish("apply", "l0-smoothing", folder / "b.mp4", "-o", folder / "o.mkv")
    assert code == 0
    assert "o.mkv" in out
    assert "5 frames" in out
    code, _, err = burnish("apply", "l0-smoothing", folder / "b.mp4", "-o", folder / "o.mkv")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "use --overwrite" in err
    code, *_ = burnish("apply", "tv-l1", folder / "b.mp4", "-o", folder / "o.mkv", "--overwrite")
    assert code == 0


def test_a_slow_operator(folder, burnish):
    (folder / "own.py").write_text("def darker(pixels): return pixels / 2")
    code, _, _ = burnish("apply", "--slow", f"python:{folder / 'own.py'}:darker", folder / "b.mp4")
    assert code == 0
    assert (folder / "b.darker.mp4").exists()


def test_a_broken_film_does_not_stop_the_rest(folder, burnish):
    (folder / "b.mp4").write_bytes(b"no film")
    (folder / "b2.avi").write_bytes(b"no film")
    code, _, err = burnish("apply", "l0-smoothing", folder)
    assert code == 1
    assert "2 of 4 photos and films done, 2 failed" in err
    assert sum(line.startswith("burnish: ") for line in err.splitlines()) == 2


def test_again_does_to_a_film_what_was_done(folder, clip, burnish):
    clip("d.mp4", frames=3)
    burnish("apply", "l0-smoothing", folder / "b.mp4", "--lambda", "0.05")
    burnish("apply", "tv-l1", folder / "b.l0-smoothing.mp4", "-o", folder / "both.mp4")
    code, out, _ = burnish(
        "again", folder / "both.mp4", folder / "d.mp4", folder / "a.png", "--json"
    )
    assert code == 0
    steps = json.loads(out.splitlines()[0])["steps"]
    assert [step["operator"] for step in steps] == ["l0-smoothing", "tv-l1"]
    assert steps[0]["params"]["lambda"] == 0.05
    # A photo's edits serve for films, and the other way.
    burnish("apply", "l0-smoothing", folder / "a.png")
    assert burnish("again", folder / "a.l0-smoothing.png", folder / "d.mp4")[0] == 0
    code, _, err = burnish("again", folder / "d.mp4", folder / "a.png")
    assert code == 1
    assert "does not say how it was made" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["b.mp4", "--crf", "60", "--codec", "h264"], 2, "--crf 60: expected 0 to 51 for h264"),
        (["b.mp4", "--crf", "99"], 2, "--crf 99: expected 0 to 63 in mp4, got 99"),
        (["b.mp4", "--codec", "prores"], 2, "--codec prores: expected h264, hevc, av1, vp9 in"),
        (["b.mp4", "--codec", "nothing"], 2, "--codec nothing: expected h264"),
        (["b.mp4", "--depth", "16"], 2, "expected none for a film, which keeps its own"),
        (["b.mp4", "-o", "x.png"], 2, "expected a film that burnish writes"),
        (["b.mp4", "--format", "avi"], 2, "expected a film that burnish writes"),
        (["b.mp4", "-o", "x.mkv", "--format", "mp4"], 2, "expected the format that -o x.mkv has"),
        (
            ["b.mp4", "--quality", "90"],
            2,
            "--quality 90: expected a photo, got only films",
        ),
        (["a.png", "--crf", "20"], 2, "expected a film to encode, got only photos"),
        (["b.mp4", "--format", "png"], 2, "expected a format of films, got one of photos"),
        (["a.png", "--format", "mkv"], 2, "expected a format of photos, got one of films"),
        (["a.png", "-o", "x.mp4"], 2, "expected a format that burnish writes"),
        (["b.mp4", "-o", "b.mp4", "--overwrite"], 2, "expected an output that is no input"),
        (["none.mp4"], 1, "no such file"),
    ],
)
def test_what_cannot_be_is_one_line(folder, burnish, monkeypatch, arguments, code, words):
    monkeypatch.chdir(folder)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    got, out, err = burnish("apply", "l0-smoothing", *arguments)
    assert got == code
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


@pytest.fixture
def without(monkeypatch):
    """As if PyAV were not installed."""
    monkeypatch.setattr(sources, "can_edit_videos", lambda: False)
    monkeypatch.setattr(planning, "can_edit_videos", lambda: False)
    assert find_spec("av")


def test_without_the_library_photos_are_edited_and_films_passed_over(folder, burnish, without):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = burnish("apply", "l0-smoothing", folder)
    assert code == 0
    assert "1 film passed over; install burnish with its extra 'video'" in err
    assert "2 of 2 photos done" in err


def test_without_the_library_a_film_by_name_is_one_line(folder, burnish, without):
    code, _, err = burnish("apply", "l0-smoothing", folder / "b.mp4")
    assert code == 3
    assert len(err.splitlines()) == 1
    assert "b.mp4: expected the library av, got an installation without it" in err
    assert "extra 'video'" in err


def test_python_takes_a_film_by_its_path(folder):
    result = package.apply(folder / "b.mp4", "l0-smoothing", crf=30)
    assert result == folder / "b.l0-smoothing.mp4"
    with pytest.raises(UsageError, match="--codec nothing"):
        package.apply(str(folder / "b.mp4"), "tv-l1", codec="nothing")
    with pytest.raises(UsageError, match="crf: expected a path as image"):
        package.apply(b"...", "tv-l1", crf=3)


def test_a_plan_names_films_that_are_only_read(tmp_path):
    for name in ("a.avi", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    wish = planning.OutputOptions(encoding_options=EncodingOptions(crf=20))
    with pytest.raises(VideoError, match="choose --format mkv"):
        planning.plan([tmp_path / "a.avi"], "x", wish)
    # Among others it fails by itself, and the others are done.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps = planning.plan([tmp_path], "x", wish).files
    assert [(step.target.name, step.is_video) for step in steps] == [
        *(("a.x.avi", True), ("b.x.jpg", False))
    ]


def test_missing_library_error_is_the_one_of_the_table():
    assert MissingLibraryError.exit_code == 3


def test_comparing_on_a_film_is_one_line(folder, burnish):
    code, _, err = burnish("compare", "l0-smoothing", folder / "b.mp4")
    assert code == 2
    assert "b.mp4: expected a photo, got a film; compare on a frame of it" in err
