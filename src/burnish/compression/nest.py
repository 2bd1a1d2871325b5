"""Nesting: networks of other qualities grow inside and around a trained one, and share kernels.

The channels are first sorted by importance, so that the smaller network begins with the most
important ones. Then all networks are trained together.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch

from burnish.compression.importance import BATCHES, channel_importance
from burnish.compression.request import CompressionRequest
from burnish.compression.structure import channel_groups, keep_channels
from burnish.errors import UsageError, join_or
from burnish.export.onnx_export import check_outputs, export
from burnish.export.weights import round_weights_to_fp16
from burnish.files import make_folder
from burnish.modelfile.card import Card
from burnish.modelfile.quality import QUALITIES, STANDARD, Quality
from burnish.modelfile.reader import ModelFile
from burnish.networks.nested import NestedNetwork
from burnish.networks.registry import NESTED, build, network_spec
from burnish.networks.unet import UNet
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.log import TrainingLog
from burnish.training.nested_trainer import NestedTrainer
from burnish.training.network_fields import capacities, other_networks, standard_network
from burnish.training.pipeline import make_sampler
from burnish.training.request import slugify
from burnish.training.sampler import Batch, complete_batches
from burnish.training.start_network import load_network, write_start_outputs
from burnish.training.validation import Preview

# The learning rate of the training, as a fraction of that from random weights.
LR_FACTOR = 0.25
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


def nest(
    request: CompressionRequest,
    qualities: Sequence[Quality],
    callbacks: TrainCallbacks | None = None,
) -> Card:
    """Grow networks of other qualities inside and around those of a model file, and write them.

    A start network is nested first.

    Parameters
    ----------
    qualities : "preview", "best" or both

    Returns
    -------
    The card, with scores of each quality

    Raises
    ------
    UsageError : a quality is unknown, the network cannot be nested, or there are too few photos
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    callbacks = callbacks or TrainCallbacks()
    file, run_dir = request.file, request.run_dir
    _check_qualities(qualities)
    config = replace(request.config, max_lr=request.config.max_lr * LR_FACTOR)
    nesting = _Nesting(request, qualities, callbacks)
    start, start_outputs = None, None
    full_size = bool(file.card.guide and file.card.guide.start and file.card.guide.start.full_size)
    if file.start is not None:
        callbacks.message("The start network is trained first.")
        config = replace(config, start_fraction=START_SHARE)
        start_config = _start_config(config, file.start, full_size=full_size)
        start_data = prepare_data(start_config, request.photos, request.validation, callbacks)
        start = nesting.train(start_config, file.start, run_dir / "start", start_data)
        config = config.guided_config
    data = prepare_data(config, request.photos, request.validation, callbacks)
    if start is not None:
        start_outputs = run_dir / "start-outputs"
        pairs = [*data.train, *data.extra]
        write_start_outputs(start, config.slider_params, pairs, start_outputs, callbacks)
    network = nesting.train(config, file, run_dir, data, start_outputs)
    steps = config.steps or f"{config.budget:.0f} s"
    record = {"model": f"{file.card.name} {file.sha256[:12]}", "steps": steps}
    with TemporaryDirectory(prefix="burnish-") as folder:
        draft = Path(folder, request.output.name)
        changes = {
            "name": slugify(request.output.stem),
            "ranges": {},
            "metrics": (),
            "capacities": capacities(network, start, full_size=full_size),
            "training": {**file.card.training, "nesting": record},
        }
        export(
            standard_network(network),
            file.card.model_copy(update=changes),
            draft,
            start=start and standard_network(start),
            others=other_networks(network, start),
        )
        return request.write_validated(draft, data.validation, callbacks)


def _check_qualities(qualities: Sequence[str]) -> None:
    for quality in qualities:
        if quality == STANDARD or quality not in QUALITIES:
            expected = join_or([name for name in QUALITIES if name != STANDARD])
            raise UsageError("--nest", f"expected {expected}, got {quality!r}", "choose one")


def _form(name: str) -> tuple[object, ...]:
    """Return what the networks that are nested have in common: levels, layers and outputs."""
    spec = network_spec(name)
    arguments = spec.arguments if spec is not None else {}
    return (
        len(arguments.get("widths", ())),
        arguments.get("factor", 2),
        set(arguments.get("kinds", ())) - {"plain"},
        arguments.get("activation", "leaky"),
        arguments.get("gain", True),
    )


def _start_config(config: TrainConfig, start: ModelFile, *, full_size: bool) -> TrainConfig:
    """Return the configuration of the training of start networks, on the photos that they see."""
    small = replace(config.start_config, global_context=bool(start.card.thumbnail_size))
    if not full_size:
        return small
    return replace(
        small,
        small_copies=False,
        short_sides=config.short_sides,
        crop=config.crop,
        max_size=config.max_size,
    )


@dataclass(frozen=True)
class _Nesting:
    """Trains the networks of all qualities, and the start networks, of a request."""

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
        if not isinstance(base, UNet) or _form(file.card.network) != _form(NESTED[STANDARD]):
            problem = f"its network {file.card.network} cannot be nested"
            remedy = f"give a model of {NESTED[STANDARD]}"
            raise UsageError(str(self.request.model), problem, remedy)
        check_outputs(base, file)
        sampler = make_sampler(config, data, base, start_outputs)
        sort_by_importance(base, complete_batches(map(sampler.batch_at, range(BATCHES))))
        network = self._grown(config, base)
        make_folder(run_dir)
        trainer = NestedTrainer(config, network, sampler, run_dir, data.fingerprint)
        log = TrainingLog(run_dir, trainer.step)
        trainer.run(Preview(trainer, data.validation, log, self.callbacks))
        log.close()
        return round_weights_to_fp16(cast(NestedNetwork, trainer.ema_network()))

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
