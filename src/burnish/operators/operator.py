"""Operator: a name, a paper, its parameters and a function from picture to picture."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import burnish.params
from burnish.errors import BurnishError, OperatorError, UsageError, missing_library
from burnish.params import Param


def threads() -> int:
    """How many threads an operator may use: all cores, or what BURNISH_THREADS says.

    The pairs of a training are made by one process a core, each with BURNISH_THREADS=1.

    Raises
    ------
    UsageError : BURNISH_THREADS is no number above 0
    """
    said = os.environ.get("BURNISH_THREADS")
    if said is None:
        return cores()
    if not said.isdecimal() or int(said) < 1:
        raise UsageError(
            "BURNISH_THREADS",
            expected="a number above 0",
            got=repr(said),
            remedy="mend or unset it",
        )
    return int(said)


def cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    call : what it does, (H, W, 3) float32 in [0, 1] -> same, taking the params' keywords;
        either a callable or its address ``module:function``, which is imported on first use so
        that listing operators costs nothing
    params : what a person may turn
    paper : None for a user's own operator
    about : one sentence on what it is good for
    identity : what else makes this operator what it is (the text of a command, the bytes of a
        script): two operators with equal identity and parameters give equal pictures
    """

    name: str
    title: str
    call: str | Callable[..., Any]
    params: tuple[Param, ...] = ()
    paper: Paper | None = None
    about: str = ""
    identity: str = ""

    def settle(self, given: dict[str, float | None]) -> dict[str, float]:
        """Return a checked value for every parameter, by name; see `burnish.params.settle`."""
        return burnish.params.settle(self.params, given, of=self.name)

    def function(self) -> Callable[..., Any]:
        """Return the function itself.

        Raises
        ------
        MissingLibraryError : a library that it needs is not installed
        """
        if callable(self.call):
            return self.call
        module, _, name = self.call.partition(":")
        try:
            function: Callable[..., Any] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise missing_library(error).at(f"operator {self.name}") from error
        return function

    def run(self, rgb: Any, **given: float | None) -> Any:
        """Apply the operator to a picture.

        Parameters
        ----------
        rgb : ndarray of shape (H, W, 3), float32, sRGB-encoded, in [0, 1]
        given : parameter values by keyword or name; the defaults serve for the rest

        Returns
        -------
        ndarray of shape (H, W, 3), float32, in [0, 1]

        Raises
        ------
        UsageError : an unknown parameter, or a value outside its range
        OperatorError : the function failed, or its result is no picture of the same size
        """
        import numpy as np

        values = self.settle(given)
        function = self.function()
        keywords = {param.keyword: values[param.name] for param in self.params}
        try:
            result = np.asarray(function(np.array(rgb, dtype=np.float32), **keywords))
        except (Exception, SystemExit) as error:  # another's code may do anything
            if isinstance(error, BurnishError):
                raise
            raise OperatorError(
                f"operator {self.name}",
                expected="a picture",
                got=f"{type(error).__name__}: {error}",
                remedy="mend the operator, or try another photo",
            ) from error
        self._check(result, np.shape(rgb))
        return np.clip(result, 0, 1, dtype=np.float32, casting="unsafe")

    def _check(self, result: Any, shape: tuple[int, ...]) -> None:
        import numpy as np

        if result.shape != shape or result.dtype.kind != "f":
            got = f"{result.dtype} of shape {result.shape}"
        elif not np.isfinite(result).all():
            got = "values that are not finite"
        else:
            return
        raise OperatorError(
            f"operator {self.name}",
            expected=f"finite floats in [0, 1] of shape {shape}",
            got=got,
            remedy="mend the operator: a picture goes in as float32 RGB and comes out the same",
        )

    def fingerprint(self, values: dict[str, float]) -> str:
        """Return a text that changes where the operator's result could: code, values, identity."""
        code = ""
        if isinstance(self.call, str):
            source = import_module(self.call.partition(":")[0]).__file__
            code = hashlib.sha256(Path(source or "").read_bytes()).hexdigest()
        return json.dumps([self.name, self.identity, code, sorted(values.items())])
