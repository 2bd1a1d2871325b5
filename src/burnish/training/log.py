"""The log of a training: losses and scores as JSON lines, a picture of them, and TensorBoard."""

import json
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from burnish.errors import warn
from burnish.files import atomic_write
from burnish.metrics import psnr
from burnish.training import StepInfo

# Seconds between two drawings of the picture, which is also drawn at the end.
_DRAW_INTERVAL = 60.0
# A validation PSNR that ends so far below its highest value, in dB, has fallen.
_FALL = 0.5


class TrainingLog:
    """Writes the files ``log.jsonl`` and ``curve.png``, and events for TensorBoard if wanted.

    Parameters
    ----------
    run_dir : the folder of the training
    step : the finished steps of a training that is resumed. Later lines, which a killed run left,
        are removed
    tensorboard : also write events into the folder ``tensorboard``
    """

    def __init__(self, run_dir: Path, step: int = 0, *, tensorboard: bool = False) -> None:
        self.run_dir = run_dir
        self._file = run_dir / "log.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._records = [record for line in lines if (record := _parse(line, step))]
        with atomic_write(self._file, overwrite=True) as file:
            file.write("".join(map(_line, self._records)).encode())
        self._drawn = time.monotonic()
        self._writer: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            folder = run_dir / "tensorboard"
            self._writer = SummaryWriter(folder, purge_step=step + 1 if step else None)

    def add(self, info: StepInfo, validation_psnr: float | None = None) -> None:
        """Write a line about a step.

        Parameters
        ----------
        validation_psnr : the mean over the validation photos, in dB, if they were validated
        """
        scores = {"psnr": psnr(info.loss), "validation_psnr": validation_psnr}
        record = vars(info) | scores
        self._records.append(record)
        with self._file.open("a") as file:
            file.write(_line(record))
        if self._writer is not None:
            values = {"loss": info.loss} | {f"loss/{k}": v for k, v in info.loss_terms.items()}
            for name, value in (values | scores).items():
                if value is not None:
                    self._writer.add_scalar(name, value, info.step)
        if time.monotonic() - self._drawn > _DRAW_INTERVAL:
            self._draw()

    def close(self) -> None:
        """Draw the picture, and check the scores of the validation.

        Warns
        -----
        UserWarning : the validation PSNR fell during the training
        """
        self._draw()
        if self._writer is not None:
            self._writer.close()
        scores = [(r["validation_psnr"], r["step"]) for r in self._records if _is_validated(r)]
        if scores and scores[-1][0] < max(scores)[0] - _FALL:
            (best, step), (last, _) = max(scores), scores[-1]
            warn(
                f"{self.run_dir}: the PSNR on the validation photos fell from {best:.2f} dB at "
                f"step {step} to {last:.2f} dB at the end; train on more photos, which are like "
                "those of the validation, or with a lower --max-lr"
            )

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._records:
            with atomic_write(self.run_dir / "curve.png", overwrite=True) as file:
                file.write(draw_curve(self._records))


def draw_curve(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a picture of the losses and the PSNRs over the steps, as a PNG file."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    loss_axes, psnr_axes = figure.subplots(2, sharex=True)
    steps = [record["step"] for record in records]
    for name in records[-1]["loss_terms"]:
        loss_axes.plot(steps, [r["loss_terms"].get(name) for r in records], label=name)
    is_positive = all(loss > 0 for r in records for loss in r["loss_terms"].values())
    loss_axes.set(yscale="log" if is_positive else "linear", ylabel="loss")
    psnr_axes.plot(steps, [record["psnr"] for record in records], label="training")
    validated = [record for record in records if _is_validated(record)]
    psnr_axes.plot(
        [record["step"] for record in validated],
        [record["validation_psnr"] for record in validated],
        marker="o",
        label="validation",
    )
    psnr_axes.set(xlabel="step", ylabel="PSNR in dB")
    for axes in (loss_axes, psnr_axes):
        axes.grid(alpha=0.3)
        axes.legend()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _parse(line: str, last_step: int) -> dict[str, Any] | None:
    """Return a record of a step up to the last one; None for others and for half a line."""
    try:
        record: dict[str, Any] = json.loads(line)
        return record if record["step"] <= last_step else None
    except (ValueError, KeyError, TypeError):
        return None


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"


def _is_validated(record: Mapping[str, Any]) -> bool:
    return record.get("validation_psnr") is not None
