"""Settings: all that a detector's training follows from, but for the photos."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How a detector is trained.

    Parameters
    ----------
    classes : what it tells apart
    rest : the one among them that stands for all categories that have no class of their own; None
        leaves those unlearnt
    steps : how many; None for as many as `budget` allows
    budget : s
    canvas : side of the square pictures that are learnt from, px
    batch : pictures a step
    peak_rate : the highest learning rate, of heads; that of the backbone is a quarter
    edges : weight of the edge agreement loss, 0 for none
    mask_score : whether a head learns how well each mask fits
    paste : how often cut-outs are pasted into a picture, 0 to 1, where there are any
    most_pasted : how many at most
    frozen : how many of the backbone's first blocks stay as they were, where it is pretrained
    """

    classes: tuple[str, ...]
    rest: str | None = None
    steps: int | None = None
    budget: float | None = 1800.0
    canvas: int = 320
    batch: int = 2
    peak_rate: float = 6e-4
    weight_decay: float = 0.02
    warm_up: float = 0.05
    averaging: float = 0.997
    clip_norm: float = 5.0
    edges: float = 0.0
    mask_score: bool = False
    paste: float = 0.8
    most_pasted: int = 5
    frozen: int = 3
    augment: bool = True
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return asdict(self) | {"classes": list(self.classes)}
