"""Train: photos and an operator in, a network and what it is worth out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.files import make_folder
from burnish.networks.network import Network
from burnish.networks.registry import build
from burnish.operators.user_defined import Pairs, find_operator
from burnish.photo import Photo
from burnish.photo.rectangle import Rectangle
from burnish.training import distributed as processes
from burnish.training import pairs
from burnish.training.config import TrainConfig
from burnish.training.evaluation import MIN_SIDE, score
from burnish.training.init_weights import init_from
from burnish.training.pairs import Pair, PairSpec
from burnish.training.sampler import CropSampler
from burnish.training.synthetic import write_synthetic
from burnish.training.trainer import StepInfo, Trainer
from burnish.training.validation import TileContext, as_callable, describe_photos, split_by_size

# Where no photos are held out by name, one in so many is.
VALIDATION_INTERVAL = 10
# An early look costs no more than this: a few photos, cut to this side.
PREVIEW_PHOTOS = 8
PREVIEW_SIDE = 384


class TrainCallbacks:
    """What a training tells whoever runs it; a face overrides what it wants to show."""

    def start(self, task: str, total: int) -> None:
        """Say that a task of `total` parts begins."""

    def advance(self) -> None:
        """Say that a part of the task is done."""

    def on_step(self, info: StepInfo) -> None:
        """Say how the training stands; called after every step."""

    def on_validation(self, step: int, psnr: float, preview: Path) -> None:
        """Say that an early evaluation found `psnr` dB on held-out photos."""


@dataclass(frozen=True)
class TrainResult:
    """A trained network, frozen, and the photos held out to judge it on."""

    config: TrainConfig
    network: Network
    validation: Sequence[Pair]
    validation_source: str | Path
    trained_on: str
    steps: int
    seconds: float


def train(
    config: TrainConfig,
    photos: str | Path | None,
    validation: str | Path | None,
    run_dir: Path,
    callbacks: TrainCallbacks | None = None,
    *,
    initial_weights: Mapping[str, NDArray[np.float32]] | None = None,
    save_every: float = 60.0,
) -> TrainResult | None:
    """Learn a network; an unfinished training of equal settings in `run_dir` is taken up.

    Parameters
    ----------
    config : what and how
    photos : folder of photos to learn from; None for an operator that is a folder of pairs
    validation : folder of photos to judge on, which are not trained on where `photos` has them too;
        None holds out one photo in ten
    run_dir : where checkpoint, log, settings and early pictures go
    initial_weights : weights to begin with, by name; see `burnish.training.init_weights`
    save_every : seconds between two checkpoints

    Returns
    -------
    The result; None in all processes of torchrun but the first

    Raises
    ------
    UsageError : no photos, too few, or another training's folder
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    rank, world_size = processes.init()
    callbacks = callbacks if callbacks and rank == 0 else TrainCallbacks()
    photo_specs = _plan(config, pairs.find_photos(photos) if photos else [])
    validation_specs = _plan(config, pairs.find_photos(validation)) if validation else None
    train_specs, _ = train_val_split(
        config, photo_specs, validation_specs, photos, validation
    )  # said before hours of work
    synthetic_specs = _plan_synthetic(config, len({job.digest for job in train_specs}))
    if rank == 0:
        make_folder(run_dir)
        _compute([*photo_specs, *synthetic_specs, *(validation_specs or [])], callbacks)
    processes.barrier()  # the first process makes the pairs, the others find them in the same cache
    photo_specs, validation_specs = (
        pairs.completed(photo_specs),
        None if validation_specs is None else pairs.completed(validation_specs),
    )
    train_specs, val_specs = train_val_split(
        config, photo_specs, validation_specs, photos, validation
    )
    train_pairs, val_pairs, synthetic_pairs = (
        pairs.load_pairs(train_specs),
        pairs.load_pairs(val_specs),
        pairs.load_pairs(synthetic_specs),
    )

    torch.manual_seed(config.seed)
    network = build(config.network, config.slider_params, config.global_context, config.grey)
    if initial_weights:
        init_from(network, initial_weights, config.init_from)
    sampler = CropSampler(
        train_pairs,
        extra=synthetic_pairs,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        rank=rank,
        sliders=config.slider_params,
        coords_block=network.coords_block,
    )
    data = _fingerprint([*train_pairs, *synthetic_pairs, *val_pairs])
    trainer = Trainer(config, network, sampler, run_dir, f"{data} {world_size}")
    preview = Preview(trainer, val_pairs, run_dir, callbacks) if rank == 0 else None
    if preview:
        (run_dir / "settings.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
    trainer.run(preview or (lambda moment: None), save_every=save_every, main=rank == 0)
    if rank != 0:
        return None

    return TrainResult(
        config=config,
        network=trainer.ema_network(),
        validation=val_pairs,
        validation_source=validation or photos or config.operator,
        trained_on=describe_photos(
            [pair for pair in train_pairs if min(pair.size) >= config.crop],
            photos or config.operator,
        ),
        steps=trainer.step,
        seconds=trainer.seconds,
    )


def _fingerprint(train_pairs: Sequence[Pair]) -> str:
    """Tell whether a training that is taken up has the pairs that it had."""
    return sha256(" ".join(pair.path.name for pair in train_pairs).encode()).hexdigest()


class Preview:
    """Early evaluations: at every doubling of the steps and every tenth of the way."""

    def __init__(
        self, trainer: Trainer, validation: Sequence[Pair], folder: Path, callbacks: TrainCallbacks
    ) -> None:
        self.trainer = trainer
        self.pairs = split_by_size(validation)[0][1][:PREVIEW_PHOTOS]
        self.sliders = [param.name for param in trainer.config.slider_params]
        self.folder = folder / "pictures"
        self.log = folder / "log.jsonl"
        self.callbacks = callbacks
        self.next_step = 100
        self.next_progress = 0.1
        self.folder.mkdir(exist_ok=True)
        while self.next_step <= trainer.step:
            self.next_step *= 2
        while self.next_progress <= trainer.progress:
            self.next_progress += 0.1

    def __call__(self, info: StepInfo) -> None:
        """Hear of a step, and look if it is time to."""
        self.callbacks.on_step(info)
        if info.step >= self.next_step or info.progress >= self.next_progress:
            self._validate(info)
            self.next_step *= 2 if info.step >= self.next_step else 1
            self.next_progress += 0.1 if info.progress >= self.next_progress else 0

    def _validate(self, info: StepInfo) -> None:
        apply = as_callable(self.trainer.ema_network(), self.sliders)
        psnrs = []
        for index, pair in enumerate(self.pairs):
            region = _centre(pair)
            before, after = pair.read(*region.slices)
            output = np.clip(apply(before, pair.values, self._context(pair, region)), 0, 1)
            psnrs.append(score(output, after).psnr)
            if index == 0:
                preview = self.folder / f"{info.step:06d}.png"
                side_by_side = np.concatenate([before, after, output], axis=1)
                Photo(pixels=side_by_side).save(preview, overwrite=True)
        psnr = float(np.mean(psnrs))
        with self.log.open("a") as log:
            record = vars(info) | {"psnr": info.psnr, "held_out_psnr": psnr}
            log.write(json.dumps(record) + "\n")
        self.callbacks.on_validation(info.step, psnr, preview)

    def _context(self, pair: Pair, region: Rectangle) -> TileContext | None:
        takes_thumbnail = self.trainer.network.thumbnail_size
        return TileContext(region, pair.size, pair.thumbnail) if takes_thumbnail else None


def _centre(pair: Pair) -> Rectangle:
    height, width = pair.size
    top, left = max(0, (height - PREVIEW_SIDE) // 2), max(0, (width - PREVIEW_SIDE) // 2)
    return Rectangle(top, min(top + PREVIEW_SIDE, height), left, min(left + PREVIEW_SIDE, width))


def train_val_split(
    config: TrainConfig,
    specs: list[PairSpec],
    validation_specs: list[PairSpec] | None,
    photos: str | Path | None,
    validation: str | Path | None,
) -> tuple[list[PairSpec], list[PairSpec]]:
    """Divide pairs into those to learn from and those to judge on; no photo is in both.

    Parameters
    ----------
    specs, validation_specs : of `photos` and of `validation`; None holds out some of `specs`
    """
    if validation_specs is not None:
        val_specs = [job for job in validation_specs if _large_enough(job)]
        val_digests = {job.digest for job in val_specs}
        train_specs = [job for job in specs if job.digest not in val_digests]
        if not val_specs or not train_specs:
            raise UsageError(
                str(validation),
                expected=f"photos of {MIN_SIDE} pixels or more, and others to train on",
                got="none" if not val_specs else "all of them",
                remedy="hold out others, or leave --held-out away",
            )
        return train_specs, val_specs
    # By content: a copy under another name is the same photo.
    digests = sorted({job.digest for job in specs if _large_enough(job)})
    if len(digests) < 2:
        raise UsageError(
            str(photos or config.operator),
            expected="at least 2 different photos, one of them to judge on, of "
            f"{MIN_SIDE} pixels or more",
            got=str(len(digests)),
            remedy="give more photos, or --held-out with others",
        )
    val_digests = set(digests[:: min(VALIDATION_INTERVAL, len(digests))])
    return (
        [job for job in specs if job.digest not in val_digests],
        [job for job in specs if job.digest in val_digests and _large_enough(job)],
    )


def _plan_synthetic(config: TrainConfig, photos: int) -> list[PairSpec]:
    """Plan the pictures that are learnt beside so many photos."""
    operator = find_operator(config.operator)
    if isinstance(operator, Pairs):
        return []
    folder = pairs.cache_folder()
    make_folder(folder)
    return _plan(
        config, write_synthetic(int(config.synthetic_fraction * photos), folder), short_sides=()
    )


def _large_enough(spec: PairSpec) -> bool:
    return min(spec.size) >= MIN_SIDE


def _plan(
    config: TrainConfig, photos: list[Path], short_sides: tuple[int, ...] | None = None
) -> list[PairSpec]:
    return pairs.plan_pairs(
        config.operator,
        config.params,
        photos,
        short_sides=config.short_sides if short_sides is None else short_sides,
        max_size=config.max_size,
        cache=pairs.cache_folder(),
        sliders=config.slider_params,
        slider_samples=config.slider_samples,
    )


def _compute(specs: Sequence[PairSpec], callbacks: TrainCallbacks) -> None:
    callbacks.start("making pairs", len(specs))
    tick: Callable[[], None] = callbacks.advance
    pairs.compute_pairs(specs, on_progress=tick)
