"""From an operator to a model file: train, fold, validate, export."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import burnish
from burnish.export.onnx_export import export
from burnish.export.weights import fold, round_weights_to_fp16
from burnish.files import digest, make_folder
from burnish.modelfile.card import Card, CardParam, FixedParam, Measurement, Paper
from burnish.networks.network import Network
from burnish.networks.registry import build
from burnish.operators.user_defined import find_operator
from burnish.params import ColourParam, FileParam, Param, Value
from burnish.training import TrainCallbacks, distributed
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.network_trainer import NetworkTrainer, init_from
from burnish.training.request import TrainingRequest, slugify
from burnish.training.sampler import CropSampler
from burnish.training.validation import (
    Preview,
    ValidationResult,
    describe_photos,
    split_by_size,
    validate,
)


@dataclass(frozen=True)
class TrainedModel:
    """A model file and its scores on the validation photos."""

    path: Path
    validation: tuple[ValidationResult, ...]


def train_and_export(
    request: TrainingRequest, callbacks: TrainCallbacks | None = None
) -> TrainedModel | None:
    """Train a network as requested and write it as a model file; see `burnish.training.train`.

    The network is validated with rounded weights, as it will be used.
    """
    callbacks = callbacks or TrainCallbacks()
    try:
        result = train_network(request, callbacks)
    finally:
        distributed.shutdown()
    if result is None:
        return None
    trainer, data = result
    network = round_weights_to_fp16(fold(trainer.ema_network()))
    callbacks.start("validating", sum(len(pairs) for _, pairs in split_by_size(data.validation)))
    sliders = [param.name for param in request.config.slider_params]
    source = request.validation or request.photos or request.config.operator
    validation = validate(network, sliders, data.validation, source, callbacks)
    card = _card(request, trainer, data, network, validation)
    path = export(network, card, request.output, overwrite=request.overwrite)
    return TrainedModel(path, validation)


def train_network(
    request: TrainingRequest, callbacks: TrainCallbacks
) -> tuple[NetworkTrainer, TrainingData] | None:
    """Train a network. An unfinished training with an equal config in `run_dir` is resumed.

    The log, the config and the previews are written beside its checkpoint.

    Returns
    -------
    The trainer at its end, and the data; None in all processes of torchrun but the first

    Raises
    ------
    UsageError : there are too few photos, or the folder holds another training
    PhotoError : none of the photos can be read
    OperatorError : the operator fails
    """
    config, run_dir = request.config, request.run_dir
    rank, world_size = distributed.init()
    if rank > 0:
        callbacks = TrainCallbacks()
    data = prepare_data(config, request.photos, request.validation, callbacks)

    torch.manual_seed(config.seed)
    network = build(config.network, config.slider_params, config.global_context, config.grey)
    if request.initial_weights:
        init_from(network, request.initial_weights, config.init_from)
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
    if rank > 0:
        trainer.run()
        return None
    (run_dir / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
    preview = Preview(trainer, data.validation, run_dir, callbacks)
    trainer.run(preview, save_every=request.save_every)
    return trainer, data


def _card(
    request: TrainingRequest,
    trainer: NetworkTrainer,
    data: TrainingData,
    network: Network,
    validation: Sequence[ValidationResult],
) -> Card:
    config = request.config
    large = [pair for pair in data.train if min(pair.size) >= config.crop]
    numbers = {name: value for name, value in config.params.items() if isinstance(value, float)}
    operator = find_operator(config.operator)
    kind, source, _ = config.operator.partition(":")
    return Card.build(
        name=slugify(request.output.stem),
        # The prefix distinguishes a user's operator from a built-in one of the same name.
        operator=f"{kind}:{operator.name}" if source else operator.name,
        title=operator.title,
        paper=operator.paper and Paper(title=operator.paper.title, doi=operator.paper.doi),
        params=_card_params(config),
        fixed_params=tuple(
            _fixed_param(param, config.params[param.name])
            for param in operator.params
            if isinstance(param, ColourParam | FileParam)
        ),
        network=config.network,
        halo=network.halo,
        size_multiple=network.size_multiple,
        macs_per_pixel=network.macs_per_pixel,
        peak_activations_per_pixel=network.peak_activations_per_pixel,
        parameter_count=sum(parameter.numel() for parameter in network.parameters()),
        thumbnail_size=network.thumbnail_size,
        coords=bool(network.thumbnail_size),
        metrics=tuple(map(_measurement, validation)),
        training={
            "photos": describe_photos(large, request.photos or config.operator),
            "steps": trainer.step,
            "seconds": round(trainer.seconds),
            # Without paths of files, which are private. The card's fixed_params have their names.
            "settings": config.to_json() | {"params": numbers},
            "torch": torch.__version__.partition("+")[0],
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
        licence=request.licence,
        burnish_version=burnish.__version__,
    )


def _card_params(config: TrainConfig) -> tuple[CardParam, ...]:
    sliders: Mapping[str, Param] = {param.name: param for param in config.slider_params}
    return tuple(
        CardParam.from_param(
            sliders.get(param.name, param),
            value=param.check(config.params[param.name]),
            slider=param.name in sliders,
        )
        for param in find_operator(config.operator).params
        if isinstance(param, Param)
    )


def _fixed_param(param: ColourParam | FileParam, value: Value) -> FixedParam:
    if value is None or isinstance(param, ColourParam):
        return FixedParam(name=param.name, effect=param.effect, value=param.check(value))
    path = Path(str(value))
    return FixedParam(name=param.name, effect=param.effect, value=path.name, sha256=digest(path))


def _measurement(result: ValidationResult) -> Measurement:
    """Return a validation result as a card entry, rounded to significant digits."""
    report = result.report
    return Measurement(
        photos=result.photos,
        count=report.count,
        megapixels_mean=float(f"{report.megapixels:.3g}"),
        mse_mean=float(f"{report.mean.mse:.4g}"),
        psnr_mean=round(report.mean.psnr, 2),
        psnr_worst=round(report.worst.psnr, 2),
        ssim_mean=round(report.mean.ssim, 4),
        ssim_worst=round(report.worst.ssim, 4),
        identity_psnr_mean=round(report.identity_psnr, 2),
    )
