"""Train a detector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from burnish.detection.training.config import DetectorTrainConfig
from burnish.detection.training.dataset import DetectionDataset
from burnish.detection.training.heads import Target
from burnish.detection.training.network import MaskRCNNModule, fuse_batchnorm
from burnish.files import make_folder
from burnish.training.trainer import Trainer

# A pretrained backbone has this fraction of the learning rate.
_BACKBONE_LR_SCALE = 0.25

Batch = tuple[list[Tensor], list[Target]]


class DetectorTrainer(Trainer[MaskRCNNModule, Batch]):
    """Trains a detector, or resumes a training; see `Trainer`.

    Parameters
    ----------
    network : trained in place
    run_dir : folder of the checkpoint
    pretrained : whether the backbone has pretrained weights. Its first blocks are then frozen, and
        its batch normalisation is fused into the convolutions
    data : identifies the training data

    Raises
    ------
    UsageError : the folder holds a training with another config or other data
    ModelError : the checkpoint cannot be read
    """

    def __init__(
        self,
        config: DetectorTrainConfig,
        network: MaskRCNNModule,
        dataset: DetectionDataset,
        run_dir: Path,
        *,
        pretrained: bool,
        data: str = "",
    ) -> None:
        make_folder(run_dir)
        self.dataset, self.seed = dataset, config.seed
        if pretrained:
            body: Any = network.backbone.body
            fuse_batchnorm(body.eval())
            body.freeze(config.frozen_blocks)
        groups = _param_groups(network, config.weight_decay, pretrained)
        super().__init__(config, network, [torch.optim.AdamW(groups)], run_dir, data=data)

    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return the one batch of a step."""
        return [self.dataset.batch(step)]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Run the network; return the terms of the loss."""
        # torchvision samples anchors and proposals with torch's global generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + self.step)
            losses: dict[str, Tensor] = self.network(*batch)
        return losses


def _param_groups(
    network: MaskRCNNModule, weight_decay: float, pretrained: bool
) -> list[dict[str, Any]]:
    """Group the parameters by learning rate and weight decay; biases and scales do not decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_backbone = pretrained and name.startswith("backbone.body.")
            lr_scale = _BACKBONE_LR_SCALE if is_backbone else 1.0
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((lr_scale, decay), []).append(parameter)
    return [
        {"params": parameters, "lr_scale": lr_scale, "weight_decay": decay}
        for (lr_scale, decay), parameters in groups.items()
    ]
