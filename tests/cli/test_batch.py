"""Folders, streams and interruptions on the command line."""

import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_folder_with_a_broken_photo_edits_the_others(burnish, photo_folder, tmp_path):
    (photo_folder / "Thumbs.db").write_bytes(b"x")
    (photo_folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    (photo_folder / "below").mkdir()
    shutil.copy(photo_folder / "1.png", photo_folder / "below" / "1.png")
    Image.fromarray(read(photo_folder / "1.png")).save(photo_folder / "1.jpg")
    code, out, err = burnish("apply", "l0-smoothing", photo_folder, "-r", "-o", tmp_path / "out")
    assert code == 1
    (line,) = (line for line in err.splitlines() if line.startswith("burnish: "))
    assert line.startswith(f"burnish: {photo_folder / 'cut.jpg'}: ")
    assert "premature end of JPEG image" in line
    assert "8 of 9 photos done, 1 failed, 1 other files ignored" in err
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    names = {f"{number}.l0-smoothing.png" for number in range(6)}
    assert written == names | {"1.l0-smoothing.jpg", "below/1.l0-smoothing.png"}
    assert len(out.splitlines()) == 8


def test_folder_gives_the_same_bytes_as_single_photos(burnish, photo_folder, tmp_path):
    assert burnish("apply", "l0-smoothing", photo_folder, "-o", tmp_path / "out", "-q") == (
        0,
        "",
        "",
    )
    for number in range(6):
        single = tmp_path / f"{number}.png"
        assert (
            burnish("apply", "l0-smoothing", photo_folder / f"{number}.png", "-o", single)[0] == 0
        )
        from_folder = tmp_path / "out" / f"{number}.l0-smoothing.png"
        assert from_folder.read_bytes() == single.read_bytes()


def test_dry_run_prints_the_plan_and_writes_nothing(burnish, photo_folder):
    before = sorted(photo_folder.iterdir())
    code, out, err = burnish("apply", "l0-smoothing", photo_folder, "--dry-run")
    assert code == 0
    expected = [f"{path} -> {path.with_suffix('.l0-smoothing.png')}" for path in before]
    assert out.splitlines() == expected
    assert err == "6 of 6 photos to do\n"
    records = burnish("apply", "l0-smoothing", photo_folder, "--dry-run", "--json", "-q")[1]
    assert {json.loads(line)["status"] for line in records.splitlines()} == {"planned"}
    assert sorted(photo_folder.iterdir()) == before


def test_second_run_over_a_folder_needs_skip_existing(burnish, photo_folder):
    assert burnish("apply", "l0-smoothing", photo_folder)[0] == 0
    code, out, err = burnish("apply", "l0-smoothing", photo_folder)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "--skip-existing" in err
    code, out, err = burnish("apply", "l0-smoothing", photo_folder, "--skip-existing")
    assert (code, out.count("skipped: ")) == (0, 6)
    assert "0 of 6 photos done, 6 skipped, 6 ignored as outputs of an earlier run" in err
    assert len(list(photo_folder.iterdir())) == 12


def test_format_and_name_set_the_output(burnish, photo_folder):
    arguments = ["--format", "jpg", "--name", "{stem}-small{ext}"]
    assert burnish("apply", "l0-smoothing", photo_folder / "1.png", *arguments)[0] == 0
    with Image.open(photo_folder / "1-small.jpg") as image:
        assert image.format == "JPEG"


def test_pipe_of_a_process_carries_a_photo(photo_folder):
    """The only run of a real process with pipes at both ends."""
    command = [sys.executable, "-m", "burnish", "apply", "l0-smoothing", "-", "-o", "-"]
    process = subprocess.run(
        [*command, "--format", "webp"],
        input=(photo_folder / "1.png").read_bytes(),
        capture_output=True,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    with Image.open(io.BytesIO(process.stdout)) as image:
        assert (image.format, image.size) == ("WEBP", (56, 40))


def test_stream_gives_the_same_bytes_as_a_file(burnish_stream, photo_folder, tmp_path):
    target = tmp_path / "x.png"
    apply = ("apply", "l0-smoothing")
    code, out, _ = burnish_stream((photo_folder / "1.png").read_bytes(), *apply, "-", "-o", target)
    assert (code, out) == (0, b"")
    burnish_stream(b"", *apply, photo_folder / "1.png", "-o", tmp_path / "file.png", "--quiet")
    assert target.read_bytes() == (tmp_path / "file.png").read_bytes()
    code, out, _ = burnish_stream(b"", *apply, photo_folder / "1.png", "-o", "-")
    assert (code, out) == (0, target.read_bytes())


def test_stream_that_is_no_photo_is_one_line(burnish_stream):
    code, out, err = burnish_stream(b"none", "apply", "l0-smoothing", "-", "-o", "-")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert err.startswith("burnish: image: ")


@pytest.mark.parametrize(
    ("arguments", "conflict"),
    [
        (["-"], "-o is missing"),
        (["-", "x.png", "-o", "-"], "one photo"),
        (["-", "-o", "-", "--json"], "--json"),
        (["-", "-o", "-", "--dry-run"], "--dry-run"),
    ],
)
def test_stream_with_conflicting_arguments_is_rejected(burnish, arguments, conflict):
    code, out, err = burnish("apply", "l0-smoothing", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("burnish: -: ")
    assert conflict in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["-", "-o", "-", "--format", "bmp"], "bmp"),
        (["-", "-o", "-", "--format", "jpeg", "--depth", "16"], "8 bits"),
        (["-", "-o", "-", "--crf", "20"], "video"),
        (["-", "-o", "x.jpg", "--depth", "16"], "8 bits"),
        (["-", "-o", "x.jpg", "--format", "png"], "-o x.jpg"),
    ],
)
def test_stream_with_impossible_format_is_rejected_before_it_is_read(
    burnish_stream, arguments, word
):
    code, out, err = burnish_stream(b"none", "apply", "l0-smoothing", *arguments)
    assert (code, out, err.count("\n")) == (2, b"", 1)
    assert word in err


