"""Train a network on an operator: pairs of photos, the training loop, validation, export."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burnish.training.callbacks import TrainCallbacks as TrainCallbacks
    from burnish.training.pipeline import train as train

# Imported on first use, because PyTorch takes seconds to import.
_PUBLIC = {
    "TrainCallbacks": "burnish.training.callbacks",
    "train": "burnish.training.pipeline",
}

__all__ = ["TrainCallbacks", "train"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'burnish.training' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
