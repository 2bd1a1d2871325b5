"""The reference operators: plain numerical Python, one module for each paper.

This module holds the functions that they share: the number of threads, and luminance.
"""

import os
import sys
from typing import TYPE_CHECKING

from burnish.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Waiting OpenMP threads should sleep and not spin: the sparse solver has many short loops, and
# spinning makes them ten times slower while another program runs. OpenMP reads this variable when
# numba first loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def is_user_defined(spec: str) -> bool:
    """Return whether `spec` names an operator of the user; see `user_defined.find_operator`."""
    return spec.startswith(("python:", "command:", "pairs:"))


def cpu_count() -> int:
    """Return the number of cores that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        problem = f"{value!r} is not a whole number above 0"
        raise UsageError("BURNISH_THREADS", problem, "correct or unset it")
    return int(value)


def limit_library_threads() -> None:
    """Limit numba and OpenCV to `thread_count` threads, if they are loaded."""
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(thread_count(), numba.config.NUMBA_NUM_THREADS))
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(thread_count())


def luminance(rgb: "NDArray[np.floating]") -> "NDArray[np.floating]":
    """Return the Rec. 601 luminance of the encoded values, (H, W, 3) to (H, W)."""
    import numpy as np

    Y: NDArray[np.floating] = rgb @ np.array([0.299, 0.587, 0.114], rgb.dtype)
    return Y
