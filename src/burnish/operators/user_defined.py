"""Operators of the user: a Python function, a command, or a folder of before/after pairs.

python:module:function        python:filters/glow.py:glow
command:convert {input} -paint 4 {output}
pairs:FOLDER                  with photos of equal names in FOLDER/before and FOLDER/after
"""

import importlib.util
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from burnish.errors import OperatorError, PhotoError, UsageError
from burnish.files import digest, is_file, is_folder
from burnish.operators.function_params import call_with_names, function_params
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS, suggest_operators

# Timeout, so that a command that hangs does not block the remaining photos forever.
COMMAND_SECONDS = 3600


def find_operator(spec: str) -> Operator:
    """Return the operator that `spec` names.

    Parameters
    ----------
    spec : the name of a built-in operator, ``python:MODULE:FUNCTION``, ``command:TEMPLATE`` or
        ``pairs:FOLDER``

    Raises
    ------
    UsageError : there is no such operator, function or folder

    Examples
    --------
    >>> find_operator("l0-smoothing").title
    'L0 smoothing'
    >>> find_operator("python:numpy:sqrt").name
    'sqrt'
    """
    kind, colon, rest = spec.partition(":")
    if colon and kind in _KINDS:
        return _KINDS[kind](rest)
    if spec in OPERATORS:
        return OPERATORS[spec]
    raise UsageError(spec, "there is no such operator", suggest_operators(spec, OPERATORS))


def card_operator_name(spec: str) -> str:
    """Return the name of an operator on cards; that of a user's own one has its kind as a prefix.

    Examples
    --------
    >>> card_operator_name("l0-smoothing"), card_operator_name("python:numpy:sqrt")
    ('l0-smoothing', 'python:sqrt')
    """
    kind, colon, _ = spec.partition(":")
    name = find_operator(spec).name
    return f"{kind}:{name}" if colon else name


def find_runnable_operator(spec: str) -> Operator:
    """Return the operator that `spec` names; raise a UsageError for a folder of pairs."""
    operator = find_operator(spec)
    if operator.pairs:
        raise _pairs_error(spec)
    return operator


def _pairs_error(spec: str) -> UsageError:
    remedy = f"train a model first: burnish train {shlex.quote(spec)}"
    return UsageError(spec, "a folder of pairs cannot be run", remedy)


def _python_operator(address: str) -> Operator:
    module_name, _, name = address.rpartition(":")
    if not module_name or not name:
        problem = "it does not name a module and a function"
        remedy = "write python:module:function or python:file.py:function"
        raise UsageError(f"python:{address}", problem, remedy)
    module = _load_module(module_name)
    function = getattr(module, name, None)
    if not callable(function):
        problem = f"{module_name} has no function {name!r}"
        raise UsageError(f"python:{address}", problem, "check the spelling")
    params = function_params(function, f"python:{address}")
    names = {param.argument_name: argument for argument, param in params.items()}
    return Operator(
        name=name.replace("_", "-"),
        title=name,
        function=partial(call_with_names, function, names),
        params=tuple(params.values()),
        identity=f"python:{address}:{_digest([getattr(module, '__file__', None) or ''])}",
    )


def _load_module(source: str) -> ModuleType:
    """Import a module by name or by path; like `python`, put the file's folder on the path."""
    path = Path(source)
    in_file = path.suffix == ".py"
    folder = str(path.resolve().parent) if in_file else ""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if not in_file:
            return importlib.import_module(source)
        return _load_file(path.resolve(), digest(path) if is_file(path) else "")
    except Exception as error:  # user code may raise anything
        problem = f"the module cannot be imported: {type(error).__name__}: {error}"
        remedy = f"check its name, and that it runs: python {shlex.quote(source)}"
        raise UsageError(f"python:{source}", problem, remedy) from error


