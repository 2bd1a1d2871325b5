"""From an operator to a model file: train, fold, validate, export."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import burnish
from burnish.export.weights import fold
from burnish.export.onnx_export import export
from burnish.export.weights import round_weights_to_fp16
from burnish.files import digest
from burnish.modelfile.card import Card, CardParam, FixedParam, Measurement, Paper
from burnish.networks.network import Network
from burnish.operators.user_defined import find_operator
from burnish.params import ColourParam, FileParam, Param, Value
from burnish.training import distributed
from burnish.training.callbacks import TrainCallbacks
from burnish.training.request import TrainingRequest, validate_request
from burnish.training.run import TrainResult, train_network
from burnish.training.validation import ValidationResult, split_by_size, validate


@dataclass(frozen=True)
class TrainedModel:
    """A model file and its scores on the validation photos."""

    path: Path
    validation: tuple[ValidationResult, ...]


def train(
    operator: str, *, callbacks: TrainCallbacks | None = None, **options: Any
) -> TrainedModel | None:
    """Train a network on an operator and write it as a model file.

    A script that calls it needs ``if __name__ == "__main__":``, because pairs are computed in
    other processes.

    Parameters
    ----------
    operator : name of an operator, or ``python:…``, ``command:…``, ``pairs:…``
    callbacks : receives the progress
    options : see `burnish.training.request.validate_request`. `photos` is a folder of photos,
        `output` the model file

    Returns
    -------
    The model; None in all processes of torchrun but the first

    Raises
    ------
    BurnishError : see `validate_request`, `train_network` and `export`
    """
    return train_and_export(validate_request(operator, **options), callbacks)


def train_and_export(
    request: TrainingRequest, callbacks: TrainCallbacks | None = None
) -> TrainedModel | None:
    """Train a network as requested and write it as a model file; see `train`."""
    try:
        result = train_network(
            request.config,
            request.photos,
            request.validation,
            request.run_dir,
            callbacks,
            initial_weights=request.initial_weights,
            save_every=request.save_every,
        )
    finally:
        distributed.shutdown()
    return export_model(result, request, callbacks) if result else None


def export_model(
    result: TrainResult, request: TrainingRequest, callbacks: TrainCallbacks | None = None
) -> TrainedModel:
    """Write a trained network as a model file, with its validation on its card.

    It is validated after its weights are rounded, as it will be used.

    Raises
    ------
    ModelError : the graph's output differs from the network's, or the card is wrong
    OutputError : the file exists and `overwrite` is not set, or it cannot be written
    """
    callbacks = callbacks or TrainCallbacks()
    network = round_weights_to_fp16(fold(result.network))
    callbacks.start("validating", sum(len(pairs) for _, pairs in split_by_size(result.validation)))
    sliders = [param.name for param in result.config.slider_params]
    validation = validate(network, sliders, result.validation, result.validation_source, callbacks)
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
        # The prefix distinguishes a user's operator from a built-in one of the same name.
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
            # Without paths of files, which are private. The card's fixed_params have their names.
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
        identity_psnr_mean=round(report.identity.psnr, 2),
    )
