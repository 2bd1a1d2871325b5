"""Which models there are: those that come with burnish, by name, and any file, by path."""

import difflib
from pathlib import Path

from burnish.errors import ModelError
from burnish.operators.registry import OPERATORS

BUNDLED = Path(__file__).parent.parent / "models"


def model_names(folder: Path = BUNDLED) -> list[str]:
    """Return the names of the models in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


def find_model(name_or_path: str | Path, folder: Path = BUNDLED) -> Path:
    """Return the file of a model.

    A `Path`, and a text with a slash or the ending ``.onnx``, is a path. Any other text is a name,
    and is looked up among the names there are; no file is opened by it.

    Parameters
    ----------
    folder : where the named models lie

    Raises
    ------
    ModelError : there is none

    Examples
    --------
    >>> find_model("no-such-model", folder=Path("empty"))
    Traceback (most recent call last):
    burnish.errors.ModelError: no-such-model: expected the name of a model or the path of an .onnx \
file, got neither; there are no models yet
    """
    if _is_path(name_or_path):
        path = Path(name_or_path)
        if path.is_file():
            return path
        raise ModelError(
            str(path), expected="a model file", got="no such file", remedy="check the path"
        )
    names = model_names(folder)
    if name_or_path in names:
        return folder / f"{name_or_path}.onnx"
    raise ModelError(
        str(name_or_path),
        expected="the name of a model or the path of an .onnx file",
        got="neither",
        remedy=_remedy(str(name_or_path), names),
    )


def _is_path(name_or_path: str | Path) -> bool:
    if isinstance(name_or_path, Path):
        return True
    return "/" in name_or_path or "\\" in name_or_path or name_or_path.lower().endswith(".onnx")


def _remedy(name: str, names: list[str]) -> str:
    if name in OPERATORS:
        return f"no network has learnt it: --slow runs it, burnish train {name} learns one"
    if not names:
        return "there are no models yet"
    close_matches = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close_matches[0]}?" if close_matches else f"there are {', '.join(names)}"
