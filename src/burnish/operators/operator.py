"""Operator: a function from image to image, with its name, parameters and paper."""

import ast
import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import burnish.params
from burnish.errors import BurnishError, OperatorError, UsageError, missing_library
from burnish.files import digest
from burnish.operators import limit_library_threads
from burnish.params import AnyParam, ChoiceParam, FileParam, Param, Value

SAMPLES = Path(__file__).parents[1] / "samples"

# Built-in operators run one at a time: each uses all cores, and numba's fallback thread pool, the
# only one on some systems, crashes with two callers.
_RUN_LOCK = threading.Lock()


@dataclass(frozen=True)
class Paper:
    """The publication that defines an operator."""

    title: str
    authors: str
    venue: str
    doi: str


@dataclass(frozen=True)
class Operator:
    """A reference operator: networks are trained to imitate it and are evaluated against it.

    Parameters
    ----------
    name : name on the command line
    title : name for display
    function : maps (H, W, 3) float32 in [0, 1] to the same, and takes the parameters by keyword;
        a callable, or an address ``module:function`` that is imported on first use
    params : the parameters that users can set
    paper : the publication; None for a user's own operator
    summary : one line on its use
    uses_global_statistics : the output depends on a statistic of the whole image, such as a
        histogram
    long_range : each output pixel depends on light and detail of any size around it
    grey : the output is always grey
    identity : the text of a command, or a hash of a script. Operators with equal identity, name
        and parameters give equal images
    pairs : files before and after the operator, if it is known by examples only and cannot be run
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
    pairs: tuple[tuple[Path, Path], ...] = ()

    @property
    def needs_thumbnail(self) -> bool:
        """True if networks for it should see a thumbnail of the whole image."""
        return self.uses_global_statistics or self.long_range

    def resolve_params(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Check parameter values and add the defaults; see `burnish.params.resolve_params`."""
        return burnish.params.resolve_params(self.params, values, owner=self.name)

    def load_function(self) -> Callable[..., Any]:
        """Return the function, imported if `function` is an address.

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
        """Apply the operator to an image.

        Parameters
        ----------
        rgb : ndarray of shape (H, W, 3), float32, sRGB-encoded, in [0, 1]
        params : parameter values by argument name or name [default: the parameters' defaults]

        Returns
        -------
        ndarray of shape (H, W, 3), float32, in [0, 1]

        Raises
        ------
        UsageError : a parameter is unknown or outside its range, or `rgb` is not such an array
        PhotoError : a photo given as a parameter cannot be read
        OperatorError : the function failed, or its output is not an image of the same size
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
        except (Exception, SystemExit) as error:  # user code may raise anything
            if isinstance(error, BurnishError):
                raise
            problem = f"it failed with {type(error).__name__}: {error}"
            remedy = "fix the operator, or try another photo"
            raise OperatorError(f"operator {self.name}", problem, remedy) from error
        self._check_output(result, np.shape(rgb))
        return np.clip(result, 0, 1, dtype=np.float32, casting="unsafe")

    def _check_input(self, image: Any) -> None:
        import numpy as np

        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            got = f"an array of shape {image.shape}"
        elif not np.isfinite(image).all():
            got = "NaN or infinity"
        elif image.min() < 0 or image.max() > 1:
            got = f"values from {image.min():g} to {image.max():g}"
        else:
            return
        problem = f"the input is not RGB of shape (H, W, 3) in [0, 1], but {got}"
        raise UsageError(f"operator {self.name}", problem, "convert the array first")

    def _check_output(self, output: Any, shape: tuple[int, ...]) -> None:
        import numpy as np

        if output.shape != shape or output.dtype.kind != "f":
            got = f"{output.dtype} of shape {output.shape}"
        elif not np.isfinite(output).all():
            got = "NaN or infinity"
        else:
            return
        problem = f"the output is not finite floats of shape {shape}, but {got}"
        raise OperatorError(f"operator {self.name}", problem, "fix the operator")

    def fingerprint(self, values: Mapping[str, Value]) -> str:
        """Return text that differs if the code, identity or parameter values differ."""
        code = ""
        if isinstance(self.function, str):
            code = _code_digest(self.function.partition(":")[0])
        resolved = dict(values)
        for param in self.params:
            if isinstance(param, FileParam) and (file := _param_path(param, values[param.name])):
                resolved[param.name] = digest(file)
        return json.dumps([self.name, self.identity, code, sorted(resolved.items())])


def to_argument(param: AnyParam, value: Value) -> Any:
    """Convert a parameter value to the argument that the function takes."""
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
    """Return the path in `value`, or that of the parameter's default sample, if it has one."""
    if value is None:
        return SAMPLES / param.sample if param.sample else None
    return Path(str(value))


@cache
def _code_digest(module: str) -> str:
    """Return a hash of an operator's source code."""
    return digest(*sorted(_source_files(module)))


def _source_files(module: str) -> set[Path]:
    """Return the file of an operator's module, and of all operator modules that it imports."""
    files: set[Path] = set()
    names = [module]
    while names:
        path = Path(str(import_module(names.pop()).__file__))
        if path not in files:
            files.add(path)
            nodes = ast.walk(ast.parse(path.read_bytes()))
            imported = [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
            names += [name for name in imported if name.startswith("burnish.operators")]
    return files
