"""A folder from the command line: what is done, passed over, stopped and taken up again."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def command(*arguments):
    return [sys.executable, "-m", "burnish", *map(str, arguments)]


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_folder_as_it_is_found(burnish, photos, tmp_path):
    (photos / "Thumbs.db").write_bytes(b"x")
    (photos / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    (photos / "below").mkdir()
    shutil.copy(photos / "1.png", photos / "below" / "1.png")
    Image.fromarray(read(photos / "1.png")).save(photos / "1.jpg")
    code, out, err = burnish("apply", "l0-smoothing", photos, "-r", "-o", tmp_path / "out")
    assert code == 1
    assert [line for line in err.splitlines() if line.startswith("burnish: ")] == [
        f"burnish: {photos / 'cut.jpg'}: expected a whole jpeg file, got a broken or unsupported "
        "one (VipsJpeg: premature end of JPEG image); open it elsewhere and save it again, or "
        "fetch the original"
    ]
    assert "8 of 9 photos done, 1 failed, 1 other files passed over" in err
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    names = {f"{number}.l0-smoothing.png" for number in range(6)}
    assert written == names | {"1.l0-smoothing.jpg", "below/1.l0-smoothing.png"}
    assert len(out.splitlines()) == 8


def test_every_photo_of_a_folder_comes_out_as_it_does_alone(burnish, photos, tmp_path):
    assert burnish("apply", "l0-smoothing", photos, "-o", tmp_path / "out", "-q") == (0, "", "")
    for number in range(6):
        alone = tmp_path / f"{number}.png"
        assert burnish("apply", "l0-smoothing", photos / f"{number}.png", "-o", alone)[0] == 0
        together = tmp_path / "out" / f"{number}.l0-smoothing.png"
        assert together.read_bytes() == alone.read_bytes()


def test_a_dry_run_does_nothing(burnish, photos):
    before = sorted(photos.iterdir())
    code, out, err = burnish("apply", "l0-smoothing", photos, "--dry-run")
    assert code == 0
    expected = [f"{path} -> {path.with_suffix('.l0-smoothing.png')}" for path in before]
    assert out.splitlines() == expected
    assert err == "6 of 6 photos to do\n"
    records = burnish("apply", "l0-smoothing", photos, "--dry-run", "--json", "-q")[1]
    assert {json.loads(line)["status"] for line in records.splitlines()} == {"planned"}
    assert sorted(photos.iterdir()) == before


def test_a_second_run_over_a_folder(burnish, photos):
    assert burnish("apply", "l0-smoothing", photos)[0] == 0
    code, out, err = burnish("apply", "l0-smoothing", photos)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "expected 6 new files, got 6 that exist; use --skip-existing" in err
    code, out, err = burnish("apply", "l0-smoothing", photos, "--skip-existing")
    assert (code, out.count("skipped: the output exists")) == (0, 6)
    assert "0 of 6 photos done, 6 skipped, 6 passed over as results of an earlier run" in err
    assert len(list(photos.iterdir())) == 12


def test_another_format_and_name(burnish, photos):
    arguments = ["--format", "jpg", "--name", "{stem}-small{ext}"]
    assert burnish("apply", "l0-smoothing", photos / "1.png", *arguments)[0] == 0
    with Image.open(photos / "1-small.jpg") as image:
        assert image.format == "JPEG"


def test_from_standard_input_to_standard_output(photos):
    content = (photos / "1.png").read_bytes()
    order = command("apply", "l0-smoothing", "-", "-o", "-", "--format", "webp")
    done = subprocess.run(order, input=content, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("WEBP", (56, 40))


def test_from_standard_input_to_a_file_and_back(photos, tmp_path):
    content = (photos / "1.png").read_bytes()
    target = tmp_path / "x.png"
    order = command("apply", "l0-smoothing", "-", "-o", target)
    assert subprocess.run(order, input=content).returncode == 0
    order = command("apply", "l0-smoothing", photos / "1.png", "-o", "-")
    assert subprocess.run(order, capture_output=True).stdout == target.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        (["-"], "no -o"),
        (["-", "x.png", "-o", "-"], "2 photos"),
        (["-", "-o", "-", "--json"], "--json"),
        (["-", "-o", "-", "--dry-run"], "--dry-run"),
    ],
)
def test_streams_are_for_one_photo(burnish, arguments, got):
    code, out, err = burnish("apply", "l0-smoothing", *arguments)
    assert (code, out) == (2, "")
    assert f"got {got}; such as: burnish apply" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-", "-o", "-", "--format", "bmp"], "a format that burnish writes"),
        (["-", "-o", "-", "--format", "jpeg", "--depth", "16"], "8 bits a channel in jpeg"),
        (["-", "-o", "-", "--crf", "20"], "a film to encode"),
        (["-", "-o", "x.jpg", "--depth", "16"], "8 bits a channel in jpeg"),
        (["-", "-o", "x.jpg", "--format", "png"], "the format that -o x.jpg has"),
    ],
)
def test_what_a_stream_cannot_be_is_said_before_it_is_read(burnish, arguments, expected):
    code, out, err = burnish("apply", "l0-smoothing", *arguments)
    assert (code, out) == (2, "")
    assert f"expected {expected}" in err


def test_a_broken_photo_through_a_pipe(tmp_path):
    order = command("apply", "l0-smoothing", "-", "-o", "-")
    done = subprocess.run(order, input=b"none", capture_output=True, text=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"burnish: picture: expected a picture")


SLOWLY = """
import time
from pathlib import Path
def slowly(rgb):
    Path("begun").touch()
    time.sleep(0.4)
    return rgb
