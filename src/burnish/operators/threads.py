"""How many threads an operator may use."""

import os
import sys

from burnish.errors import UsageError


def threads() -> int:
    """Return how many: all cores, or what BURNISH_THREADS says.

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


def hold_libraries() -> None:
    """Hold the libraries that are loaded and have a setting of their own to `threads`."""
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(threads(), numba.config.NUMBA_NUM_THREADS))
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(threads())
