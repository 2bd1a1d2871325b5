"""Operators as users name them, one or several, and the parameters of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from burnish.errors import UsageError, join_and, join_or
from burnish.files import is_file, is_folder
from burnish.operators import is_user_defined
from burnish.operators.registry import OPERATORS, suggest_operators
from burnish.params import AnyParam, Value
from burnish.regions.registry import EDITS
from burnish.runtime.model_registry import find_model, model_names

# Separates the names of several operators.
SEPARATOR = ","


def split_operators(operators: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Return the operators in a list, or in a text that separates them by commas.

    A path, the name of a file and a command are one operator, whatever they contain.

    Raises
    ------
    UsageError : a name is empty

    Examples
    --------
    >>> split_operators("tv-l1,local-laplacian")
    ['tv-l1', 'local-laplacian']
    """
    names: list[str | Path]
    if isinstance(operators, Path):
        names = [operators]
    elif not isinstance(operators, str):
        names = list(operators)
    elif operators.startswith("command:") or is_file(operators):
        names = [operators]
    else:
        names = [name.strip() for name in operators.split(SEPARATOR)]
    if not names or "" in names:
        raise UsageError("operator", "a name is missing", "see `burnish operators list`")
    return names


def operator_label(operator: str | Path) -> str:
    """Return the short name of an operator, which stands before the names of its parameters.

    Examples
    --------
    >>> operator_label("tv-l1"), operator_label("models/glow.onnx"), operator_label("python:a.py:f")
    ('tv-l1', 'glow', 'f')
    """
    text = str(operator)
    if text.startswith("python:"):
        return text.rpartition(":")[2].replace("_", "-")
    return Path(text).stem if text.lower().endswith(".onnx") else text


def find_params(spec: str) -> Sequence[AnyParam]:
    """Return the parameters of an operator or of a model file.

    Those of a model file have the ranges and defaults that its card states.

    Raises
    ------
    BurnishError : there is no such operator or model
    """
    if spec in OPERATORS:
        return OPERATORS[spec].params
    if is_user_defined(spec):
        from burnish.operators.user_defined import find_operator

        return find_operator(spec).params
    from burnish.modelfile.reader import read_card

    card = read_card(find_model(spec))
    operator = OPERATORS.get(card.operator)
    params = {p.name: p for p in operator.params} if operator else {}
    return tuple((params | {p.name: p.as_param() for p in card.params}).values())


def labelled_params(spec: str) -> list[AnyParam]:
    """Return the parameters of an operator with its name before theirs, such as tv-l1.lambda."""
    return [replace(p, name=f"{operator_label(spec)}.{p.name}") for p in find_params(spec)]


def distribute_params(
    operators: Sequence[str | Path], values: Mapping[str, Value], *, slow: bool = False
) -> list[dict[str, Value]]:
    """Return the parameter values of each of several operators.

    Parameters
    ----------
    values : by name or keyword, if one operator has the parameter; else by the operator's and the
        parameter's name, such as "tv-l1.lambda". None means the default
    slow : the operators themselves are run, which have more parameters than their networks

    Raises
    ------
    UsageError : several operators have the parameter, or none has it
    ModelError : there is no such model
    """
    names = list(map(str, operators))
    result: list[dict[str, Value]] = [{} for _ in names]
    for key, value in values.items():
        if value is None:
            continue
        owners = _owners(key, names, slow=slow)
        labels = [operator_label(names[index]) for index in owners]
        if len(set(labels)) > 1:
            remedy = f"name the operator, too: {join_or([f'{label}.{key}' for label in labels])}"
            raise UsageError(key, f"{join_and(labels)} have this parameter", remedy)
        if not owners and len(names) > 1:
            every = join_and(list(map(operator_label, names)))
            raise UsageError(every, f"there is no parameter {key}", "see `burnish operators show`")
        for index, name in (owners or {0: key}).items():
            result[index][name] = value
    return result


def _owners(key: str, names: Sequence[str], *, slow: bool) -> dict[int, str]:
    """Return the operators that a value is for, by position, and their name of the parameter."""
    owners, labelled = {}, {}
    for index, name in enumerate(names):
        for own, full in zip(find_params(name), labelled_params(name), strict=True):
            if key in (own.name, own.argument_name):
                owners[index] = own.name
            if key in (full.name, full.argument_name):
                labelled[index] = own.name
    if labelled or len(owners) <= 1:
        return labelled or owners
    # A network that was trained at one value of the parameter does not compete for it.
    free = {i: own for i, own in owners.items() if slow or own in _sliders(names[i])}
    return free or owners


def _sliders(name: str) -> Collection[str]:
    from burnish.modelfile.reader import read_card

    if is_user_defined(name):
        return ()
    return {param.name for param in read_card(find_model(name)).sliders}


def misplaced_name(spec: str) -> UsageError | None:
    """Return an error if the name of an operator is that of a region edit or of a photo."""
    from burnish.photo.formats import READABLE_EXTENSIONS
    from burnish.video.formats import has_video_extension

    for edit in EDITS.values():
        if spec in (edit.name, *edit.keywords):
            remedy = f"write: burnish regions {edit.name} PHOTO"
            return UsageError(spec, "this is an edit of regions, not an operator", remedy)
    path = Path(spec)
    if path.suffix.lower() in READABLE_EXTENSIONS or has_video_extension(path) or is_folder(path):
        kind = "folder" if is_folder(path) else "photo or video"
        remedy = "name the operator first: burnish apply OPERATOR PHOTO"
        return UsageError(spec, f"this is a {kind}, not an operator", remedy)
    return None


def unknown_operator(spec: str) -> UsageError | None:
    """Return the error for a word that is no operator and no network; None for a model file."""
    known = {*OPERATORS, *model_names()}
    if spec in known or spec.lower().endswith(".onnx") or is_user_defined(spec):
        return None
    if not spec:
        return UsageError("operator", "the name is empty", "see `burnish operators list`")
    if error := misplaced_name(spec):
        return error
    if "/" in spec or "\\" in spec:
        return None
    return UsageError(spec, "there is no such operator", suggest_operators(spec, known))
