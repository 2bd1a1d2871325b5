"""The configuration of a detector's training."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class DetectorTrainConfig:
    """The parameters of a training.

    Parameters
    ----------
    classes : names of the classes [default: all categories that have objects]
    other_class : one more class, for the objects of all other categories; None ignores them
    steps : number of steps [default: as many as `budget` allows]
    budget : training time, s; None if `steps` is given
    image_size : side of the square training images, px
    batch_size : images per step
    max_lr : maximum learning rate; a pretrained backbone has a quarter of it
    warmup_fraction : fraction of the training in which the learning rate rises
    ema_decay : decay of the moving average of the weights, which is exported
    clip_norm : maximum norm of the gradients
    edge_loss_weight : weight of the edge agreement loss; 0 disables it
    mask_iou_head : train a head that predicts the IoU of each mask
    copy_paste_prob : probability that cut-outs are pasted into an image, if there are any
    augment : crop, mirror and colour jitter
    seed : determines all random choices
    """

    classes: tuple[str, ...] = ()
    other_class: str | None = None
    steps: int | None = None
    budget: float | None = None
    image_size: int = 320
    batch_size: int = 2
    max_lr: float = 6e-4
    warmup_fraction: float = 0.05
    ema_decay: float = 0.997
    clip_norm: float = 5.0
    edge_loss_weight: float = 0.0
    mask_iou_head: bool = False
    copy_paste_prob: float = 0.8
    augment: bool = True
    seed: int = 0

    @property
    def max_size(self) -> int:
        """Maximum of the longer side of a photo, px, whose shorter side is `image_size`."""
        return self.image_size * 3 // 2

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self) | {"classes": list(self.classes)}
