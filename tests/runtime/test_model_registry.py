from pathlib import Path

import pytest

from burnish.errors import ModelError, UsageError
from burnish.runtime.model_registry import BUNDLED, find_model, model_names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two models and a text file, beside a third model."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("l0-smoothing.onnx", "wls.onnx", "notes.txt"):
        (folder / name).write_bytes(b"")
    (tmp_path / "secret.onnx").write_bytes(b"")
    return folder


def test_model_names_are_the_stems_of_model_files(folder: Path) -> None:
    assert model_names(folder) == ["l0-smoothing", "wls"]
    assert model_names(folder / "none") == []
    assert BUNDLED.name == "models"


def test_find_model_accepts_name_and_path(folder: Path) -> None:
    wls = folder / "wls.onnx"
    assert find_model("wls", folder) == wls
    assert find_model(wls, folder) == wls
    assert find_model(str(wls), folder) == wls


def test_unknown_name_raises_error_with_suggestion_or_list(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean l0-smoothing"):
        find_model("l0-smothing", folder)
    with pytest.raises(UsageError, match="choose l0-smoothing or wls"):
        find_model("dehaze", folder)
    with pytest.raises(UsageError, match="try l0-smoothing"):
        find_model("flatten", folder)
    with pytest.raises(ModelError, match="none has no models"):
        find_model("dehaze", folder / "none")


@pytest.mark.parametrize("name", ["secret", "..", "", ".", "notes", "*", "WLS"])
def test_name_opens_only_models_of_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no such model"):
        find_model(name, folder)


@pytest.mark.parametrize("path", ["../none", "none.onnx", "..\\none", "none.ONNX"])
def test_path_of_a_missing_file_raises_model_error(folder: Path, path: str) -> None:
    with pytest.raises(ModelError, match="no such file"):
        find_model(path, folder)
