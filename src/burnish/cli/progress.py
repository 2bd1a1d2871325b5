"""Progress of long commands: bars on a terminal, plain lines elsewhere; and Ctrl-C."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Self, TextIO

from rich import progress as bars
from rich.console import Console

from burnish.training.callbacks import StepInfo, TrainCallbacks

if TYPE_CHECKING:
    from burnish.editing.plan import PlannedFile

# Seconds between two plain lines of a training, where there is no terminal.
PLAIN_INTERVAL = 30.0


class ConsoleProgress(TrainCallbacks):
    """Show tasks, one after another.

    Parameters
    ----------
    stream : where to print [default: stderr]
    plain : print lines if the stream is not a terminal
    hidden : print nothing but messages
    """

    def __init__(
        self, stream: TextIO | None = None, *, plain: bool = True, hidden: bool = False
    ) -> None:
        self._console = Console(file=stream or sys.stderr)
        self._live = self._console.is_terminal and not hidden
        self._plain = plain and not self._live and not hidden
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[note]}"),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", visible=False, note="")
        self._description = ""
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def start(self, task: str, total: float | None = None) -> None:
        """Begin a task, with a bar of its own."""
        self._bar.stop_task(self._task)
        self._task = self._bar.add_task(task, total=total, note="")
        self._description = task
        if self._plain and total:
            self.message(f"{task}: {total:g}")

    def advance(self, amount: float = 1) -> None:
        """Move the bar."""
        self._bar.advance(self._task, amount)

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._last_line = time.monotonic()
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def on_step(self, info: StepInfo) -> None:
        """Show a training's step; its total number of steps is an estimate."""
        if self._description != "training":
            self.start("training")
        note = f"loss {info.loss:.6f}"
        for name, loss in info.loss_terms.items():
            note += f"  {name} {loss:.3f}"
        total = round(info.step / info.progress) if info.progress else None
        self._bar.update(self._task, completed=info.step, total=total, note=note)
        if self._plain and time.monotonic() - self._last_line > PLAIN_INTERVAL:
            self.message(f"step {info.step}, {100 * info.progress:.1f} %, {note}")

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print the result of an early validation."""
        self.message(f"step {step}: {psnr:.2f} dB on the validation photos, see {preview}")


class EditProgress(ConsoleProgress):
    """Show the progress of a batch: one bar over all photos and videos.

    Parameters
    ----------
    count : number of files
    device : shown beside the bar
    """

    def __init__(
        self, count: int, device: str, interrupt: "GracefulInterrupt", *, hidden: bool = False
    ) -> None:
        super().__init__(plain=False, hidden=hidden)
        self._interrupt = interrupt
        self._started = -1
        self._name = ""
        self._megapixels = 0.0
        self._start_time = time.perf_counter()
        self._device = device
        self.start(f"on {device}", count)

    @property
    def megapixels_per_second(self) -> float:
        """Speed since the start, over the files that are finished."""
        return self._megapixels / (time.perf_counter() - self._start_time)

    def on_file(self, file: "PlannedFile") -> None:
        """Show the name of the file that is edited now."""
        self._started += 1
        self._name = file.source.name
        self._show(self._name, 0.0)

    def on_progress(self, fraction: float) -> None:
        """Show the fraction of the current file that is edited, from 0 to 1."""
        self._show(self._name, fraction)

    def on_frame(self, done: int, total: int) -> None:
        """Show the frame of the current video; a total of 0 means unknown."""
        of_total = f" of {total}" if total else ""
        self._show(f"{self._name} (frame {done}{of_total})", done / total if total else 0.0)

    def finish_file(self, megapixels: float) -> None:
        """Count a file that is written or has failed."""
        self._megapixels += megapixels
        self._bar.update(self._task, note=f"{self.megapixels_per_second:.2f} Mpx/s")

    def should_stop(self) -> bool:
        """Return whether Ctrl-C was pressed."""
        return self._interrupt.interrupted

    def _show(self, name: str, fraction: float) -> None:
        description = f"{name} on {self._device}"
        self._bar.update(self._task, description=description, completed=self._started + fraction)


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
