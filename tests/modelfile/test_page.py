"""The programs in docs/model-file.md run as they are, and give the same output as burnish."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "model-file.md"
# A network without sliders and thumbnail, for any size.
PLAIN = ROOT / "benchmarks" / "models" / "l0-smoothing-can24.onnx"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
SHORT, GENERAL = range(2)


def run(program: str, model: Path, pixels: np.ndarray, folder: Path) -> np.ndarray:
    """Run a program in a folder with a model and a photo, a PNG so that no pixel changes."""
    shutil.copy(model, folder / "model.onnx")
    Image.fromarray(pixels).save(folder / "photo.png")
    exec(program.replace("photo.jpg", "photo.png"), {})
    return np.asarray(Image.open(folder / "result.png"))


def test_page_has_two_programs():
    assert len(PROGRAMS) == 2


@pytest.mark.parametrize(
    ("program", "model"), [(SHORT, PLAIN), (GENERAL, PLAIN), (GENERAL, find_model("l0-smoothing"))]
)
def test_program_gives_the_output_of_burnish(program, model, make_image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(PROGRAMS[program], model, make_image(1), tmp_path)
    expected = Model.open(model)(make_image(1) / np.float32(255))
    np.testing.assert_allclose(result, 255 * expected, atol=0.51)


@pytest.mark.parametrize(("height", "width"), [(9, 14), (23, 21), (40, 57)])
def test_general_program_runs_the_cascade_of_a_guided_model(
    guided_model, make_image, tmp_path, monkeypatch, height, width
):
    """The sizes have one, two and three levels."""
    monkeypatch.chdir(tmp_path)
    pixels = make_image(2, height, width)
    result = run(PROGRAMS[GENERAL], guided_model, pixels, tmp_path)
    expected = Model.open(guided_model)(pixels / np.float32(255))
    assert np.abs(expected - pixels / np.float32(255)).max() > 0.02
    np.testing.assert_allclose(result, 255 * expected, atol=0.52)


@pytest.mark.parametrize(("height", "width"), [(40, 56), (37, 23)])
def test_general_program_passes_params_thumbnail_and_coords(
    slider_model, make_image, tmp_path, monkeypatch, height, width
):
    monkeypatch.chdir(tmp_path)
    pixels = make_image(2, height, width)
    result = run(PROGRAMS[GENERAL], slider_model, pixels, tmp_path)
    expected = Model.open(slider_model)(pixels / np.float32(255))
    assert result.shape == pixels.shape
    np.testing.assert_allclose(result, 255 * expected, atol=0.52)
