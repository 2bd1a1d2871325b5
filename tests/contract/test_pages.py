"""The command lines of the pages for beginners, run in order in one folder, as a reader does."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.cli.app import main
from burnish.evaluation import doctor
from burnish.evaluation.doctor import SAMPLE

ROOT = Path(__file__).parents[2]
# Commands of the pages that this test does not run: their time is minutes, or other tests run them.
LEFT_OUT = ("burnish train", "burnish apply glow.onnx", "burnish demo")


def command_lines(page: str) -> list[str]:
    """Return the command lines of a page: those of tables, and those of blocks of code."""
    text = (ROOT / page).read_text()
    lines = []
    for block in re.findall(r"^```\n(.*?)^```|^(\|.*?\|)$", text, re.DOTALL | re.MULTILINE):
        found = block[0].splitlines() if block[0] else re.findall(r"`(burnish [^`]+)`", block[1])
        lines += [line.strip() for line in found if line.startswith("burnish ")]
    return [line for line in lines if not line.startswith(LEFT_OUT)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that the pages name, which are small."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    monkeypatch.chdir(tmp_path)
    with Image.open(SAMPLE) as sample:
        photo = sample.resize((300, 200))
    photo.save("photo.jpg")
    photo.crop((30, 20, 130, 90)).save("other.jpg")
    (tmp_path / "trip" / "day 2").mkdir(parents=True)
    shutil.copy("other.jpg", "trip/a.jpg")
    shutil.copy("other.jpg", "trip/day 2/b.jpg")
    with av.open("clip.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in (40, 90):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    # The self-test of all networks is a test of its own.
    monkeypatch.setattr(doctor, "model_names", lambda: ["tv-l1"])
    return tmp_path


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a command line in this process, and return its exit code."""
    monkeypatch.setattr(sys, "argv", shlex.split(line, comments=True))
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("page", "count"), [("README.md", 13), ("docs/photographers.md", 35)])
def test_command_lines_of_the_page_work_in_order(page, count, folder, monkeypatch, capfd):
    lines = command_lines(page)
    assert len(lines) >= count
    for line in lines:
        files = set(folder.rglob("*"))
        code = run(line, monkeypatch)
        out, err = capfd.readouterr()
        assert code == 0, f"{line}\n{err}"
        # Every command writes a file or prints an answer.
        assert set(folder.rglob("*")) - files or out, line
