"""The progress of a training, as it is reported after every step."""

from dataclasses import dataclass
from pathlib import Path

from burnish.progress import Progress


@dataclass(frozen=True)
class StepInfo:
    """The state of a training after a step.

    Attributes
    ----------
    step : the number of finished steps
    progress : the finished fraction of the training, 0 to 1
    seconds : the time spent on training
    loss : running mean of the loss
    loss_terms : running means of the terms that add up to the loss
    """

    step: int
    progress: float
    seconds: float
    loss: float
    loss_terms: dict[str, float]


class TrainCallbacks(Progress):
    """Receives the progress of a training. This base class shows nothing."""

    def on_step(self, info: StepInfo) -> None:
        """Receive the state of the training after a step."""

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Receive an early validation of a network.

        Parameters
        ----------
        psnr : the mean over crops of some validation photos, in dB
        preview : an image file with one crop before, after the operator, and after the network
        """
