"""The command lines of the page for researchers, without the trainings themselves."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = (Path(__file__).parents[2] / "docs" / "researchers.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
LINES = [
    line.partition("  #")[0]
    for language, block in BLOCKS
    for line in block.splitlines()
    if not language and line.startswith("burnish ")
]


@pytest.fixture
def folder(tmp_path, monkeypatch, make_image):
    """A folder with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    (program,) = (block for language, block in BLOCKS if language == "python")
    Path("glow.py").write_text(program)
    folders = ["photos", "others", "photos/480p/train", "photos/1080p/test"]
    folders += [f"{pairs}/{side}" for pairs in ("FOLDER", "OTHERS") for side in ("before", "after")]
    for seed, name in enumerate(folders):
        Path(name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_image(seed)).save(Path(name, "a.png"))
    Image.fromarray(make_image(9)).save("photo.jpg")
    return tmp_path


def select(command):
    lines = [line for line in LINES if line.startswith(f"burnish {command} ")]
    assert lines
    return lines


@pytest.mark.parametrize("line", select("train"))
def test_training_of_the_page_is_valid(line, folder, burnish, monkeypatch):
    requests = []
    monkeypatch.setattr(
        "burnish.training.pipeline.train_and_export",
        lambda request, progress: requests.append(request),
    )
    code, _, err = burnish(*shlex.split(line)[1:])
    assert (code, len(requests)) == (0, 1), err


@pytest.mark.parametrize("line", [*select("operators"), *select("apply"), "burnish cache"])
def test_command_of_the_page_succeeds(line, folder, burnish):
    code, out, err = burnish(*shlex.split(line)[1:])
    assert code == 0, err
    assert out


def test_glow_has_the_parameters_that_the_page_names(folder, burnish):
    text = burnish("operators", "show", "python:glow.py:glow")[1]
    assert "--amount        A larger value glows more; 0 to 1. [default: 0.5]" in text
    code, _, err = burnish(*shlex.split(select("apply")[0])[1:], "-o", "glow.png")
    assert code == 0, err
    photo, result = (
        np.asarray(Image.open(name), float) / 255 for name in ("photo.jpg", "glow.png")
    )
    expected = photo + 0.8 * photo**2.2 * (1 - photo)
    np.testing.assert_allclose(result, expected, atol=1.5 / 255)
