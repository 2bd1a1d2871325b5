"""A user's own operator: a Python function, a command, or a folder of before/after pairs.

python:module:function        python:filters/glow.py:glow
command:convert {input} -paint 4 {output}
pairs:FOLDER                  with FOLDER/before/NAME and FOLDER/after/NAME
"""

import difflib
import importlib.util
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from burnish.errors import OperatorError, PhotoError, UsageError
from burnish.files import digest
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS

# A command that hangs must not hold a folder of photos for ever.
COMMAND_SECONDS = 3600


@dataclass(frozen=True)
class Pairs:
    """Photos before and after an operator that cannot be run here (a person's edits, say)."""

    name: str
    pairs: tuple[tuple[Path, Path], ...]


def find_operator(spec: str) -> Operator | Pairs:
    """Find the operator that `spec` names.

    Parameters
    ----------
    spec : a name of the table, or ``python:``, ``command:`` or ``pairs:`` and what follows

    Raises
    ------
    UsageError : no such operator, function or folder

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
    close_matches = difflib.get_close_matches(spec, OPERATORS, n=1)
    raise UsageError(
        "operator",
        expected=f"one of {', '.join(OPERATORS)}, or python:…, command:…, pairs:…",
        got=repr(spec),
        remedy=f"did you mean {close_matches[0]}?"
        if close_matches
        else "see `burnish operators list`",
    )


def find_runnable_operator(spec: str) -> Operator:
    """Like `find_operator`, for where the operator has to be run: pairs cannot be."""
    operator = find_operator(spec)
    if isinstance(operator, Pairs):
        raise UsageError(
            spec,
            expected="an operator that can be run",
            got="a folder of pairs",
            remedy="learn it first: burnish train " + shlex.quote(spec),
        )
    return operator


def _python_operator(address: str) -> Operator:
    module_name, colon, name = address.rpartition(":")
    if not colon or not module_name or not name:
        raise UsageError(
            f"python:{address}",
            expected="python:module:function or python:file.py:function",
            got=repr(address),
            remedy="name the module and the function",
        )
    module = _load_module(module_name)
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(
            f"python:{address}",
            expected=f"a function {name!r} in {module_name}",
            got="none of that name",
            remedy="check the spelling",
        )
    return Operator(
        name=name.replace("_", "-"),
        title=name,
        function=function,
        identity=f"python:{address}:{_digest([getattr(module, '__file__', None) or ''])}",
    )


def _load_module(source: str) -> ModuleType:
    """Import a module by name or by the path of its file, as `python` would from its folder."""
    path = Path(source)
    is_file = path.suffix == ".py"
    folder = str(path.resolve().parent) if is_file else ""
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if not is_file:
            return importlib.import_module(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"no loader for {source}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # dataclasses, for one, look their module up there
        spec.loader.exec_module(module)
        return module
    except Exception as error:  # whatever the user's own file raises while it is imported
        raise UsageError(
            f"python:{source}",
            expected="a module that imports",
            got=f"{type(error).__name__}: {error}",
            remedy="check its name, or that it runs: python " + shlex.quote(source),
        ) from error


def _command_operator(template: str) -> Operator:
    try:
        words = shlex.split(template)
    except ValueError:  # an unclosed quote
        words = []
    if not any("{input}" in word for word in words) or not any(
        "{output}" in word for word in words
    ):
        raise UsageError(
            "command:",
            expected="a command with {input} and {output}",
            got=repr(template),
            remedy="for example: command:convert {input} -paint 4 {output}",
        )
    return Operator(
        name=Path(words[0]).stem,
        title=template,
        function=_program_function(words),
        identity=f"command:{template}:{_digest(words)}",
    )


def _digest(words: list[str]) -> str:
    """Hash those of the words that are files: a script that changed is another operator."""
    files = [Path(word) for word in words if Path(word).is_file()]
    return digest(*files)


def _program_function(words: list[str]) -> Callable[[Any], Any]:
    """Return a function that passes a picture through a program as 16-bit PNG files."""

    def through_files(rgb: Any) -> Any:
        from burnish.photo import Photo

        with tempfile.TemporaryDirectory(prefix="burnish-") as folder:
            source, target = Path(folder, "input.png"), Path(folder, "output.png")
            Photo(rgb).save(source, depth=16)
            argv = [
                w.replace("{input}", str(source)).replace("{output}", str(target)) for w in words
            ]
            _run_program(argv)
            try:
                return Photo.open(target).pixels
            except PhotoError as error:
                raise OperatorError(
                    f"command:{argv[0]}",
                    f"the image in {{output}} cannot be read: {error.problem}",
                    "run the command by hand to see what it writes",
                ) from error

    return through_files


def _run_program(argv: list[str]) -> None:
    """Run a program without a shell; its own last line of complaint becomes the error."""
    try:
        process = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS
        )
    except subprocess.TimeoutExpired:
        got, remedy = f"none within {COMMAND_SECONDS} s", "try a smaller photo"
    except OSError as error:
        got, remedy = str(error), "check that the program is installed and on the PATH"
    else:
        if process.returncode == 0:
            return
        last_line = (process.stderr.strip() or process.stdout.strip() or "no message").splitlines()[
            -1
        ]
        got, remedy = f"exit code {process.returncode} ({last_line})", "run it by hand to see why"
    raise OperatorError(
        f"command:{argv[0]}", expected="a program that succeeds", got=got, remedy=remedy
    )


def _find_pairs(folder: str) -> Pairs:
    before, after = Path(folder, "before"), Path(folder, "after")
    if not before.is_dir() or not after.is_dir():
        raise UsageError(
            f"pairs:{folder}",
            expected="a folder with before/ and after/",
            got="one without",
            remedy="put photos of equal names into both",
        )
    before_files = {path.name: path for path in sorted(before.iterdir()) if path.is_file()}
    after_files = {path.name: path for path in sorted(after.iterdir()) if path.is_file()}
    if not before_files or before_files.keys() != after_files.keys():
        unpaired = sorted(before_files.keys() ^ after_files.keys())
        raise UsageError(
            f"pairs:{folder}",
            expected="equal names in before/ and after/",
            got=f"{len(unpaired)} without a partner, such as {unpaired[0]}"
            if unpaired
            else "empty folders",
            remedy="add the missing photos or take the odd ones out",
        )
    return Pairs(
        name=Path(folder).resolve().name.replace("_", "-"),
        pairs=tuple((before_files[name], after_files[name]) for name in before_files),
    )


_KINDS: dict[str, Callable[[str], Operator | Pairs]] = {
    "python": _python_operator,
    "command": _command_operator,
    "pairs": _find_pairs,
}
