"""From an operator to a model file: train, fold, validate, export."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import burnish
from burnish.errors import warn
from burnish.export.onnx_export import export, write_card
from burnish.export.weights import fold, round_weights_to_fp16
from burnish.files import atomic_write, digest, make_folder
from burnish.modelfile.card import (
    Card,
    CardParam,
    FixedParam,
    Guide,
    Measurement,
    Paper,
    StartNetwork,
)
from burnish.modelfile.onnx_file import named_weights
from burnish.networks.network import Network
from burnish.operators.operator import Operator
from burnish.operators.user_defined import find_operator
from burnish.params import ColourParam, FileParam, Param, Value
from burnish.progress import SILENT, Progress
from burnish.runtime.model import Model
from burnish.training import TrainCallbacks, distributed
from burnish.training.config import TrainConfig
from burnish.training.data import TrainingData, prepare_data
from burnish.training.log import TrainingLog
from burnish.training.network_fields import network_fields
from burnish.training.network_trainer import NetworkTrainer, build_network, init_from
from burnish.training.pairs import Pair, cache_folder
from burnish.training.request import TrainingRequest, slugify
from burnish.training.sampler import CropSampler
from burnish.training.start_network import load_network, write_start_outputs
from burnish.training.validation import (
    Preview,
    ValidationResult,
    describe_photos,
    validate,
)

# How many times as large the first level of a large photo is, if the operator computes it.
OPERATOR_SIZE_FACTOR = 2


@dataclass(frozen=True)
class TrainedModel:
    """A model file and its scores on the validation photos."""

    path: Path
    validation: tuple[ValidationResult, ...]


def train_and_export(
    request: TrainingRequest, callbacks: TrainCallbacks | None = None
) -> TrainedModel | None:
    """Train a network as requested and write it as a model file; see `burnish.training.train`.

    The file is validated as it will be used.
    """
    callbacks = callbacks or TrainCallbacks()
    try:
        result = train_network(request, callbacks)
    finally:
        distributed.shutdown()
    if result is None:
        return None
    trainer, start, data = result
    config = request.config
    network = round_weights_to_fp16(fold(trainer.ema_network().cpu()))
    start = start and start.cpu()
    card = _card(request, trainer, data, network, start)
    with TemporaryDirectory(prefix="burnish-") as folder:
        draft = export(network, card, Path(folder, request.output.name), start=start)
        source = request.validation or request.photos or config.operator
        operator = find_operator(config.operator)
        pairs, output = data.validation, request.output
        validation = validate_and_write(
            draft, operator, pairs, source, output, overwrite=request.overwrite, progress=callbacks
        )
    _warn_without_gain(request.output, validation)
    return TrainedModel(request.output, validation)


def validate_and_write(
    draft: Path,
    operator: Operator,
    pairs: Sequence[Pair],
    source: str | Path,
    output: Path,
    *,
    overwrite: bool,
    progress: Progress = SILENT,
) -> tuple[ValidationResult, ...]:
    """Score a model file, write the scores to its card, and write it as the output.

    Parameters
    ----------
    draft : the model file; its card gets the scores, too
    operator, pairs, source, progress : see `validate`

    Raises
    ------
    OutputError : the output exists and `overwrite` is not set, or cannot be written
    """
    model = Model.open(draft)
    validation = validate(model, operator, pairs, source, progress)
    metrics = tuple(map(measurement, validation))
    others = []
    for capacity in model.card.capacities:
        other = Model.open(draft, quality=capacity.quality)
        rows = tuple(map(measurement, validate(other, operator, pairs, source, progress)))
        others.append(capacity.model_copy(update={"metrics": rows}))
    changes = {"metrics": metrics, "capacities": tuple(others)}
    write_card(draft, model.card.model_copy(update=changes))
    with atomic_write(output, overwrite=overwrite) as file:
        file.write(draft.read_bytes())
    return validation


def _warn_without_gain(output: Path, validation: Sequence[ValidationResult]) -> None:
    """Warn if the network is no closer to the operator than the unedited photos are."""
    for result in validation:
        psnr, identity_psnr = result.report.mean.psnr, result.report.identity_psnr
        if psnr <= identity_psnr:
            warn(
                f"{output}: the network is no closer to the operator ({psnr:.2f} dB) than the "
                f"unedited photo is ({identity_psnr:.2f} dB) on {result.label}; train longer, or "
                "check that the operator changes the photos"
            )
            return


def train_network(
    request: TrainingRequest, callbacks: TrainCallbacks
) -> tuple[NetworkTrainer, Network | None, TrainingData] | None:
    """Train a network. An unfinished training with an equal config in `run_dir` is resumed.

    The log, the config and the previews are written beside its checkpoint.

    Returns
    -------
    The trainer at its end, the start network of a guided network, and the data; None in all
    processes of torchrun but the first

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
    start = _start_network(request, callbacks) if config.has_start else None
    start_outputs = None
    if config.has_start:  # one folder for each start network
        start_outputs = run_dir / f"start-outputs {config.start}".strip()
    config = config.guided_config
    data = prepare_data(config, request.photos, request.validation, callbacks)
    if not config.small_copies and rank == 0:
        callbacks.message(_cache_note(config.operator))
    if start is not None and start_outputs is not None and rank == 0:
        pairs = [*data.train, *data.extra]
        write_start_outputs(start, config.slider_params, pairs, start_outputs, callbacks)
    distributed.barrier()

    torch.manual_seed(config.seed)
    network = build_network(config)
    if request.initial_weights:
        init_from(network, request.initial_weights, config.init_from)
    sampler = make_sampler(config, data, network, start_outputs, rank)
    make_folder(run_dir)
    data_id = f"{data.fingerprint} {world_size}"
    trainer = NetworkTrainer(config, network, sampler, run_dir, data_id, request.device)
    if rank > 0:
        trainer.run()
        return None
    (run_dir / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
    log = TrainingLog(run_dir, trainer.step, tensorboard=request.tensorboard)
    preview = Preview(trainer, data.validation, log, callbacks)
    trainer.run(preview, save_every=request.save_every)
    log.close()
    return trainer, start, data


def make_sampler(
    config: TrainConfig,
    data: TrainingData,
    network: Network,
    start_outputs: Path | None = None,
    rank: int = 0,
) -> CropSampler:
    """Return the sampler that draws the batches of a training; see `CropSampler`."""
    return CropSampler(
        data.train,
        extra=data.extra,
        batch=config.batch,
        crop=config.crop,
        seed=config.seed,
        rank=rank,
        sliders=config.slider_params,
        coords_block=network.coords_block,
        guided=config.guided,
        start_outputs=start_outputs,
        symmetries=find_operator(config.operator).symmetries_at(config.params),
    )


def _cache_note(operator: str) -> str:
    folder = cache_folder(operator)
    size = sum(file.stat().st_size for file in folder.glob("*.npy"))
    text = f"The cached pairs of this operator take {size / 1e6:,.1f} MB in {folder}"
    return f"{text}; `burnish cache clear {folder.name}` removes them."


def _start_network(request: TrainingRequest, callbacks: TrainCallbacks) -> Network | None:
    """Train the start network, or take that of a model; further processes have none then."""
    config, model = request.config, request.start_model
    if model is not None and not config.start_fraction:
        network = load_network(model, grey=config.grey).to(request.device)
        return round_weights_to_fp16(network)
    callbacks.message("The start network is trained first.")
    start_request = replace(
        request,
        config=config.start_config,
        run_dir=request.run_dir / "start",
        initial_weights=named_weights(model.graph) if model else None,
    )
    trained = train_network(start_request, callbacks)
    return round_weights_to_fp16(trained[0].ema_network()) if trained else None


def _card(
    request: TrainingRequest,
    trainer: NetworkTrainer,
    data: TrainingData,
    network: Network,
    start: Network | None,
) -> Card:
    config = request.config
    large = [pair for pair in data.train if min(pair.size) >= config.crop]
    numbers = {name: value for name, value in config.params.items() if isinstance(value, float)}
    operator = find_operator(config.operator)
    return Card.build(
        name=slugify(request.output.stem),
        operator=config.operator_name,
        title=operator.title,
        paper=operator.paper and Paper(title=operator.paper.title, doi=operator.paper.doi),
        params=_card_params(config),
        fixed_params=tuple(
            _fixed_param(param, config.params[param.name])
            for param in operator.params
            if isinstance(param, ColourParam | FileParam)
        ),
        network=config.network,
        **network_fields(network),
        guide=_guide(request, start),
        metrics=(),
        training={
            "photos": describe_photos(large, request.photos or config.operator),
            "steps": trainer.step,
            "seconds": round(trainer.seconds),
            # Without paths of files, which are private. The card's fixed_params have their names.
            "settings": config.to_json() | {"params": numbers},
            "torch": torch.__version__.partition("+")[0],
            "device": request.device.type,
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
        },
        licence=request.licence,
        burnish_version=burnish.__version__,
    )


def cascade_guide(config: TrainConfig) -> Guide:
    """Return the cascade of a network that is trained with a guide, without its start network."""
    operator = find_operator(config.operator)
    return Guide(
        size=config.guide_size,
        operator_size=None if operator.pairs else OPERATOR_SIZE_FACTOR * config.guide_size,
        max_ratio=config.guide_ratio,
        halved=operator.octaves,
    )


def _guide(request: TrainingRequest, start: Network | None) -> Guide | None:
    config, model = request.config, request.start_model
    if not config.guided:
        return None
    start_network = None
    if start is not None:
        name = config.network
        if model is not None and not config.start_fraction:
            name = model.card.network
        full_size = config.start_full_size
        fields = network_fields(start)
        start_network = StartNetwork(network=name, full_size=full_size, **fields)
    return cascade_guide(config).model_copy(update={"start": start_network})


def _card_params(config: TrainConfig) -> tuple[CardParam, ...]:
    sliders: Mapping[str, Param] = {param.name: param for param in config.slider_params}
    params = []
    for param in find_operator(config.operator).params:
        if isinstance(param, Param):
            value = param.check(config.params[param.name])
            described = sliders.get(param.name) or _bounded(param, value)
            params.append(CardParam.from_param(described, value, param.name in sliders))
    return tuple(params)


def _bounded(param: Param, value: float) -> Param:
    """Return a parameter with finite bounds, which contain its default and its value here."""
    low, high = sorted((param.default, value))
    return replace(
        param,
        low=low if math.isinf(param.low) else param.low,
        high=high if math.isinf(param.high) else param.high,
    )


def _fixed_param(param: ColourParam | FileParam, value: Value) -> FixedParam:
    if value is None or isinstance(param, ColourParam):
        return FixedParam(name=param.name, effect=param.effect, value=param.check(value))
    path = Path(str(value))
    return FixedParam(name=param.name, effect=param.effect, value=path.name, sha256=digest(path))


def measurement(result: ValidationResult) -> Measurement:
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
        cast_mean=round(report.mean.cast, 2),
        cast_worst=round(report.worst.cast, 2),
        grain_mean=None if report.mean.grain is None else round(report.mean.grain, 2),
        guide=result.guide,
        precision=result.precision,
    )
