"""The programs on the page about model files run as they stand, and give what burnish gives."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model

PAGE = Path(__file__).parents[2] / "docs" / "model-file.md"
# The paper's network: one without sliders, whose multiple is one pixel.
PLAIN = Path(__file__).parents[2] / "benchmarks" / "models" / "l0-smoothing-can24.onnx"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SHORT, ANY = range(2)


def run(program: str, model: Path, pixels: np.ndarray, folder: Path) -> np.ndarray:
    """Run a program beside a model and a photo; a .png holds what a .jpg would change."""
    shutil.copy(model, folder / "model.onnx")
    Image.fromarray(pixels).save(folder / "photo.png")
    exec(program.replace("photo.jpg", "photo.png"), {})  # it is our own page
    return np.asarray(Image.open(folder / "result.png"))


def test_there_are_two():
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize(
    ("program", "model"), [(SHORT, PLAIN), (ANY, PLAIN), (ANY, find_model("l0-smoothing"))]
)
def test_program_runs_a_model(program, model, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(PROGRAMS[program], model, picture(1), tmp_path)
    expected = Model.open(model)(picture(1) / np.float32(255))
    np.testing.assert_allclose(result, 255 * expected, atol=0.51)


@pytest.mark.parametrize(("height", "width"), [(40, 56), (37, 23)])
def test_program_gives_sliders_and_thumbnail(
    slider_model, picture, tmp_path, monkeypatch, height, width
):
    monkeypatch.chdir(tmp_path)
    pixels = picture(2, height, width)
    result = run(PROGRAMS[ANY], slider_model, pixels, tmp_path)
    expected = Model.open(slider_model)(pixels / np.float32(255))
    assert result.shape == pixels.shape
    np.testing.assert_allclose(result, 255 * expected, atol=0.52)
