from pathlib import Path

import pytest

from burnish.errors import ModelError
from burnish.runtime.model_registry import BUNDLED, find_model, model_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shelf = tmp_path / "models"
    shelf.mkdir()
    for name in ("l0-smoothing.onnx", "wls.onnx", "notes.txt"):
        (shelf / name).write_bytes(b"")
    (tmp_path / "secret.onnx").write_bytes(b"")
    return shelf


def test_names_are_the_model_files_stems(folder: Path) -> None:
    assert model_names(folder) == ["l0-smoothing", "wls"]
    assert model_names(folder / "none") == []
    assert BUNDLED.name == "models"


def test_name_and_path_are_found(folder: Path) -> None:
    wls = folder / "wls.onnx"
    assert find_model("wls", folder) == wls
    assert find_model(wls, folder) == wls
    assert find_model(str(wls), folder) == wls


def test_unknown_name_suggests_or_lists(folder: Path) -> None:
    with pytest.raises(ModelError, match="did you mean l0-smoothing"):
        find_model("l0-smothing", folder)
    with pytest.raises(ModelError, match="there are l0-smoothing, wls"):
        find_model("dehaze", folder)
    with pytest.raises(ModelError, match="there are no models yet"):
        find_model("dehaze", folder / "none")


@pytest.mark.parametrize("name", ["secret", "..", "", ".", "notes", "*", "WLS"])
def test_name_opens_nothing_but_what_is_on_the_shelf(folder: Path, name: str) -> None:
    with pytest.raises(ModelError, match="the name of a model"):
        find_model(name, folder)


@pytest.mark.parametrize("path", ["../none", "none.onnx", "..\\none", "none.ONNX"])
def test_path_to_nothing_is_an_error(folder: Path, path: str) -> None:
    with pytest.raises(ModelError, match="no such file"):
        find_model(path, folder)
