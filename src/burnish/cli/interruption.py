"""Ctrl-C, heard at safe places only.

Python raises KeyboardInterrupt wherever it happens to be, which may be a callback of a library in
the middle of a file, where it is lost.
"""

import signal
from types import FrameType


class Interruption:
    """While entered, Ctrl-C is noted; `check` raises it. Pressed twice, it is raised at once."""

    def __init__(self) -> None:
        self.heard = False

    def __enter__(self) -> "Interruption":
        self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.heard:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True
