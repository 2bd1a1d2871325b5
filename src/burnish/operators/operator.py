"""Operator: a name, a paper, its parameters and a function from picture to picture."""

import ast
import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import burnish.params
from burnish.errors import BurnishError, OperatorError, UsageError, missing_library
from burnish.files import digest
from burnish.operators.threads import limit_library_threads
from burnish.params import AnyParam, ChoiceParam, FileParam, Param, Value

SAMPLES = Path(__file__).parents[1] / "samples"

# One operator at a time: each uses all cores by itself, and numba's simplest thread pool, which is
# all there is on some systems, does not bear two callers.
_RUN_LOCK = threading.Lock()


@dataclass(frozen=True)
class Paper:
    """Where an operator comes from."""

    title: str
    authors: str
    venue: str
    doi: str


@dataclass(frozen=True)
class Operator:
    """A slow operator, the definition that networks are trained and judged against.

    Parameters
    ----------
    name : as typed on the command line
    title : for people
    function : what it does, (H, W, 3) float32 in [0, 1] -> same, taking the params' keywords;
        either a callable or its address ``module:function``, which is imported on first use so
        that listing operators costs nothing
    params : what a person may turn
    paper : None for a user's own operator
    summary : one sentence on what it is good for
    uses_global_statistics : whether it decides by the whole picture (a histogram, the colour of the haze)
    long_range : whether what it does at a place depends on light and detail of any size around it
    grey : whether every result is grey, so that its network's should be too
    identity : what else makes this operator what it is (the text of a command, the bytes of a
        script): two operators with equal identity and parameters give equal pictures
    """

    name: str
    title: str
    function: str | Callable[..., Any]
    params: tuple[AnyParam, ...] = ()
    paper: Paper | None = None
    summary: str = ""
    uses_global_statistics: bool = False
    long_range: bool = False
    grey: bool = False
    identity: str = ""

    @property
    def needs_thumbnail(self) -> bool:
        """Whether its network should see a thumbnail of the whole picture."""
        return self.uses_global_statistics or self.long_range

    def resolve_params(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return a checked value for every parameter, by name; see `burnish.params.settle`."""
        return burnish.params.resolve_params(self.params, values, owner=self.name)

    def load_function(self) -> Callable[..., Any]:
        """Return the function itself.

        Raises
        ------
        MissingLibraryError : a library that it needs is not installed
        """
        if callable(self.function):
            return self.function
        module, _, name = self.function.partition(":")
        try:
            function: Callable[..., Any] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise missing_library(error).with_context(f"operator {self.name}") from error
        return function

    def run(self, rgb: Any, **params: Value) -> Any:
        """Apply the operator to a picture.

        Parameters
        ----------
        rgb : ndarray of shape (H, W, 3), float32, sRGB-encoded, in [0, 1]
        params : parameter values by keyword or name; the defaults serve for the rest

        Returns
        -------
        ndarray of shape (H, W, 3), float32, in [0, 1]

        Raises
        ------
        UsageError : an unknown parameter, a value outside its range, or no picture
        PhotoError : a photo given as a parameter cannot be read
        OperatorError : the function failed, or its result is no picture of the same size
        """
        import numpy as np

        values = self.resolve_params(params)
        image = np.array(rgb, dtype=np.float32)
        self._check_input(image)
        function = self.load_function()
        keywords = {p.argument_name: to_argument(p, values[p.name]) for p in self.params}
        try:
            with _RUN_LOCK if isinstance(self.function, str) else contextlib.nullcontext():
                limit_library_threads()
                result = np.asarray(function(image, **keywords))
        except (Exception, SystemExit) as error:  # another's code may do anything
            if isinstance(error, BurnishError):
                raise
            raise OperatorError(
                f"operator {self.name}",
                expected="a picture",
                got=f"{type(error).__name__}: {error}",
                remedy="mend the operator, or try another photo",
            ) from error
        self._check_output(result, np.shape(rgb))
        return np.clip(result, 0, 1, dtype=np.float32, casting="unsafe")

    def _check_input(self, image: Any) -> None:
        import numpy as np

        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            got = f"an array of shape {image.shape}"
        elif not np.isfinite(image).all():
            got = "values that are not finite"
        elif image.min() < 0 or image.max() > 1:
            got = f"values from {image.min():g} to {image.max():g}"
        else:
            return
        raise UsageError(
            f"operator {self.name}",
            expected="RGB of shape (H, W, 3) in [0, 1]",
            got=got,
            remedy="convert it first",
        )

    def _check_output(self, output: Any, shape: tuple[int, ...]) -> None:
        import numpy as np

        if output.shape != shape or output.dtype.kind != "f":
            got = f"{output.dtype} of shape {output.shape}"
        elif not np.isfinite(output).all():
            got = "values that are not finite"
        else:
            return
        raise OperatorError(
            f"operator {self.name}",
            expected=f"finite floats in [0, 1] of shape {shape}",
            got=got,
            remedy="mend the operator: a picture goes in as float32 RGB and comes out the same",
        )

    def fingerprint(self, values: Mapping[str, Value]) -> str:
        """Return a text that changes where the operator's result could: code, values, identity."""
        code = ""
        if isinstance(self.function, str):
            code = _code_digest(self.function.partition(":")[0])
        files = {
            p.name: _param_path(p, values[p.name]) for p in self.params if isinstance(p, FileParam)
        }
        contents = {name: digest(file) for name, file in files.items() if file}
        return json.dumps(
            [self.name, self.identity, code, sorted((dict(values) | contents).items())]
        )


def to_argument(param: AnyParam, value: Value) -> Any:
    """Return what the function gets for a parameter's value."""
    if isinstance(param, Param):
        number = param.check(value)
        return int(number) if param.integer else number
    if isinstance(param, FileParam):
        file = _param_path(param, value)
        if file is None or param.kind != "photo":
            return file
        from burnish.photo import Photo

        return Photo.open(file).pixels
    if value is None or isinstance(param, ChoiceParam):
        return param.check(value)
    import numpy as np

    return np.array(list(bytes.fromhex(str(value)[1:])), np.float32) / 255


def _param_path(param: FileParam, value: Value) -> Path | None:
    """Return the file that a parameter means: the one given, or the one that ships instead."""
    if value is None:
        return SAMPLES / param.sample if param.sample else None
    return Path(str(value))


@lru_cache
def _code_digest(module: str) -> str:
    """Hash what an operator is written in."""
    return digest(*sorted(_source_files(module)))


def _source_files(module: str) -> set[Path]:
    """Return the files of an operator's module and of what it imports from beside it."""
    files: set[Path] = set()
    names = [module]
    while names:
        file = import_module(names.pop()).__file__
        if file is None or Path(file) in files:
            continue
        files.add(Path(file))
        names += [
            node.module
            for node in ast.walk(ast.parse(Path(file).read_bytes()))
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith("burnish.operators.")
            and node.module
        ]
    return files