"""


def begin(tmp_path, photos, *arguments):
    """Start an edit of several photos, and wait until the first is in hand."""
    (tmp_path / "slowly.py").write_text(SLOWLY)
    order = command("apply", "--slow", "python:slowly.py:slowly", photos, "-o", "out", *arguments)
    run = subprocess.Popen(
        order, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "begun").exists():
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.01)
    return run


def test_interruption_finishes_the_photo_in_hand_and_ends_with_130(photos, tmp_path):
    run = begin(tmp_path, photos)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate()
    assert run.returncode == 130
    said, last = err.splitlines()
    assert said.startswith("1 of 6 photos done, 5 not begun or not finished")
    assert last == "burnish: interrupted"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.slowly.png"]


def test_twice_interrupted_it_ends_within_the_photo_and_writes_nothing(photos, tmp_path):
    run = begin(tmp_path, photos, "--json")
    run.send_signal(signal.SIGINT)
    time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate()
    assert run.returncode == 130
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["interrupted"]
    assert err.splitlines()[-1] == "burnish: interrupted"
    assert not list((tmp_path / "out").glob("*"))


def test_a_killed_batch_goes_on_where_it_stopped(photos, tmp_path):
    run = begin(tmp_path, photos)
    while not list((tmp_path / "out").glob("*.slowly.png")):
        time.sleep(0.02)
    run.kill()
    run.communicate()
    first = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.slowly.png")}
    assert 0 < len(first) < 6
    done = begin(tmp_path, photos, "--skip-existing")
    _, err = done.communicate()
    assert done.returncode == 0
    assert f"{6 - len(first)} of 6 photos done, {len(first)} skipped" in err
    assert all(path.read_bytes() == content for path, content in first.items())
    for path in Path(photos).iterdir():
        np.testing.assert_array_equal(
            read(tmp_path / "out" / f"{path.stem}.slowly.png"), read(path)
        )


def test_again(burnish, photos, tmp_path):
    first, second = tmp_path / "one.png", tmp_path / "two.png"
    assert burnish("apply", "l0-smoothing", photos / "1.png", "--lambda", 0.1, "-o", first)[0] == 0
    code, out, _ = burnish("again", first, photos / "2.png", "-o", second, "--json")
    assert code == 0
    assert json.loads(out)["steps"][0]["params"]["lambda"] == 0.1
    plain = tmp_path / "plain.png"
    burnish("apply", "l0-smoothing", photos / "2.png", "--lambda", 0.1, "-o", plain)
    assert second.read_bytes() == plain.read_bytes()
    code, _, err = burnish("again", photos / "1.png", photos / "2.png")
    assert code == 1
    assert "expected a photo that burnish made" in err