@lru_cache(maxsize=8)
def _load_file(path: Path, content: str) -> ModuleType:
    """Run a Python file, again only if the hash of its content changes: it may load a model."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses need their module there
    spec.loader.exec_module(module)
    return module


def _command_operator(template: str) -> Operator:
    try:
        words = shlex.split(template)
    except ValueError:  # an unclosed quote
        words = []
    text = " ".join(words)
    if "{input}" not in text or "{output}" not in text:
        problem = "the command lacks {input} or {output}, or a closing quote"
        remedy = "for example: command:convert {input} -paint 4 {output}"
        raise UsageError(f"command:{template}", problem, remedy)
    return Operator(
        name=Path(words[0]).stem,
        title=template,
        function=partial(_run_on_files, words),
        identity=f"command:{template}:{_digest(words)}",
    )


def _digest(words: list[str]) -> str:
    """Return a hash of the words that are files, so that a changed script is noticed."""
    return digest(*(Path(word) for word in words if is_file(word)))


def _run_on_files(words: list[str], rgb: Any) -> Any:
    """Pass an image through a program as 16-bit PNG files."""
    from burnish.photo import Photo

    with tempfile.TemporaryDirectory(prefix="burnish-") as folder:
        source, target = Path(folder, "input.png"), Path(folder, "output.png")
        Photo(rgb).save(source, depth=16)
        argv = [w.replace("{input}", str(source)).replace("{output}", str(target)) for w in words]
        _run_program(argv)
        try:
            return Photo.open(target).pixels
        except PhotoError as error:
            problem = f"the image in {{output}} cannot be read: {error.problem}"
            raise OperatorError(f"command:{argv[0]}", problem, "run it by hand") from error


def _run_program(argv: list[str]) -> None:
    """Run a program without a shell; the last line that it prints goes into the error."""
    try:
        process = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        problem, remedy = f"not finished after {COMMAND_SECONDS} s", "try a smaller photo"
    except OSError as error:
        problem, remedy = f"{error}", "check that the program is installed and on the PATH"
    else:
        if process.returncode == 0:
            return
        lines = (process.stderr.strip() or process.stdout.strip() or "no message").splitlines()
        problem, remedy = f"exit code {process.returncode} ({lines[-1]})", "run it by hand"
    raise OperatorError(f"command:{argv[0]}", problem, remedy)


def _pairs_operator(folder: str) -> Operator:
    where = f"pairs:{folder}"
    before, after = Path(folder, "before"), Path(folder, "after")
    if not is_folder(before) or not is_folder(after):
        problem = "the folder has no before/ or no after/"
        raise UsageError(where, problem, "put photos of equal names into both")
    pairs = _match_partners(_photos(before), _photos(after), where)

    def cannot_run(rgb: Any) -> Any:
        raise _pairs_error(where)

    name = Path(folder).resolve().name.replace("_", "-")
    return Operator(
        name=name,
        title=f"pairs of {name}",
        function=cannot_run,
        identity="pairs",
        pairs=pairs,
    )


def _photos(folder: Path) -> dict[Path, Path]:
    """Return the photos in a folder and its subfolders by relative path, without hidden ones."""
    from burnish.photo.formats import READABLE_EXTENSIONS

    photos = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder): path
        for path in photos
        if path.suffix.lower() in READABLE_EXTENSIONS and path.name[0] != "."
    }


def _match_partners(
    before: dict[Path, Path], after: dict[Path, Path], where: str
) -> tuple[tuple[Path, Path], ...]:
    """Return the pairs of photos with equal names, or else with names that differ in the extension.

    Raises
    ------
    UsageError : a photo has no partner, or several photos could be its partner
    """
    if not before and not after:
        raise UsageError(where, "before/ and after/ contain no photos", "put photos into both")
    rest = [_by_stem(photos, before.keys() & after.keys()) for photos in (before, after)]
    lonely = sorted(
        f"{side}/{name.as_posix()}"
        for side, own, other in zip(("before", "after"), rest, reversed(rest), strict=True)
        for stem, names in own.items()
        if stem not in other
        for name in names
    )
    if lonely:
        photos = "1 photo has" if len(lonely) == 1 else f"{len(lonely)} photos have"
        problem = f"{photos} no partner in the other folder, such as {lonely[0]}"
        raise UsageError(where, problem, "add the partners, or remove these photos")
    for stem, own in rest[0].items():
        other = rest[1][stem]
        if len(own) > 1 or len(other) > 1:
            names = [f"before/{name.as_posix()}" for name in own]
            names += [f"after/{name.as_posix()}" for name in other]
            problem = f"it is not clear which photos belong together: {', '.join(names)}"
            raise UsageError(where, problem, "keep one of each, or give them equal names")
    partners = {name: name for name in before.keys() & after.keys()}
    partners |= {names[0]: rest[1][stem][0] for stem, names in rest[0].items()}
    return tuple((before[name], after[partners[name]]) for name in sorted(partners))


def _by_stem(photos: Collection[Path], left_out: Collection[Path]) -> dict[Path, list[Path]]:
    """Return the names of photos, but for some, grouped by the name without its extension."""
    stems: dict[Path, list[Path]] = {}
    for name in photos:
        if name not in left_out:
            stems.setdefault(name.with_suffix(""), []).append(name)
    return stems


_KINDS: dict[str, Callable[[str], Operator]] = {
    "python": _python_operator,
    "command": _command_operator,
    "pairs": _pairs_operator,
}
