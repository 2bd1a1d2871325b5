"""Progress of a detector's training: a live line on a terminal, now and then a line elsewhere."""

import time
from typing import TextIO

from burnish.cli.task_progress import TaskProgress
from burnish.cli.training_progress import PLAIN_EVERY
from burnish.detection.training.job import Watch
from burnish.detection.training.trainer import Moment


class DetectorProgress(TaskProgress, Watch):
    """Shows a training to a person: how far it is, and all parts of the loss."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.said = 0.0

    def moment(self, moment: Moment) -> None:
        """Move the bar, whose end is a share rather than a count."""
        total = round(moment.step / moment.done) if moment.done else None
        parts = "  ".join(f"{name} {loss:.3f}" for name, loss in moment.parts.items())
        note = f"loss {moment.loss:.3f} ({parts})"
        if self.task is not None:
            self.bar.update(self.task, completed=moment.step, total=total, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > PLAIN_EVERY:
            self.said = time.monotonic()
            self.say(f"step {moment.step}, {100 * moment.done:.1f} %, {note}")