OPERATORS = """
import signal
import time
from pathlib import Path

def interrupt(rgb):
    signal.raise_signal(signal.SIGINT)
    return rgb

def interrupt_twice(rgb):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    return rgb

def wait(rgb):
    Path("started").touch()
    time.sleep(0.3)
    return rgb
"""


@pytest.fixture
def operators(tmp_path, monkeypatch):
    """A Python file, in the current folder, with operators that interrupt or wait."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "interrupting.py").write_text(OPERATORS)
    return "python:interrupting.py"


def test_ctrl_c_finishes_the_current_photo_and_exits_with_130(burnish, photo_folder, operators):
    code, _, err = burnish("apply", "--slow", f"{operators}:interrupt", photo_folder, "-o", "out")
    assert code == 130
    summary, last = err.splitlines()
    assert summary.startswith("1 of 6 photos done, 5 unfinished")
    assert last == "burnish: interrupted"
    assert [path.name for path in Path("out").iterdir()] == ["0.interrupt.png"]


def test_second_ctrl_c_stops_the_current_photo_and_writes_nothing(burnish, photo_folder, operators):
    code, out, err = burnish(
        "apply", "--slow", f"{operators}:interrupt_twice", photo_folder, "-o", "out", "--json"
    )
    assert code == 130
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["interrupted"]
    assert err.splitlines()[-1] == "burnish: interrupted"
    assert not list(Path("out").glob("*"))


def test_killed_batch_resumes_with_skip_existing(burnish, photo_folder, operators):
    arguments = ["apply", "--slow", f"{operators}:wait", str(photo_folder), "-o", "out"]
    process = subprocess.Popen([sys.executable, "-m", "burnish", *arguments])
    while not list(Path("out").glob("*.wait.png")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    first = {path: path.read_bytes() for path in Path("out").glob("*.wait.png")}
    assert 0 < len(first) < 6
    code, _, err = burnish(*arguments, "--skip-existing")
    assert code == 0
    assert f"{6 - len(first)} of 6 photos done, {len(first)} skipped" in err
    assert all(path.read_bytes() == content for path, content in first.items())
    for path in photo_folder.iterdir():
        np.testing.assert_array_equal(read(Path("out") / f"{path.stem}.wait.png"), read(path))


def test_replay_repeats_the_edit_of_a_photo(burnish, photo_folder, tmp_path):
    first, second = tmp_path / "one.png", tmp_path / "two.png"
    assert (
        burnish("apply", "l0-smoothing", photo_folder / "1.png", "--lambda", 0.1, "-o", first)[0]
        == 0
    )
    code, out, _ = burnish("replay", first, photo_folder / "2.png", "-o", second, "--json")
    assert code == 0
    assert json.loads(out)["history"][0]["params"]["lambda"] == 0.1
    expected = tmp_path / "expected.png"
    burnish("apply", "l0-smoothing", photo_folder / "2.png", "--lambda", 0.1, "-o", expected)
    assert second.read_bytes() == expected.read_bytes()


def test_replay_of_a_photo_without_history_fails(burnish, photo_folder):
    code, _, err = burnish("replay", photo_folder / "1.png", photo_folder / "2.png")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"burnish: {photo_folder / '1.png'}: ")
