"""Operator: a function from image to image, with its name, parameters and paper."""

import ast
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import burnish.params
from burnish.errors import BurnishError, OperatorError, UsageError, missing_library
from burnish.files import digest
from burnish.operators import limit_library_threads
from burnish.params import AnyParam, ChoiceParam, ColourParam, FileParam, Param, Value

SAMPLES = Path(__file__).parents[1] / "samples"

# Built-in operators run one at a time: each uses all cores, and numba's fallback thread pool, the
# only one on some systems, crashes with two callers.
_RUN_LOCK = threading.Lock()

# Values beyond [0, 1] are clipped, because sharpening and stretching overshoot, in places by far
# (local Laplacian detail to -9). An image with larger values than this, and with a mean outside of
# [-1, 1], is on another scale, such as 0 to 255.
_MAX_OVERSHOOT = 8

# Channel permutation: f of an image with reordered channels is f of the image, reordered alike.
# Inversion: f(1 - x) = 1 - f(x).
Symmetry = Literal["channel permutation", "inversion"]


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
    keywords : other words for its use, by which users find it
    uses_global_statistics : the output depends on a statistic of the whole image, such as a
        histogram
    long_range : each output pixel depends on light and detail of any size around it
    octaves : it works on octaves of detail, so that only copies that are smaller by a power of two
        have the same ones
    grey : the output is always grey
    symmetries : what the operator commutes with exactly; see `symmetries_at`
    measure_function : takes the arguments of `function` and measures the whole photo; returns
        keyword arguments that make `function` do the same to a part or a smaller copy of it. An
        address ``module:function``, or "" if there is nothing to measure
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
    keywords: tuple[str, ...] = ()
    uses_global_statistics: bool = False
    long_range: bool = False
    octaves: bool = False
    grey: bool = False
    symmetries: frozenset[Symmetry] = frozenset()
    measure_function: str = ""
    identity: str = ""
    pairs: tuple[tuple[Path, Path], ...] = ()

    @property
    def needs_thumbnail(self) -> bool:
        """True if networks for it should see a thumbnail of the whole image."""
        return self.uses_global_statistics or self.long_range

    def resolve_params(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Check parameter values and add the defaults; see `burnish.params.resolve_params`."""
        return burnish.params.resolve_params(self.params, values, owner=self.name)

    def symmetries_at(self, values: Mapping[str, Value]) -> frozenset[Symmetry]:
        """Return the symmetries at these values of all parameters; none if a colour is set."""
        colours = [values[p.name] for p in self.params if isinstance(p, ColourParam)]
        return frozenset() if any(colours) else self.symmetries

    def is_off(self, values: Mapping[str, Value]) -> bool:
        """Return whether the operator changes nothing at these values of all its parameters."""
        return burnish.params.is_off(self.params, values)

    def load_function(self) -> Callable[..., Any]:
        """Return the function, imported if `function` is an address.

        Raises
        ------
        MissingLibraryError : a library that it needs is not installed
        """
        return self._load(self.function)

    def _load(self, function: str | Callable[..., Any]) -> Callable[..., Any]:
        if callable(function):
            return function
        module, _, name = function.partition(":")
        try:
            loaded: Callable[..., Any] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise missing_library(error).with_context(f"operator {self.name}") from error
        return loaded

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
        return self.run_small(rgb, 1.0, **params)

    def run_small(
        self, rgb: Any, k: float, measured: Mapping[str, Any] | None = None, /, **params: Value
    ) -> Any:
        """Do to a smaller copy of a photo what `run` does to the photo, as closely as possible.

        Parameters
        ----------
        rgb : the copy, as for `run`
        k : the copy's size divided by the photo's; see `burnish.params.Param.at_size`
        measured : the result of `measure` for the photo [default: the copy is measured]
        params : parameter values, for the size of the photo

        Returns and raises the same as `run`.
        """
        import numpy as np

        values = self.resolve_params(params)
        image = self._to_image(rgb)
        if self.is_off(values):
            return image
        keywords = self._keywords(values, k) | dict(measured or {})
        with self._loaded(self.function) as function:
            result = np.asarray(function(image, **keywords))
        self._check_output(result, np.shape(rgb))
        return np.clip(result, 0, 1, dtype=np.float32, casting="unsafe")

    def measure(self, rgb: Any, **params: Value) -> dict[str, Any]:
        """Measure what the operator takes from the whole photo, such as the colour of haze.

        Parameters, and errors raised, are those of `run`.

        Returns
        -------
        arguments of the function for `run_small`; empty if there is nothing to measure
        """
        values = self.resolve_params(params)
        if not self.measure_function:
            return {}
        keywords = self._keywords(values)
        with self._loaded(self.measure_function) as function:
            return dict(function(self._to_image(rgb), **keywords))

    def _keywords(self, values: Mapping[str, Value], k: float = 1.0) -> dict[str, Any]:
        """Return the arguments of the function for a copy of the photo, k times as large."""
        keywords = {p.argument_name: to_argument(p, values[p.name]) for p in self.params}
        for param in self.params:
            if isinstance(param, Param):
                name = param.argument_name
                keywords[name] = param.at_size(keywords[name], k)
        return keywords

    @contextlib.contextmanager
    def _loaded(self, function: str | Callable[..., Any]) -> Iterator[Callable[..., Any]]:
        """Load a function of the operator; its errors become an OperatorError."""
        loaded = self._load(function)
        try:
            with _RUN_LOCK if isinstance(function, str) else contextlib.nullcontext():
                limit_library_threads()
                yield loaded
        except (Exception, SystemExit) as error:  # user code may raise anything
            if isinstance(error, BurnishError):
                raise
            problem = f"it failed with {type(error).__name__}: {error}"
            remedy = "fix the operator, or try another photo"
            raise OperatorError(f"operator {self.name}", problem, remedy) from error

    def _to_image(self, rgb: Any) -> Any:
        """Return a copy in single precision, after a check."""
        import numpy as np

        image = np.array(rgb, dtype=np.float32)
        self._check_input(image)
        return image

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

        if output.dtype.kind == "O" and output.ndim == 0:
            problem = f"it returns {output.item()!r:.40}, not an image"
            remedy = "return the edited image"
        elif output.shape != shape:
            problem = f"it returns an array of shape {output.shape}, not {shape}"
            remedy = "return an image of the same size with three channels, (height, width, 3)"
        elif output.dtype.kind != "f":
            problem = f"it returns {output.dtype}, not floats in [0, 1]"
            remedy = "return floats, such as result.astype('float32') / 255 for 8-bit values"
        elif not np.isfinite(output).all():
            problem = "it returns NaN or infinity"
            remedy = "look for a division by zero, or a root or logarithm of values at or below it"
        elif max(output.max(), -output.min()) > _MAX_OVERSHOOT and abs(output.mean()) > 1:
            problem = f"it returns values from {output.min():g} to {output.max():g}, not in [0, 1]"
            remedy = "divide the result by its largest possible value, such as 255"
        else:
            return
        raise OperatorError(f"operator {self.name}", problem, remedy)

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
