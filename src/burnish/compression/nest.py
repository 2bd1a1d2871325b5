"""Add networks of other qualities to a model file: a smaller one for videos, or a larger one.

Such a network begins with the channels of the file's own network and is trained on the operator's
pairs. The file's own network stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch

from burnish.compression.distil import DistillationTrainer
from burnish.compression.grow import grow, sort_by_importance
from burnish.compression.importance import BATCHES
from burnish.compression.request import CompressionRequest
from burnish.errors import UsageError, join_or
from burnish.export.onnx_export import check_outputs, export_qualities
from burnish.export.weights import fold, round_weights_to_fp16
from burnish.files import make_folder
from burnish.modelfile.card import Capacity, Card
from burnish.modelfile.quality import PREVIEW, QUALITIES, STANDARD, Quality
from burnish.networks.network import Network
from burnish.networks.registry import NETWORKS_BY_QUALITY, build, network_spec
from burnish.networks.unet import UNet
from burnish.training import TrainCallbacks
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.log import TrainingLog
from burnish.training.network_fields import network_fields
from burnish.training.network_trainer import NetworkTrainer
from burnish.training.pipeline import make_sampler
from burnish.training.request import slugify
from burnish.training.sampler import complete_batches
from burnish.training.start_network import load_network, write_start_outputs
from burnish.training.validation import Preview


def nest(
    request: CompressionRequest,
    qualities: Sequence[str],
    callbacks: TrainCallbacks | None = None,
) -> Card:
    """Write a model file with further networks, for other qualities.

    All qualities share the start network.

    Parameters
    ----------
    qualities : "preview" for a smaller network, "best" for a larger one, or both

    Returns
    -------
    The card, with scores of each quality

    Raises
    ------
    UsageError : a quality is unknown, the network is of another kind, or there are too few photos
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    callbacks = callbacks or TrainCallbacks()
    file, config = request.file, request.config
    added = _check_qualities(qualities)
    if file.others:
        remedy = f"write one of its networks first: burnish models export {request.model} -o FILE"
        raise UsageError(str(request.model), "it has networks of several qualities", remedy)
    base = _load(request)
    check_outputs(base, file)
    data = prepare_data(config, request.photos, request.validation, callbacks)
    networks = _train(request, added, base, data, callbacks)
    capacities = tuple(
        Capacity.model_validate(
            {"quality": quality, "network": NETWORKS_BY_QUALITY[quality]}
            | network_fields(networks[quality])
        )
        for quality in added
    )
    record = {
        "model": f"{file.card.name} {file.sha256[:12]}",
        "steps": config.steps or f"{config.budget:.0f} s",
    }
    changes = {
        "name": slugify(request.output.stem),
        "ranges": {},
        "metrics": (),
        "capacities": capacities,
        "training": {**file.card.training, "nesting": record},
    }
    with TemporaryDirectory(prefix="burnish-") as folder:
        draft = Path(folder, request.output.name)
        card = file.card.model_copy(update=changes)
        export_qualities(file, networks, card, draft)
        return request.write_validated(draft, data.validation, callbacks)


def _check_qualities(qualities: Sequence[str]) -> list[Quality]:
    """Return the qualities without duplicates, the smallest network first."""
    added = [name for name in QUALITIES if name != STANDARD]
    for quality in qualities:
        if quality not in added:
            raise UsageError("--nest", f"expected {join_or(added)}, got {quality!r}", "choose one")
    return [name for name in added if name in qualities]


def _load(request: CompressionRequest) -> UNet:
    """Return the network of the model file."""
    name, network_name = str(request.model), request.file.card.network
    network = load_network(request.file, grey=request.config.grey, option=name)
    if not isinstance(network, UNet) or _form(network_name) != _form(NETWORKS_BY_QUALITY[STANDARD]):
        problem = f"networks of other qualities cannot grow from its network {network_name}"
        raise UsageError(name, problem, f"give a model of {NETWORKS_BY_QUALITY[STANDARD]}")
    return network


def _form(name: str) -> tuple[object, ...]:
    """Return what the networks of all qualities have in common: levels, layers and outputs."""
    spec = network_spec(name)
    arguments = spec.arguments if spec is not None else {}
    return (
        len(arguments.get("widths", ())),
        arguments.get("factor", 2),
        set(arguments.get("kinds", ())) - {"plain"},
        arguments.get("activation", "leaky"),
        arguments.get("gain", True),
    )


def _train(
    request: CompressionRequest,
    qualities: Sequence[Quality],
    base: UNet,
    data: TrainingData,
    callbacks: TrainCallbacks,
) -> dict[Quality, Network]:
    """Return the network of each quality, trained, with weights of 16 bits.

    Parameters
    ----------
    base : the file's own network
    """
    config, run_dir = request.config, request.run_dir
    start_outputs = None
    if request.file.start is not None:
        start = load_network(request.file.start, grey=config.grey, option=str(request.model))
        start_outputs = run_dir / "start-outputs"
        pairs = [*data.train, *data.extra]
        write_start_outputs(start, config.slider_params, pairs, start_outputs, callbacks)
    sampler = make_sampler(config, data, base, start_outputs)
    source = _load(request)
    sort_by_importance(source, complete_batches(map(sampler.batch_at, range(BATCHES))))
    config = _part(config, len(qualities))
    networks: dict[Quality, Network] = {}
    for quality in qualities:
        callbacks.message(f"The training of the network of quality {quality} begins.")
        folder = run_dir / quality
        make_folder(folder)
        network = _grown(config, quality, source).requires_grad_(True)
        # A smaller network also learns from the file's own; a larger one would learn its errors.
        trainer: NetworkTrainer
        if quality == PREVIEW:
            trainer = DistillationTrainer(config, network, base, sampler, folder, data.fingerprint)
        else:
            trainer = NetworkTrainer(config, network, sampler, folder, data.fingerprint)
        log = TrainingLog(folder, trainer.step)
        trainer.run(Preview(trainer, data.validation, log, callbacks))
        log.close()
        networks[quality] = round_weights_to_fp16(fold(trainer.ema_network()))
    return networks


def _grown(config: TrainConfig, quality: Quality, source: UNet) -> Network:
    """Return the network of a quality, which begins with the channels of a trained one."""
    torch.manual_seed(config.seed)
    network = build(
        NETWORKS_BY_QUALITY[quality],
        config.slider_params,
        bool(source.thumbnail_size),
        config.grey,
        source.guided,
        source.guide_gain,
    )
    grow(cast(UNet, network), source)
    return network


def _part(config: TrainConfig, count: int) -> TrainConfig:
    """Return the configuration of one of several trainings that share the steps or the time."""
    return replace(
        config,
        steps=config.steps and max(1, config.steps // count),
        budget=config.budget and config.budget / count,
    )
