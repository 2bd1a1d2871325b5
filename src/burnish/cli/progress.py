"""Progress of an edit: a bar on a terminal, nothing elsewhere, where each photo has its line."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from burnish.cli.interruption import GracefulInterrupt
from burnish.editing.batch import ProgressListener

if TYPE_CHECKING:
    from burnish.editing.plan import PlannedFile


class EditingProgress(ProgressListener):
    """A bar over all photos and films, moved by shares of a photo and by frames.

    Parameters
    ----------
    steps : what there is to do
    device : what the photos are edited on, said beside the bar
    interruption : where Ctrl-C is noted
    hidden : show nothing
    """

    def __init__(
        self,
        steps: "Sequence[PlannedFile]",
        device: str,
        interruption: GracefulInterrupt,
        *,
        hidden: bool,
    ) -> None:
        console = Console(file=sys.stderr)
        self._interruption = interruption
        self._begun = 0
        self._name = ""
        self._megapixels = 0.0
        self._start = time.perf_counter()
        self._bar = Progress(
            TextColumn("{task.fields[name]} on {task.fields[device]}"),
            BarColumn(),
            TextColumn("{task.completed:.1f} of {task.total:.0f}, {task.fields[pace]:.2f} Mpx/s"),
            TimeRemainingColumn(),
            console=console,
            disable=hidden or not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=len(steps), name="", device=device, pace=0.0)

    def __enter__(self) -> "EditingProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    @property
    def pace(self) -> float:
        """Megapixels a second since the start, of photos that are written."""
        return self._megapixels / (time.perf_counter() - self._start)

    def begin(self, step: "PlannedFile") -> None:
        """Name the photo in hand."""
        self._begun += 1
        self._name = step.source.name
        self._bar.update(self._task, name=step.source.name, completed=self._begun - 1)

    def on_progress(self, share: float) -> None:
        """Say how much of the photo in hand is edited, from 0 to 1."""
        self._bar.update(self._task, completed=self._begun - 1 + share)

    def on_frame(self, done: int, of: int) -> None:
        """Say how many frames of the film in hand are done, of how many, about; 0 is not known."""
        known = f" of {of}" if of else ""
        self._bar.update(self._task, name=f"{self._name} (frame {done}{known})")
        if of:
            self.on_progress(done / of)

    def end(self, megapixels: float) -> None:
        """Say that a photo is written, or could not be."""
        self._megapixels += megapixels
        self._bar.update(self._task, pace=self.pace)

    def stopped(self) -> bool:
        """Tell whether Ctrl-C was pressed."""
        return self._interruption.interrupted
