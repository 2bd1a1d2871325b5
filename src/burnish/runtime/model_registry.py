"""The models that burnish can run: bundled ones, by name, and any file, by path."""

from pathlib import Path

from burnish.errors import BurnishError, ModelError, UsageError, did_you_mean, join_or
from burnish.files import is_file

BUNDLED = Path(__file__).parent.parent / "models"


def model_names(folder: Path = BUNDLED) -> list[str]:
    """Return the names of the models in a folder [default: the bundled ones], sorted.

    Examples
    --------
    >>> "l0-smoothing" in model_names()
    True
    """
    return sorted(path.stem for path in folder.glob("*.onnx"))


models = model_names  # the public name: burnish.models()


def find_model(name_or_path: str | Path, folder: Path = BUNDLED, kind: str = "model") -> Path:
    """Return the file of a model.

    A `Path`, and a text with a slash or the ending ``.onnx``, is a path. Any other text is a name.
    Names are only compared with the files in the folder; no path is built from an unknown name.

    Parameters
    ----------
    folder : of the models with a name [default: the bundled ones]
    kind : noun for the error message

    Raises
    ------
    UsageError : there is no model of that name
    ModelError : the operator of that name has no network, there is no such file, or the folder is
        empty

    Examples
    --------
    >>> find_model("no-such-model", folder=Path("empty"))
    Traceback (most recent call last):
    burnish.errors.ModelError: no-such-model: no such model; the folder empty has no models
    """
    text = str(name_or_path)
    has_slash = "/" in text or "\\" in text
    if isinstance(name_or_path, Path) or has_slash or text.lower().endswith(".onnx"):
        path = Path(name_or_path)
        if is_file(path):
            return path
        raise ModelError(str(path), "no such file, or it may not be read", "check the path")
    names = model_names(folder)
    if text in names:
        return folder / f"{text}.onnx"
    raise _error(text, names, folder, kind)


def _error(name: str, names: list[str], folder: Path, kind: str) -> BurnishError:
    from burnish.operators.registry import OPERATORS, operators_for

    if not names:
        return ModelError(name, f"no such {kind}", f"the folder {folder} has no models")
    if name in OPERATORS and folder == BUNDLED:
        train = f"burnish train {name} --photos FOLDER"
        remedy = f"add --slow to run the operator, or train a network: {train}"
        return ModelError(name, "this operator has no network", remedy)
    suitable = [other for other in operators_for(name) if other in names]
    remedy = f"try {join_or(suitable)}" if suitable else f"choose {join_or(names)}"
    return UsageError(name, f"no such {kind}", did_you_mean(name, names, remedy))
