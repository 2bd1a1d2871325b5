"""Checkpoint: everything that a training needs to continue after an interruption."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from burnish.errors import ModelError
from burnish.files import atomic_write


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two steps.

    Batches are not part of it, because they follow from the number of the step.

    Attributes
    ----------
    phase : see `Trainer.phase`
    network, ema : state dicts of the network and of its moving average
    ema_updates : see `EMA.updates`
    optimisers : one state dict each
    loss_terms : running means
    config : as JSON
    data : identifies the training data, since a config only names folders whose files may change
    """

    step: int
    phase: int
    seconds: float
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    ema_updates: int
    optimisers: list[dict[str, Any]]
    loss_terms: dict[str, float]
    config: dict[str, Any]
    data: str

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically: a killed process leaves the old or the new file."""
        # torch.save reports a full disk without naming the cause, hence the buffer.
        buffer = BytesIO()
        torch.save(vars(self), buffer)
        with atomic_write(path, overwrite=True) as file:
            file.write(buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a checkpoint. Only tensors and plain values are read; code is never run.

        Raises
        ------
        ModelError : the file is not a checkpoint
        """
        try:
            return cls(**torch.load(path, weights_only=True))
        except Exception as error:  # torch raises a dozen kinds of errors for other files
            raise ModelError(
                str(path),
                f"not a checkpoint of a training ({type(error).__name__}: {str(error)[:200]})",
                "remove it to start over",
            ) from error
