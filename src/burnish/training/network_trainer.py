"""The trainer of image-to-image networks: squared error, then a phase for the sliders alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from burnish.networks.network import Network, NormMode
from burnish.training.config import TrainConfig
from burnish.training.optimiser import build_optimisers
from burnish.training.sampler import Batch, CropSampler
from burnish.training.trainer import Trainer


class NetworkTrainer(Trainer[Network, Batch]):
    """Trains a network that maps an image to an operator's output.

    A network with sliders is first trained without them, at their default values. In the last part
    of the training, `TrainConfig.slider_fraction`, all other weights stay as they are.

    Parameters
    ----------
    config, network, run_dir, data : see `Trainer`
    sampler : draws the batches
    """

    config: TrainConfig

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        sampler: CropSampler,
        run_dir: Path,
        data: str = "",
    ) -> None:
        optimisers = build_optimisers(config.optimiser, network, config.weight_decay)
        # The statistics of normalisers are averages already.
        super().__init__(config, network, optimisers, run_dir, data=data, copied=".norm.")
        self.sampler = sampler

    def batches(self, step: int, phase: int) -> Sequence[Batch]:
        """Return crops at the sliders' default values or, in the last phase, at other values."""
        return self.sampler.batch_at(step, off_default=phase > 0)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the mean squared error, weighted by the batch's fraction of the step."""
        before = batch.before.to(memory_format=torch.channels_last)
        output = self.network(before, *batch.context)
        return {"mse": batch.weight * F.mse_loss(output, batch.after)}

    def begin_step(self, progress: float) -> float:
        """Set the mode of the normalisers and the trainable weights; see `Trainer`."""
        self.network.train()
        mode: NormMode = "batch" if progress < self.config.freeze_norm_at else "frozen"
        self.network.set_norm_mode(mode)
        slider_start = 1 - (self.config.slider_fraction if self.network.num_sliders else 0)
        in_slider_phase = progress >= slider_start
        if in_slider_phase and self.phase == 0:
            # The averaged weights are loaded and kept here, so that quality at the default values
            # equals that of a network without sliders.
            self.network.load_state_dict(self.ema.state)
            self.ema.updates = 0
            self.phase = 1
        self.network.set_trainable(sliders=in_slider_phase)
        if in_slider_phase:
            return (progress - slider_start) / (1 - slider_start)
        return progress / slider_start

    def ema_network(self) -> Network:
        """Return a copy of the network with averaged weights, ready for export."""
        return super().ema_network().set_norm_mode("frozen")
