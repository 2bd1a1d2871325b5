"""Settings: all that a detector's training follows from, but for the photos."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DetectorTrainConfig:
    """How a detector is trained.

    Parameters
    ----------
    classes : what it tells apart
    other_class : the one among them that stands for all categories that have no class of their own; None
        leaves those unlearnt
    steps : how many; None for as many as `budget` allows
    budget : s
    image_size : side of the square pictures that are learnt from, px
    batch_size : pictures a step
    max_lr : the highest learning rate, of heads; that of the backbone is a quarter
    edge_loss_weight : weight of the edge agreement loss, 0 for none
    mask_iou_head : whether a head learns how well each mask fits
    copy_paste_prob : how often cut-outs are pasted into a picture, 0 to 1, where there are any
    max_pasted : how many at most
    frozen_blocks : how many of the backbone's first blocks stay as they were, where it is pretrained
    """

    classes: tuple[str, ...]
    other_class: str | None = None
    steps: int | None = None
    budget: float | None = 1800.0
    image_size: int = 320
    batch_size: int = 2
    max_lr: float = 6e-4
    weight_decay: float = 0.02
    warmup_fraction: float = 0.05
    ema_decay: float = 0.997
    clip_norm: float = 5.0
    edge_loss_weight: float = 0.0
    mask_iou_head: bool = False
    copy_paste_prob: float = 0.8
    max_pasted: int = 5
    frozen_blocks: int = 3
    augment: bool = True
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return asdict(self) | {"classes": list(self.classes)}
