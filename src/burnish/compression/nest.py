"""Nesting: networks of other qualities are grown inside and around a trained one, and share kernels.

The channels are first sorted by importance, so that the smaller network begins with the most
important ones. Then all networks are trained together.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from burnish.compression.importance import channel_importance
from burnish.compression.quantise import complete_crops
from burnish.compression.request import CompressionRequest
from burnish.compression.structure import channel_groups, keep_channels
from burnish.errors import UsageError
from burnish.export.onnx_export import check_outputs
from burnish.export.weights import round_weights_to_fp16
from burnish.files import make_folder
from burnish.modelfile.card import STANDARD, Quality
from burnish.modelfile.reader import ModelFile
from burnish.networks.nested import NestedNetwork
from burnish.networks.registry import NESTED, build
from burnish.networks.unet import UNet
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData
from burnish.training.log import TrainingLog
from burnish.training.nested_trainer import NestedTrainer
from burnish.training.pipeline import make_sampler
from burnish.training.sampler import Batch
from burnish.training.start_network import load_network
from burnish.training.validation import Preview

# Batches that the importance of channels is computed on.
BATCHES = 6
# The learning rate of the training, as a fraction of that from random weights.
NEST_LR_FACTOR = 0.25
# The share of the training that trains the start networks, at its beginning.
START_SHARE = 0.3


@torch.no_grad()
def sort_by_importance(network: UNet, batches: Sequence[Batch]) -> None:
    """Sort the channels of a network, the most important ones first, in place."""
    groups = channel_groups(network)
    with torch.enable_grad():
        importances = channel_importance(network, groups, batches)
    for group, importance in zip(groups, importances, strict=True):
        keep_channels(network, group, importance.argsort(descending=True).tolist())


@dataclass(frozen=True)
class _Nest:
    """What the trainings of the networks and of the start networks share."""

    request: CompressionRequest
    qualities: Sequence[Quality]
    callbacks: TrainCallbacks

    def train(
        self,
        config: TrainConfig,
        file: ModelFile,
        run_dir: Path,
        data: TrainingData,
        start_outputs: Path | None = None,
    ) -> NestedNetwork:
        """Return the networks of all qualities, trained, with weights of 16 bits."""
        base = load_network(file, grey=config.grey, option=str(self.request.model))
        if not isinstance(base, UNet):
            problem = f"its network {file.card.network} cannot be nested"
            raise UsageError(str(self.request.model), problem, "give a model of a U-Net")
        check_outputs(base, file)
        sampler = make_sampler(config, data, base, start_outputs)
        sort_by_importance(base, complete_crops(map(sampler.batch_at, range(BATCHES))))
        network = self._grown(config, base)
        make_folder(run_dir)
        trainer = NestedTrainer(config, network, sampler, run_dir, data.fingerprint)
        log = TrainingLog(run_dir, trainer.step)
        trainer.run(Preview(trainer, data.validation, log, self.callbacks))
        log.close()
        return round_weights_to_fp16(trainer.ema_network())

    def _grown(self, config: TrainConfig, base: UNet) -> NestedNetwork:
        """Return networks of all qualities that begin with the weights of one."""
        torch.manual_seed(config.seed)
        networks = {
            quality: build(
                NESTED[quality],
                config.slider_params,
                bool(base.thumbnail_size),
                config.grey,
                base.guided,
                base.guide_gain,
            )
            for quality in self.qualities
        }
        nested = NestedNetwork({**networks, STANDARD: copy.deepcopy(base)})  # type: ignore[dict-item]
        nested.grow_from(base)
        return nested.requires_grad_(True)
