"""Distillation: a smaller network is trained on the operator's pairs and on the original network.

After Hinton et al. 2015 (https://doi.org/10.48550/arXiv.1503.02531). The original network is a
second teacher: its results are smoother than the operator's, so that a small network comes close to
them sooner.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from burnish.networks.network import Network
from burnish.training.config import TrainConfig
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.sampler import Batch, CropSampler

# The share of the original network's results in the loss; the rest is the operator's.
TEACHER_SHARE = 0.5


class DistillationTrainer(NetworkTrainer):
    """Trains a network on the operator's pairs and on the results of another network.

    Parameters
    ----------
    teacher : the original network. It gets the same inputs
    config, network, sampler, run_dir, data, device : see `NetworkTrainer`
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
    ) -> None:
        super().__init__(config, network, sampler, run_dir, data, device)
        self.teacher = teacher.to(self.device).to(memory_format=torch.channels_last).eval()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared errors against the operator and against the teacher."""
        batch = self.completed(batch)
        result = self.network(batch.before, *batch.context)
        with torch.no_grad():
            teacher_result = self.teacher(batch.before, *batch.context)
        return {
            "mse": (1 - TEACHER_SHARE) * F.mse_loss(result, batch.after),
            "teacher": TEACHER_SHARE * F.mse_loss(result, teacher_result),
        }
