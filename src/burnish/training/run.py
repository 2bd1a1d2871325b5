"""Train a network on photos and an operator, with a log and previews in the run's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.files import make_folder
from burnish.metrics import psnr, score
from burnish.networks.network import Network
from burnish.networks.registry import build
from burnish.photo import Photo
from burnish.training import distributed
from burnish.training.callbacks import StepInfo, TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import prepare_data
from burnish.training.init_weights import init_from
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pairs import Pair
from burnish.training.sampler import CropSampler
from burnish.training.validation import TileContext, as_callable, describe_photos, split_by_size
from burnish.types import Rectangle

# The number of photos of a preview, and the side of their crops in pixels.
PREVIEW_PHOTOS = 8
PREVIEW_SIDE = 384


@dataclass(frozen=True)
class TrainResult:
    """A trained network.

    Attributes
    ----------
    network : with averaged weights and frozen normalisation
    validation : the pairs that it was not trained on
    validation_source : their folder
    trained_on : a description of the training photos
    steps, seconds : the length of the training
    """

    config: TrainConfig
    network: Network
    validation: Sequence[Pair]
    validation_source: str | Path
    trained_on: str
    steps: int
    seconds: float


def train_network(
    config: TrainConfig,
    photos: str | Path | None,
    validation: str | Path | None,
    run_dir: Path,
    callbacks: TrainCallbacks | None = None,
    *,
    initial_weights: Mapping[str, NDArray[np.float32]] | None = None,
    save_every: float = 60.0,
) -> TrainResult | None:
    """Train a network. An unfinished training with an equal config in `run_dir` is resumed.

    Parameters
    ----------
    photos : folder of training photos; None for an operator that is a folder of pairs
    validation : folder of validation photos, which are not trained on even if `photos` contains
        them [default: every tenth photo of `photos`]
    run_dir : folder of the checkpoint, the log, the config and the previews
    initial_weights : see `burnish.training.init_weights` [default: random weights]
    save_every : seconds between two checkpoints

    Returns
    -------
    The result; None in all processes of torchrun but the first

    Raises
    ------
    UsageError : there are too few photos, or the folder holds another training
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    rank, world_size = distributed.init()
    is_main = rank == 0
    callbacks = callbacks if callbacks and is_main else TrainCallbacks()
    data = prepare_data(config, photos, validation, callbacks)

    torch.manual_seed(config.seed)
    network = build(config.network, config.slider_params, config.global_context, config.grey)
    if initial_weights:
        init_from(network, initial_weights, config.init_from)
    sampler = CropSampler(
        data.train,
        extra=data.synthetic,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        rank=rank,
        sliders=config.slider_params,
        coords_block=network.coords_block,
    )
    make_folder(run_dir)
    trainer = NetworkTrainer(
        config, network, sampler, run_dir, data=f"{data.fingerprint} {world_size}"
    )
    if is_main:
        (run_dir / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
        trainer.run(Preview(trainer, data.validation, run_dir, callbacks), save_every=save_every)
    else:
        trainer.run()
        return None

    source = photos or config.operator
    used = [pair for pair in data.train if min(pair.size) >= config.crop]
    return TrainResult(
        config=config,
        network=trainer.ema_network(),
        validation=data.validation,
        validation_source=validation or source,
        trained_on=describe_photos(used, source),
        steps=trainer.step,
        seconds=trainer.seconds,
    )


class Preview:
    """Validates a few crops at each doubling of the steps and each tenth of the training.

    Parameters
    ----------
    validation : pairs that are not trained on
    run_dir : the folder of ``log.jsonl`` and ``pictures/``
    """

    def __init__(
        self,
        trainer: NetworkTrainer,
        validation: Sequence[Pair],
        run_dir: Path,
        callbacks: TrainCallbacks,
    ) -> None:
        self.trainer = trainer
        self.pairs = split_by_size(validation)[0][1][:PREVIEW_PHOTOS]
        self.sliders = [param.name for param in trainer.config.slider_params]
        self.folder = run_dir / "pictures"
        self.log = run_dir / "log.jsonl"
        self.callbacks = callbacks
        self.next_step = 100
        self.next_progress = 0.1
        self.folder.mkdir(exist_ok=True)
        while self.next_step <= trainer.step:
            self.next_step *= 2
        while self.next_progress <= trainer.progress:
            self.next_progress += 0.1

    def __call__(self, info: StepInfo) -> None:
        """Pass a step on to the callbacks, and validate if it is time."""
        self.callbacks.on_step(info)
        if info.step >= self.next_step or info.progress >= self.next_progress:
            self._validate(info)
            self.next_step *= 2 if info.step >= self.next_step else 1
            self.next_progress += 0.1 if info.progress >= self.next_progress else 0

    def _validate(self, info: StepInfo) -> None:
        apply = as_callable(self.trainer.ema_network(), self.sliders)
        psnrs = []
        for index, pair in enumerate(self.pairs):
            region = _centre(pair.size)
            context = TileContext(region, pair.size, pair.thumbnail)
            before, after = pair.read(*region.slices)
            output = np.clip(apply(before, pair.values, context), 0, 1)
            psnrs.append(score(output, after).psnr)
            if index == 0:
                path = self.folder / f"{info.step:06d}.png"
                side_by_side = np.concatenate([before, after, output], axis=1)
                Photo(pixels=side_by_side).save(path, overwrite=True)
        validation_psnr = float(np.mean(psnrs))
        record = vars(info) | {"psnr": psnr(info.loss), "validation_psnr": validation_psnr}
        with self.log.open("a") as log:
            log.write(json.dumps(record) + "\n")
        self.callbacks.on_validation(info.step, validation_psnr, path)


def _centre(size: tuple[int, int]) -> Rectangle:
    """Return the central crop of an image of this height and width."""
    (top, bottom), (left, right) = (
        (max(0, (side - PREVIEW_SIDE) // 2), min(side, (side + PREVIEW_SIDE) // 2)) for side in size
    )
    return Rectangle(top, bottom, left, right)
