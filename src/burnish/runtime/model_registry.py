"""Which models there are: those that come with burnish, by name, and any file, by path."""

import difflib
from pathlib import Path

from burnish.errors import ModelError
from burnish.operators.registry import OPERATORS

SHIPPED = Path(__file__).parent.parent / "models"


def names(folder: Path = SHIPPED) -> list[str]:
    """Return the names of the models in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


def find(name_or_path: str | Path, folder: Path = SHIPPED) -> Path:
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
    >>> find("no-such-model", folder=Path("empty"))
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
    there = names(folder)
    if name_or_path in there:
        return folder / f"{name_or_path}.onnx"
    raise ModelError(
        str(name_or_path),
        expected="the name of a model or the path of an .onnx file",
        got="neither",
        remedy=_remedy(str(name_or_path), there),
    )


def _is_path(name_or_path: str | Path) -> bool:
    if isinstance(name_or_path, Path):
        return True
    return "/" in name_or_path or "\\" in name_or_path or name_or_path.lower().endswith(".onnx")


def _remedy(name: str, there: list[str]) -> str:
    if name in OPERATORS:
        return f"no network has learnt it: --slow runs it, burnish train {name} learns one"
    if not there:
        return "there are no models yet"
    near = difflib.get_close_matches(name, there, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}"
