"""Progress: a live line on a terminal, now and then a plain line elsewhere."""

import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from burnish.training.loop import Moment
from burnish.training.train import Watch

# Where there is no terminal: seconds between two lines.
PLAIN_EVERY = 30.0


class TrainingProgress(Watch):
    """Shows a training to a person: pairs, loss and PSNR, early evaluations."""

    def __init__(self, stream: TextIO) -> None:
        self.console = Console(file=stream)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task: TaskID | None = None
        self.said = 0.0

    def __enter__(self) -> "TrainingProgress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def begin(self, task: str, total: int) -> None:
        """Start a bar."""
        if self.task is not None:
            self.bar.stop_task(self.task)
        self.task = self.bar.add_task(task, total=total, note="")
        if not self.console.is_terminal and total:
            self._say(f"{task}: {total}")

    def tick(self) -> None:
        """Move the bar by one."""
        if self.task is not None:
            self.bar.advance(self.task)

    def moment(self, moment: Moment) -> None:
        """Move the bar of the training, whose end is a share rather than a count."""
        if moment.done > 0 and (self.task is None or not self._is_training()):
            self.begin("training", 0)
        total = round(moment.step / moment.done) if moment.done else None
        note = f"loss {moment.loss:.6f}  {moment.psnr:.2f} dB"
        if self.task is not None:
            self.bar.update(self.task, completed=moment.step, total=total, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > PLAIN_EVERY:
            self._say(f"step {moment.step}, {100 * moment.done:.1f} %, {note}")

    def look(self, step: int, psnr: float, picture: Path) -> None:
        """Print an early evaluation above the bar."""
        self._say(f"step {step}: {psnr:.2f} dB on held-out photos, see {picture}")

    def _is_training(self) -> bool:
        return any(t.id == self.task and t.description == "training" for t in self.bar.tasks)

    def _say(self, text: str) -> None:
        self.said = time.monotonic()
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
