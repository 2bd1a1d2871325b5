"""libvips' threads, which end before a fork, so that the new process can use libvips, too.

libvips (8.18) keeps idle threads for 15 seconds, and hands work to them before it starts others.
A forked process would inherit the count of idle threads without the threads, and wait forever.
"""

import ctypes
import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pyvips

_WORKER = "libvips worker"  # the name of its threads
_MAX_WAIT = 1.0  # seconds


def _count_workers() -> int:
    count = 0
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # the thread has ended
            count += (thread / "comm").read_text().startswith(_WORKER)
    return count


def _end_idle_threads() -> None:
    """Give each thread of libvips the task of ending itself, and wait until idle ones have ended.

    A busy thread does not get a task; a new one does, and ends.
    """
    count = _count_workers()
    if not count:
        return
    library = ctypes.CDLL(import_module("_libvips").__file__)
    end_thread = ctypes.cast(library.g_thread_exit, ctypes.c_void_p)
    for _ in range(count):
        library.vips_thread_execute(b"end", end_thread, None)
    deadline = time.monotonic() + _MAX_WAIT
    while _count_workers() and time.monotonic() < deadline:
        time.sleep(0.001)


# Without the wheel of pyvips-binary, the library's file is not known.
if sys.platform == "linux" and pyvips.API_mode:
    os.register_at_fork(before=_end_idle_threads)
