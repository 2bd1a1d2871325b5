"""Progress of a detector's training: a live line on a terminal, now and then a line elsewhere."""

import time
from typing import TextIO

from burnish.cli.task_progress import TaskProgress
from burnish.cli.training_progress import PLAIN_EVERY
from burnish.detection.training.job import DetectorTrainCallbacks
from burnish.detection.training.trainer import StepInfo


class DetectorProgress(TaskProgress, DetectorTrainCallbacks):
    """Shows a training to a person: how far it is, and all parts of the loss."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.said = 0.0

    def on_step(self, step_info: StepInfo) -> None:
        """Move the bar, whose end is a share rather than a count."""
        total = round(step_info.step / step_info.progress) if step_info.progress else None
        parts = "  ".join(f"{name} {loss:.3f}" for name, loss in step_info.loss_terms.items())
        note = f"loss {step_info.loss:.3f} ({parts})"
        if self.task is not None:
            self.bar.update(self.task, completed=step_info.step, total=total, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > PLAIN_EVERY:
            self.said = time.monotonic()
            self.message(f"step {step_info.step}, {100 * step_info.progress:.1f} %, {note}")
