"""Distillation: a smaller network is trained on the operator's pairs and on the original network.

After Hinton et al. 2015 (https://doi.org/10.48550/arXiv.1503.02531). The original network is a
second teacher: its results are smoother than the operator's, so that a small network comes close to
them sooner. Its features and their affinities can be taught too.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from burnish.compression.features import (
    Counterpart,
    affinity_error,
    feature_error,
    recorded_inputs,
)
from burnish.compression.request import RESULT
from burnish.networks.network import Network
from burnish.training.config import TrainConfig
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.sampler import Batch, CropSampler

# Distillation begins near the original weights, and with this fraction of a training's rate.
LR_FACTOR = 0.05
# The share of the original network's results in the loss; the rest is the operator's.
TEACHER_SHARE = 0.5
# Errors of features are scaled to this share of the loss.
FEATURE_SHARE = 0.25
FEATURE_ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "features": feature_error,
    "affinities": affinity_error,
}


class DistillationTrainer(NetworkTrainer):
    """Trains a network on the operator's pairs and on the results of another network.

    Parameters
    ----------
    teacher : the original network. It gets the same inputs
    config, network, sampler, run_dir, data, device : see `NetworkTrainer`
    taught : what the network learns from the teacher, of `burnish.compression.request.TAUGHT`
    counterparts : the layers whose features are taught, if any are
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        teacher: Network,
        sampler: CropSampler,
        run_dir: Path,
        data: str = "",
        device: torch.device | None = None,
        taught: Sequence[str] = (RESULT,),
        counterparts: Sequence[Counterpart] = (),
    ) -> None:
        super().__init__(config, network, sampler, run_dir, data, device)
        self.teacher = teacher.to(self.device).to(memory_format=torch.channels_last).eval()
        self.taught = taught
        self.counterparts = counterparts if set(taught) & FEATURE_ERRORS.keys() else ()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared errors against operator and teacher, and those of features."""
        batch = self.completed(batch)
        layers = [counterpart.layer for counterpart in self.counterparts]
        originals = [counterpart.original for counterpart in self.counterparts]
        with recorded_inputs(self.network, layers) as features:
            result = self.network(batch.before, *batch.context)
        with torch.no_grad(), recorded_inputs(self.teacher, originals) as teacher_features:
            teacher_result = self.teacher(batch.before, *batch.context)
        share = TEACHER_SHARE if RESULT in self.taught else 0.0
        losses = {"mse": (1 - share) * F.mse_loss(result, batch.after)}
        if share:
            losses["teacher"] = share * F.mse_loss(result, teacher_result)
        size = torch.stack(list(losses.values())).sum().detach()
        for name, error in FEATURE_ERRORS.items():
            if name in self.taught and self.counterparts:
                errors = [
                    error(own, original[:, list(counterpart.kept)])
                    for own, original, counterpart in zip(
                        features, teacher_features, self.counterparts, strict=True
                    )
                ]
                mean = torch.stack(errors).mean()
                losses[name] = FEATURE_SHARE * size / mean.detach().clamp_min(1e-12) * mean
        return losses
