"""Progress bars and Ctrl-C of long commands."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Any, Self

import typer
from rich import progress as bars
from rich.console import Console

from burnish.progress import Progress


class ConsoleProgress(Progress):
    """Show one task after another.

    Parameters
    ----------
    count : number of tasks, shown beside each [default: unknown]
    plain : print the start of each task if stderr is not a terminal
    hidden : print nothing but messages
    """

    def __init__(
        self, count: int | None = None, *, plain: bool = True, hidden: bool = False
    ) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal and not hidden
        self.plain = plain and not self._live and not hidden
        self._hidden = hidden
        self._is_listening = False
        self._bar = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[note]}", markup=False),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not self._live,
            redirect_stdout=False,
            transient=True,
        )
        self._count = count
        self._started = 0
        self._task: bars.TaskID | None = None
        self._total: float | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._bar.start()
        self._stack.callback(self._bar.stop)
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start(self, task: str, total: float | None = None) -> None:
        """Replace the bar by that of another task."""
        self._listen()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._started += 1
        position = f"{self._started} of {self._count}: " if self._count else ""
        # The bar has no end until some work is done: many operators do not report their progress.
        self._task = self._bar.add_task(position + task, total=None, note="")
        self._total = total
        if self.plain and total:
            self.message(f"{task}: {total:g}")

    def advance(self, amount: float = 1) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.update(self._task, advance=amount, total=self._total)

    def note(self, text: str) -> None:
        """Set the text beside the bar."""
        if self._task is not None:
            self._bar.update(self._task, note=text)

    def update(self, completed: float, total: float | None, note: str) -> None:
        """Set the work done and the text beside the bar."""
        self._total = total
        if self._task is not None:
            self._bar.update(self._task, completed=completed, total=total, note=note)

    def echo(self, text: str) -> None:
        """Print a line on stdout, above the bar if stdout is a terminal, too."""
        if self._live and sys.stdout.isatty():
            self.message(text)
        else:
            typer.echo(text)

    def message(self, text: str) -> None:
        """Print a line on stderr, above the bar."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _listen(self) -> None:
        """Print one line if numba, once it is loaded, compiles what is not on the disk."""
        if self._hidden or self._is_listening or "numba" not in sys.modules:
            return
        from numba.core import event

        message = partial(self.message, "burnish: compiling operators, once; it can take a minute")

        class Listener(event.Listener):  # type: ignore[misc]
            is_done = False

            def on_start(self, event: Any) -> None:
                if not self.is_done:
                    self.is_done = True
                    message()

            def on_end(self, event: Any) -> None:
                pass

        self._stack.enter_context(event.install_listener("numba:compile", Listener()))
        self._is_listening = True


@contextmanager
def graceful_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed; only the second one raises.

    A KeyboardInterrupt can otherwise be raised in a library's callback in the middle of a file,
    where it is lost.
    """
    interrupted = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True

    previous_handler = signal.signal(signal.SIGINT, on_signal)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, previous_handler)
