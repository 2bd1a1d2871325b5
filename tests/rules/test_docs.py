"""Generated pages are current, and the examples and programs of the docs run."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import burnish
from burnish.evaluation.doctor import SAMPLE, demonstrate

ROOT = Path(__file__).parents[2]


def load_module(path: Path):
    """Import a Python file that is not part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_module(ROOT / "docs" / "generate.py").pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_generated_page_is_current(path):
    assert path.read_text() == PAGES[path], "run: python docs/generate.py"


EXAMPLES = [
    pytest.param(path, id=path.name, marks=[pytest.mark.slow] if "train" in path.name else [])
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_example_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    load_module(path).main()
    assert capsys.readouterr().out


def person() -> np.ndarray:
    """Return a photo of a person, (512, 512, 3) uint8."""
    return pytest.importorskip("skimage.data", reason="scikit-image is not installed").astronaut()


def python_programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def test_python_programs_of_the_pages_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    crop = np.asarray(Image.open(SAMPLE))[:64, :96]
    Image.fromarray(crop).save("photo.jpg")
    pixels = crop / np.float32(255)
    readme, glow = python_programs("README.md")
    exec(readme, names := {})
    assert names["smooth"].shape == names["strong"].shape == names["output"].shape == pixels.shape
    exec(glow, names := {})
    assert names["glow"](pixels).shape == pixels.shape

    find_program, short_program, burnish_program = python_programs("docs/applications.md")
    exec(find_program, names := {"pixels": pixels, "image": pixels.transpose(2, 0, 1)[None]})
    exec(short_program, names)
    without_burnish = names["output"][0].transpose(1, 2, 0)
    batch = np.stack([pixels, 1 - pixels])
    exec(burnish_program, names | {"pixels": person() / np.float32(255), "batch": batch})
    expected = burnish.apply(pixels, "l0-smoothing", guide="network")
    np.testing.assert_allclose(without_burnish.clip(0, 1), expected, atol=1e-5)


def test_readme_image_equals_the_output_of_the_demo(tmp_path):
    _, sheet = demonstrate(tmp_path)
    expected = np.asarray(Image.open(ROOT / "docs" / "images" / "before-after.png"), np.int16)
    difference = np.abs(np.asarray(Image.open(sheet), np.int16) - expected)
    # JPEG decoders differ by a code or two, which may move an edge of the operator.
    assert np.quantile(difference, 0.99) <= 2


@pytest.mark.parametrize(
    ("page", "outputs"),
    [("regions.md", set()), ("regions-editing.md", {"splash", "l0-smoothing", "adjust"})],
)
def test_programs_of_the_page_about_regions_run(page, outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = Image.fromarray(person()).resize((900, 900))  # the person is at 420, 310
    photo.save("photo.jpg")
    array = np.asarray(photo)
    (program,) = python_programs(f"docs/{page}")
    given_mask = array[..., 0] > 100
    exec(program, names := {"array": array, "mask": given_mask})
    assert {path.name for path in tmp_path.iterdir()} == {
        "photo.jpg",
        *(f"photo.{name}.jpg" for name in outputs),
    }
    # The program without outputs replaces the mask by that of the object it finds.
    assert (names["mask"] is given_mask) == bool(outputs)
    assert names["mask"].shape == array.shape[:2]
