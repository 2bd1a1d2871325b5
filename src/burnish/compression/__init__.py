"""Make a network faster at a stated loss: prune, distil, quantise, each step measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.training import TrainCallbacks

if TYPE_CHECKING:
    from burnish.compression.steps import CompressionResult


def compress(
    model: str | Path, *, callbacks: TrainCallbacks | None = None, **options: Any
) -> "CompressionResult":
    """Make a network faster, and write it as a model file with the record of what was done.

    A script that calls it needs ``if __name__ == "__main__":``, because pairs are computed in
    other processes.

    Parameters
    ----------
    model : name or file of a model
    callbacks : receives the progress
    options : see `burnish.compression.request.validate_request`. `photos` is a folder of photos,
        `output` the model file, `speed` and `loss` are the target

    Returns
    -------
    The steps with their measurements. Nothing is written if the target is out of reach, unless
    `nearest` is set

    Raises
    ------
    BurnishError : see `validate_request` and `run_compression`
    """
    # PyTorch takes seconds to import.
    from burnish.compression.pipeline import run_compression
    from burnish.compression.request import validate_request

    return run_compression(validate_request(model, **options), callbacks)
