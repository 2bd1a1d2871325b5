"""The number of threads that an operator may use."""

import os
import sys

from burnish.errors import UsageError


def thread_count() -> int:
    """Return the number of threads: BURNISH_THREADS if it is set, else the number of cores.

    Training computes its pairs in one process a core, each with BURNISH_THREADS=1.

    Raises
    ------
    UsageError : BURNISH_THREADS is not a whole number above 0
    """
    value = os.environ.get("BURNISH_THREADS")
    if value is None:
        return cpu_count()
    if not value.isdecimal() or int(value) < 1:
        raise UsageError(
            "BURNISH_THREADS",
            expected="a whole number above 0",
            got=repr(value),
            remedy="correct or unset it",
        )
    return int(value)


def cpu_count() -> int:
    """Return the number of cores that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_library_threads() -> None:
    """Limit numba and OpenCV to `thread_count` threads, if they are loaded."""
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(thread_count(), numba.config.NUMBA_NUM_THREADS))
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(thread_count())
