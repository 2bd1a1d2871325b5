"""Ctrl-C, heard at safe places only.

Python raises KeyboardInterrupt wherever it happens to be, which may be a callback of a library in
the middle of a file, where it is lost.
"""

import signal
from types import FrameType


class GracefulInterrupt:
    """While entered, Ctrl-C is noted; `check` raises it. Pressed twice, it is raised at once."""

    def __init__(self) -> None:
        self.interrupted = False

    def __enter__(self) -> "GracefulInterrupt":
        self._previous_handler = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.interrupted:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
