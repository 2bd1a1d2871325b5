"""Videos next to photos in folders: one plan, one run, and outcomes of the same form."""

import json
import warnings
from pathlib import Path

import pytest
from jsonschema import validate
from PIL import Image

import burnish as package
from burnish.editing import inputs, plan
from burnish.editing.batch import outcome_schema
from burnish.editing.options import OutputOptions
from burnish.errors import UsageError, VideoError
from burnish.video.formats import EncodingOptions


@pytest.fixture
def folder(make_video, tmp_path, make_image):
    """A folder of two photos, a video and a text file."""
    make_video("b.mp4", frames=5)
    for name in ("a.png", "c.png"):
        Image.fromarray(make_image(1)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("none")
    return tmp_path


def test_apply_to_folder_edits_photos_and_videos(folder, burnish):
    code, out, err = burnish("apply", "l0-smoothing", folder, "--json")
    assert code == 0
    outcomes = [json.loads(line) for line in out.splitlines()]
    for outcome in outcomes:
        validate(outcome, json.loads(outcome_schema()))
    names = [Path(outcome["output"]).name for outcome in outcomes]
    assert names == ["a.l0-smoothing.png", "b.l0-smoothing.mp4", "c.l0-smoothing.png"]
    assert [outcome["frames"] for outcome in outcomes] == [None, 5, None]
    assert outcomes[1]["duration"] == pytest.approx(0.2)
    assert outcomes[1]["megapixels"] == pytest.approx(5 * 64 * 48 / 1e6)
    assert "3 of 3" in err
    # A second run skips the inputs with outputs, and the outputs themselves.
    code, out, err = burnish("apply", "l0-smoothing", folder, "--skip-existing", "--json")
    assert code == 0
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["skipped"] * 3


def test_apply_dry_run_prints_outputs_and_writes_nothing(folder, burnish):
    code, out, _ = burnish("apply", "l0-smoothing", folder, "--dry-run", "--format", "mkv")
    assert code == 0
    assert f"{folder / 'b.mp4'} -> {folder / 'b.l0-smoothing.mkv'}" in out
    assert f"{folder / 'a.png'} -> {folder / 'a.l0-smoothing.png'}" in out
    assert len(list(folder.iterdir())) == 4


def test_apply_to_video_replaces_its_output_only_with_overwrite(folder, burnish):
    arguments = (folder / "b.mp4", "-o", folder / "o.mkv")
    code, out, _ = burnish("apply", "l0-smoothing", *arguments)
    assert code == 0
    assert "o.mkv" in out
    assert "5 frames" in out
    code, _, err = burnish("apply", "l0-smoothing", *arguments)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "--overwrite" in err
    assert burnish("apply", "tv-l1", *arguments, "--overwrite")[0] == 0


def test_apply_slow_runs_a_user_defined_operator_on_a_video(folder, burnish):
    (folder / "own.py").write_text("def darker(pixels): return pixels / 2")
    spec = f"python:{folder / 'own.py'}:darker"
    assert burnish("apply", "--slow", spec, folder / "b.mp4")[0] == 0
    assert (folder / "b.darker.mp4").exists()


def test_apply_to_folder_with_broken_videos_edits_the_photos(folder, burnish):
    (folder / "b.mp4").write_bytes(b"text")
    (folder / "b2.avi").write_bytes(b"text")
    code, _, err = burnish("apply", "l0-smoothing", folder)
    assert code == 1
    assert "2 of 4" in err
    assert "2 failed" in err
    assert sum(line.startswith("burnish: ") for line in err.splitlines()) == 2


def test_replay_repeats_edits_across_photos_and_videos(folder, make_video, burnish):
    make_video("d.mp4", frames=3)
    burnish("apply", "l0-smoothing", folder / "b.mp4", "--lambda", "0.05")
    burnish("apply", "tv-l1", folder / "b.l0-smoothing.mp4", "-o", folder / "both.mp4")
    code, out, _ = burnish(
        "replay", folder / "both.mp4", folder / "d.mp4", folder / "a.png", "--json"
    )
    assert code == 0
    history = json.loads(out.splitlines()[0])["history"]
    assert [record["operator"] for record in history] == ["l0-smoothing", "tv-l1"]
    assert history[0]["params"]["lambda"] == 0.05
    burnish("apply", "l0-smoothing", folder / "a.png")
    assert burnish("replay", folder / "a.l0-smoothing.png", folder / "d.mp4")[0] == 0


def test_replay_of_video_without_history_fails(folder, burnish):
    code, _, err = burnish("replay", folder / "b.mp4", folder / "a.png")
    assert code == 1
    assert "no history" in err


@pytest.mark.parametrize(
    ("arguments", "code", "where"),
    [
        (["b.mp4", "--crf", "60", "--codec", "h264"], 2, "--crf 60"),
        (["b.mp4", "--crf", "99"], 2, "--crf 99"),
        (["b.mp4", "--codec", "prores"], 2, "--codec prores"),
        (["b.mp4", "--codec", "nothing"], 2, "--codec nothing"),
        (["b.mp4", "--depth", "16"], 2, "--depth 16"),
        (["b.mp4", "-o", "x.png"], 2, "x.png"),
        (["b.mp4", "--format", "avi"], 2, "--format"),
        (["b.mp4", "-o", "x.mkv", "--format", "mp4"], 2, "--format mp4"),
        (["b.mp4", "--quality", "90"], 2, "--quality 90"),
        (["a.png", "--crf", "20"], 2, "--codec, --crf"),
        (["b.mp4", "--format", "png"], 2, "--format png"),
        (["a.png", "--format", "mkv"], 2, "--format mkv"),
        (["a.png", "-o", "x.mp4"], 2, "x.mp4"),
        (["b.mp4", "-o", "b.mp4", "--overwrite"], 2, "b.mp4"),
        (["none.mp4"], 1, "none.mp4"),
    ],
)
def test_apply_with_impossible_options_prints_one_line(
    folder, burnish, monkeypatch, arguments, code, where
):
    monkeypatch.chdir(folder)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    exit_code, out, err = burnish("apply", "l0-smoothing", *arguments)
    assert exit_code == code
    assert out == ""
    assert f"burnish: {where}: " in err
    assert len(err.splitlines()) == 1
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before


@pytest.fixture
def without_pyav(monkeypatch):
    """Pretends that PyAV is not installed."""
    for module in (inputs, plan):
        monkeypatch.setattr(module, "can_edit_videos", lambda: False)


@pytest.mark.usefixtures("without_pyav")
def test_apply_to_folder_without_pyav_warns_and_edits_photos(folder, burnish):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = burnish("apply", "l0-smoothing", folder)
    assert code == 0
    assert "1 video ignored; install burnish with its extra 'video'" in err
    assert "2 of 2 photos done" in err


@pytest.mark.usefixtures("without_pyav")
def test_apply_to_video_without_pyav_prints_one_line(folder, burnish):
    code, _, err = burnish("apply", "l0-smoothing", folder / "b.mp4")
    assert code == 3
    assert len(err.splitlines()) == 1
    assert "b.mp4: " in err
    assert "extra 'video'" in err


def test_python_apply_to_video_returns_the_output_path(folder):
    output = package.apply(folder / "b.mp4", "l0-smoothing", crf=30)
    assert output == folder / "b.l0-smoothing.mp4"
    with pytest.raises(UsageError, match="--codec nothing"):
        package.apply(str(folder / "b.mp4"), "tv-l1", codec="nothing")
    with pytest.raises(UsageError, match=r"^crf: "):
        package.apply(b"...", "tv-l1", crf=3)


def test_plan_of_unwritten_format_fails_for_named_videos_only(tmp_path):
    for name in ("a.avi", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    options = OutputOptions(encoding=EncodingOptions(crf=20))
    with pytest.raises(VideoError, match="--format mkv"):
        plan.plan([tmp_path / "a.avi"], "x", options)
    # In a folder, the video fails later, and the other files are edited.
    files = plan.plan([tmp_path], "x", options).files
    assert [(file.target.name, file.is_video) for file in files] == [
        ("a.x.avi", True),
        ("b.x.jpg", False),
    ]


def test_compare_on_video_prints_one_line(folder, burnish):
    code, _, err = burnish("compare", "l0-smoothing", folder / "b.mp4")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "b.mp4: " in err
