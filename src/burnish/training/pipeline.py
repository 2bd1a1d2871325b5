"""Publish: train, fold, judge and write a model file; a model's whole road in one place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import burnish
from burnish.export.fold_batchnorm import fold
from burnish.export.onnx_export import export
from burnish.export.quantise import round_weights_to_fp16
from burnish.files import digest
from burnish.modelfile.card import Card, CardParam, FixedParam, Measurement, Paper
from burnish.networks.network import Network
from burnish.operators.user_defined import find_operator
from burnish.params import ColourParam, FileParam, Param, Value
from burnish.training import distributed as processes
from burnish.training.request import TrainingRequest
from burnish.training.train import TrainCallbacks, TrainResult, train
from burnish.training.validation import ValidationResult, split_by_size, validate


@dataclass(frozen=True)
class TrainedModel:
    """A model file, and the judgements that its card quotes."""

    path: Path
    validation: tuple[ValidationResult, ...]


def train_and_export(request: TrainingRequest, callbacks: TrainCallbacks) -> TrainedModel | None:
    """Train as ordered and write the model file; None in all processes but the first."""
    try:
        result = train(
            request.config,
            request.photos,
            request.validation,
            request.run_dir,
            callbacks,
            initial_weights=request.initial_weights,
            save_every=request.save_every,
        )
    finally:
        processes.shutdown()
    return export_model(result, request, callbacks) if result else None


def export_model(
    result: TrainResult, request: TrainingRequest, callbacks: TrainCallbacks
) -> TrainedModel:
    """Fold a trained network, judge it as it ships, export it with its card, and verify both.

    Raises
    ------
    ModelError : the exported graph and the network disagree, or a claim on the card is not true
    OutputError : the file exists and may not be replaced
    """
    network = round_weights_to_fp16(fold(result.network))
    callbacks.start("judging", sum(len(pairs) for _, pairs in split_by_size(result.validation)))
    sliders = [param.name for param in result.config.slider_params]
    validation = validate(
        network, sliders, result.validation, result.validation_source, callbacks.advance
    )
    card = _card(result, network, validation, request)
    path = export(network, card, request.output, overwrite=request.overwrite)
    return TrainedModel(path, validation)


def _card(
    result: TrainResult,
    network: Network,
    validation: Sequence[ValidationResult],
    request: TrainingRequest,
) -> Card:
    config = result.config
    operator = find_operator(config.operator)
    sliders = {param.name: param for param in config.slider_params}
    kind, source, _ = config.operator.partition(":")
    return Card.build(
        name=request.name,
        # The mark keeps an operator of one's own from passing for one of ours.
        operator=f"{kind}:{operator.name}" if source else operator.name,
        title=operator.title,
        paper=operator.paper and Paper(title=operator.paper.title, doi=operator.paper.doi),
        params=tuple(
            _card_param(sliders.get(param.name, param), config.params[param.name], sliders)
            for param in operator.params
            if isinstance(param, Param)
        ),
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
            "photos": result.trained_on,
            "steps": result.steps,
            "seconds": round(result.seconds),
            # A file is named among the choices; its path is nobody's business.
            "settings": config.to_json() | {"params": _numbers(config.params)},
            "torch": torch.__version__.partition("+")[0],
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
        licence=request.licence,
        burnish_version=burnish.__version__,
    )


def _card_param(param: Param, value: Value, sliders: Mapping[str, Param]) -> CardParam:
    number = param.check(value)
    return CardParam(value=number, slider=param.name in sliders, **asdict(param))


def _fixed_param(param: ColourParam | FileParam, value: Value) -> FixedParam:
    if value is None or isinstance(param, ColourParam):
        return FixedParam(name=param.name, effect=param.effect, value=param.check(value))
    path = Path(str(value))
    return FixedParam(name=param.name, effect=param.effect, value=path.name, sha256=digest(path))


def _numbers(params: Mapping[str, Value]) -> dict[str, float]:
    return {name: value for name, value in params.items() if isinstance(value, float)}


def _measurement(validation: ValidationResult) -> Measurement:
    """Round what is measured to the digits that mean something."""
    report = validation.report
    return Measurement(
        photos=validation.photos,
        count=report.count,
        megapixels_mean=float(f"{report.megapixels:.3g}"),
        mse_mean=float(f"{report.mean.mse:.4g}"),
        psnr_mean=round(report.mean.psnr, 2),
        psnr_worst=round(report.worst.psnr, 2),
        ssim_mean=round(report.mean.ssim, 4),
        ssim_worst=round(report.worst.ssim, 4),
        identity_psnr_mean=round(report.identity.psnr, 2),
    )
