"""Progress of a training: a live line on a terminal, now and then a plain line elsewhere."""

import time
from pathlib import Path
from typing import TextIO

from burnish.cli.task_progress import TaskProgress
from burnish.training.train import Watch
from burnish.training.trainer import Moment

# Where there is no terminal: seconds between two lines.
PLAIN_EVERY = 30.0


class TrainingProgress(TaskProgress, Watch):
    """Shows a training to a person: pairs, loss and PSNR, early evaluations."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.said = 0.0

    def moment(self, moment: Moment) -> None:
        """Move the bar of the training, whose end is a share rather than a count."""
        if moment.done > 0 and (self.task is None or not self._is_training()):
            self.begin("training", 0)
        total = round(moment.step / moment.done) if moment.done else None
        note = f"loss {moment.loss:.6f}  {moment.psnr:.2f} dB"
        if self.task is not None:
            self.bar.update(self.task, completed=moment.step, total=total, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > PLAIN_EVERY:
            self.say(f"step {moment.step}, {100 * moment.done:.1f} %, {note}")

    def look(self, step: int, psnr: float, picture: Path) -> None:
        """Print an early evaluation above the bar."""
        self.say(f"step {step}: {psnr:.2f} dB on held-out photos, see {picture}")

    def _is_training(self) -> bool:
        return any(t.id == self.task and t.description == "training" for t in self.bar.tasks)

    def say(self, text: str) -> None:
        """Print a line, and note when."""
        self.said = time.monotonic()
        super().say(text)
