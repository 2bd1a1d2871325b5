"""The steps of a compression: what each did, what it measured, and why it was kept or undone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.compression.measure import Figures
from burnish.modelfile.card import Precision

# A step that makes a network less than this many times as fast is undone: times vary that much.
MIN_GAIN = 1.03
# A result that is slower than the target by less than this fraction reaches it.
SPEED_TOLERANCE = 0.02
# Why a network is measured that is no step towards the result.
COMPARISON = "only for comparison"


@dataclass(frozen=True)
class Step:
    """A step with its measurements.

    Attributes
    ----------
    description : what was done, in a few words
    kept : whether the result contains the step
    reason : why it was undone, or a remark; may be empty
    """

    name: str
    description: str
    figures: Figures
    kept: bool = True
    reason: str = ""

    @property
    def remark(self) -> str:
        """The description, and whether and why the step was undone."""
        is_undone = not self.kept and self.reason != COMPARISON
        notes = [self.description, f"undone: {self.reason}" if is_undone else self.reason]
        return "; ".join(note for note in notes if note)

    def record(self) -> dict[str, Any]:
        """Return the step for JSON and for a card, with rounded measurements."""
        figures = {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in asdict(self.figures).items()
        }
        fields = {"name": self.name, "description": self.description, "kept": self.kept}
        return fields | {"reason": self.reason} | figures


@dataclass(frozen=True)
class CompressionResult:
    """The steps, and the model file that was written; None if the target was out of reach.

    Attributes
    ----------
    problem : why the target was not reached; empty if it was
    precision : in which the result was measured
    """

    path: Path | None
    steps: Sequence[Step]
    problem: str = ""
    precision: Precision = "fp32"


def slower(before: Figures, after: Figures) -> str:
    """Return why a step that should make a network faster is undone; empty if it did.

    Examples
    --------
    >>> figures = dict(total_milliseconds=None, megabytes=1.0, macs_per_pixel=1, parameter_count=1)
    >>> figures |= {"milliseconds": 9.0, "psnr": 30.0, "original_psnr": None}
    >>> slower(Figures(speed=1.0, **figures), Figures(speed=0.8, **figures))
    'not faster: 0.80 times the speed before'
    >>> slower(Figures(speed=1.0, **figures), Figures(speed=1.5, **figures))
    ''
    """
    gain = after.speed / before.speed
    return "" if gain >= MIN_GAIN else f"not faster: {gain:.2f} times the speed before"


def too_costly(original: Figures, after: Figures, loss: float | None) -> str:
    """Return why a step is undone for its loss of fidelity; empty if the loss is allowed."""
    lost = original.psnr - after.psnr
    if loss is None or lost <= loss:
        return ""
    return f"costs {lost:.2f} dB, more than {loss:g}"


def unreached(original: Figures, result: Figures, speed: float | None, loss: float | None) -> str:
    """Return how a result falls short of the target; empty if it reaches it."""
    problems = []
    if speed is not None and result.speed < speed * (1 - SPEED_TOLERANCE):
        problems.append(f"{result.speed:.2f} times as fast, not {speed:g} times")
    if speed is None and slower(original, result):
        problems.append("no step made it faster")
    if cost := too_costly(original, result, loss):
        problems.append(cost)
    return " and ".join(problems)
