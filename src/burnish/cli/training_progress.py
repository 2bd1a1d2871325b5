"""Progress of a training: a live line on a terminal, now and then a plain line elsewhere."""

import time
from pathlib import Path
from typing import TextIO

from burnish.cli.task_progress import TaskProgress
from burnish.training.train import TrainCallbacks
from burnish.training.trainer import StepInfo

# Where there is no terminal: seconds between two lines.
PLAIN_EVERY = 30.0


class TrainingProgress(TaskProgress, TrainCallbacks):
    """Shows a training to a person: pairs, loss and PSNR, early evaluations."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.said = 0.0

    def moment(self, moment: StepInfo) -> None:
        """Move the bar of the training, whose end is a share rather than a count."""
        if moment.progress > 0 and (self.task is None or not self._is_training()):
            self.start("training", 0)
        total = round(moment.step / moment.progress) if moment.progress else None
        note = f"loss {moment.loss:.6f}  {moment.psnr:.2f} dB"
        if self.task is not None:
            self.bar.update(self.task, completed=moment.step, total=total, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > PLAIN_EVERY:
            self.message(f"step {moment.step}, {100 * moment.progress:.1f} %, {note}")

    def on_validation(self, step: int, psnr: float, picture: Path) -> None:
        """Print an early evaluation above the bar."""
        self.message(f"step {step}: {psnr:.2f} dB on held-out photos, see {picture}")

    def _is_training(self) -> bool:
        return any(t.id == self.task and t.description == "training" for t in self.bar.tasks)

    def message(self, text: str) -> None:
        """Print a line, and note when."""
        self.said = time.monotonic()
        super().message(text)
