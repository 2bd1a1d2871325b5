"""How many threads an operator may use."""

import os
import sys

from burnish.errors import UsageError


def thread_count() -> int:
    """Return how many: all cores, or what BURNISH_THREADS says.

    The pairs of a training are made by one process a core, each with BURNISH_THREADS=1.

    Raises
    ------
    UsageError : BURNISH_THREADS is no number above 0
    """
    value = os.environ.get("BURNISH_THREADS")
    if value is None:
        return cpu_count()
    if not value.isdecimal() or int(value) < 1:
        raise UsageError(
            "BURNISH_THREADS",
            expected="a number above 0",
            got=repr(value),
            remedy="mend or unset it",
        )
    return int(value)


def cpu_count() -> int:
    """How many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_library_threads() -> None:
    """Hold the libraries that are loaded and have a setting of their own to `thread_count`."""
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(thread_count(), numba.config.NUMBA_NUM_THREADS))
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(thread_count())
