"""Progress of long commands: bars on a terminal, plain lines elsewhere; and Ctrl-C."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Self

from rich import progress as bars
from rich.console import Console

from burnish.training.callbacks import StepInfo, TrainCallbacks

# Seconds between two plain lines of a training, where there is no terminal.
PLAIN_INTERVAL = 30.0


class ConsoleProgress(TrainCallbacks):
    """Show one task after another.

    Parameters
    ----------
    count : number of tasks, shown beside each [default: unknown]
    plain : print lines if stderr is not a terminal
    hidden : print nothing but messages
    """

    def __init__(
        self, count: int | None = None, *, plain: bool = True, hidden: bool = False
    ) -> None:
        console = Console(stderr=True)
        live = console.is_terminal and not hidden
        self._plain = plain and not live and not hidden
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.TextColumn("{task.fields[note]}", markup=False),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not live,
            transient=True,
        )
        self._count = count
        self._started = 0
        self._task: bars.TaskID | None = None
        self._name = ""
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def start(self, task: str, total: float | None = None) -> None:
        """Replace the bar by that of another task."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._started += 1
        position = f"{self._started} of {self._count}: " if self._count else ""
        self._task = self._bar.add_task(position + task, total=total, note="")
        self._name = task
        if self._plain and total:
            self.message(f"{task}: {total:g}")

    def advance(self, amount: float = 1) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.advance(self._task, amount)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._last_line = time.monotonic()
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def on_step(self, info: StepInfo) -> None:
        """Show a training's step; its total number of steps is an estimate."""
        if self._name != "training":
            self.start("training")
        note = f"loss {info.loss:.6f}"
        for name, loss in info.loss_terms.items():
            note += f"  {name} {loss:.3f}"
        total = round(info.step / info.progress) if info.progress else None
        if self._task is not None:
            self._bar.update(self._task, completed=info.step, total=total, note=note)
        if self._plain and time.monotonic() - self._last_line > PLAIN_INTERVAL:
            self.message(f"step {info.step}, {100 * info.progress:.1f} %, {note}")

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print the result of an early validation."""
        self.message(f"step {step}: {psnr:.2f} dB on the validation photos, see {preview}")


class GracefulInterrupt:
    """A context in which the first Ctrl-C only sets `interrupted`; the second one raises.

    A KeyboardInterrupt can otherwise be raised in a library's callback in the middle of a file,
    where it is lost.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def __enter__(self) -> Self:
        self._previous_handler = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
