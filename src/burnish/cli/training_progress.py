"""Progress of a training: a bar on a terminal, a line every half minute elsewhere."""

import time
from pathlib import Path

from burnish.cli.progress import ConsoleProgress
from burnish.metrics import psnr
from burnish.training.callbacks import StepInfo, TrainCallbacks

# Seconds between two lines, if there is no terminal.
LINE_INTERVAL = 30.0


class TrainingProgress(ConsoleProgress, TrainCallbacks):
    """Show the steps and the early validations of a training."""

    def __init__(self) -> None:
        super().__init__()
        self._is_training = False
        self._last_line = 0.0

    def on_step(self, info: StepInfo) -> None:
        """Show a step. The total number of steps is an estimate."""
        if not self._is_training:
            self._is_training = True
            self.start("training")
        if "mse" in info.loss_terms:
            terms = [f"{psnr(info.loss):.2f} dB"]
        else:
            terms = [f"{name} {loss:.3f}" for name, loss in info.loss_terms.items()]
        note = "  ".join([f"loss {info.loss:.6f}", *terms])
        self.update(info.step, round(info.step / info.progress) if info.progress else None, note)
        if self.plain and time.monotonic() - self._last_line > LINE_INTERVAL:
            self._last_line = time.monotonic()
            self.message(f"step {info.step}, {100 * info.progress:.1f} %, {note}")

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Print the result of an early validation."""
        self.message(f"step {step}: {psnr:.2f} dB on the validation photos, see {preview}")
