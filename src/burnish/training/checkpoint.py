"""A checkpoint: all that a training needs to go on as if it had never stopped."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from burnish.errors import ModelError
from burnish.files import atomic_write


@dataclass
class Checkpoint:
    """The state between two steps. Batches have none: they follow from the step's number.

    `data` stands for the photos, the operator and the number of processes: settings name a folder,
    and what lies in it may change. `slider_phase_start` is the step at which the sliders' turn came.
    """

    step: int
    seconds: float
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimiser: dict[str, Any]
    config: dict[str, Any]
    data: str
    slider_phase_start: int | None = None

    def save(self, path: Path) -> None:
        """Write the file, in place of an older one: a kill leaves the old or the new."""
        # In memory first: of a full disk torch makes an error that says nothing of it.
        content = BytesIO()
        torch.save(vars(self), content)
        with atomic_write(path, overwrite=True) as file:
            file.write(content.getbuffer())

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint; tensors and plain values only, never code.

        Raises
        ------
        ModelError : the file is none
        """
        try:
            return cls(**torch.load(path, weights_only=True))
        except Exception as error:  # torch raises a dozen kinds for a file that is not its own
            raise ModelError(
                str(path),
                expected="a checkpoint of `burnish train`",
                got=f"{type(error).__name__}: {error}",
                remedy="remove it to start over",
            ) from error
