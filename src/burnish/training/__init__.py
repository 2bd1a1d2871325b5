"""Train a network on an operator: pairs of photos, the training loop, validation, export."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.progress import Progress

if TYPE_CHECKING:
    from burnish.training.pipeline import TrainedModel


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


def train(
    operator: str, *, callbacks: TrainCallbacks | None = None, **options: Any
) -> "TrainedModel | None":
    """Train a network on an operator and write it as a model file.

    A script that calls it needs ``if __name__ == "__main__":``, because pairs are computed in
    other processes.

    Parameters
    ----------
    operator : name of an operator, or ``python:…``, ``command:…``, ``pairs:…``
    callbacks : receives the progress
    options : see `burnish.training.request.validate_request`. `photos` is a folder of photos,
        `output` the model file

    Returns
    -------
    The model; None in all processes of torchrun but the first

    Raises
    ------
    BurnishError : see `validate_request`, `train_network` and `export`
    """
    # PyTorch takes seconds to import.
    from burnish.training.pipeline import train_and_export
    from burnish.training.request import validate_request

    return train_and_export(validate_request(operator, **options), callbacks)
