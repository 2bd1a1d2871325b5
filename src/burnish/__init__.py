"""burnish: slow photo operators, learned by small networks that run fast on an ordinary CPU."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from burnish.editing.photo import apply as apply
    from burnish.errors import BurnishError as BurnishError
    from burnish.photo import Photo as Photo
    from burnish.runtime.model import Model as Model
    from burnish.runtime.model_registry import models as models

__version__ = "0.1.0"

# Public name -> its module, imported on first use so that `import burnish` is fast. No submodule
# may have one of these names, because importing it would bind the name here.
_PUBLIC = {
    "BurnishError": "burnish.errors",
    "Model": "burnish.runtime.model",
    "Photo": "burnish.photo",
    "apply": "burnish.editing.photo",
    "models": "burnish.runtime.model_registry",
}

__all__ = ["BurnishError", "Model", "Photo", "__version__", "apply", "models"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'burnish' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
