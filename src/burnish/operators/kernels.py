"""Compilation of loops with numba, for all cores."""

import os
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

import numba

_one_core = False


def parallel_njit(**options: Any) -> Callable[[Any], Callable[..., Any]]:
    """Return a decorator that compiles a function like ``numba.njit(parallel=True)``.

    In a process that was forked after numba had started its threads, the function runs on one core,
    because OpenMP ends such a process. The results are equal if no sum runs over a `prange`.

    Parameters
    ----------
    options : further options of `numba.njit`
    """

    def decorate(function: Any) -> Callable[..., Any]:
        parallel = numba.njit(cache=True, parallel=True, **options)(function)
        # numba's cache on disk is by name, and does not tell the two apart by their options.
        copy = FunctionType(function.__code__, function.__globals__)
        copy.__qualname__ = f"{function.__qualname__}_on_one_core"
        serial = numba.njit(cache=True, **options)(copy)

        @wraps(function)
        def run(*args: Any) -> Any:
            return serial(*args) if _one_core else parallel(*args)

        return run

    return decorate


def _check_threads() -> None:
    """In a forked process, check whether numba had started threads, which do not exist here."""
    global _one_core
    try:
        _one_core = numba.threading_layer() != "tbb"
    except ValueError:  # not started
        return


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_check_threads)
