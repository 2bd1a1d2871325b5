"""Validate a request for a training before hours are spent on it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.errors import MissingLibraryError, UsageError
from burnish.files import check_absent, make_folder
from burnish.modelfile.card import MAX_PARAMS
from burnish.modelfile.onnx_file import named_weights
from burnish.modelfile.reader import ModelFile, read_model
from burnish.networks.registry import (
    DEFAULT_NETWORK,
    NETWORKS,
    NetworkSpec,
    network_spec,
)
from burnish.operators.operator import Operator
from burnish.operators.user_defined import find_operator
from burnish.params import Param, Value
from burnish.training import distributed
from burnish.training.config import TrainConfig, parse_budget
from burnish.training.network_trainer import build_network
from burnish.training.network_trainer import init_from as copy_weights
from burnish.training.start_network import read_start_model

DEFAULT_BUDGET = "30m"
# px: `TrainConfig.guide_size` for operators that work on octaves, whose photos are halved. A photo
# of twice this size is the smallest for which the network runs.
HALVED_GUIDE_SIZE = 160


@dataclass(frozen=True)
class TrainingRequest:
    """A config, the photos to train on, and the file to write; see `validate_request`."""

    config: TrainConfig
    photos: Path | None
    validation: Path | None
    output: Path
    run_dir: Path
    overwrite: bool
    licence: str
    save_every: float
    initial_weights: Mapping[str, NDArray[np.float32]] | None = None
    start_model: ModelFile | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tensorboard: bool = False


def validate_request(
    operator: str,
    *,
    photos: Path | None = None,
    validation: Path | None = None,
    params: Mapping[str, Value] | None = None,
    output: Path | None = None,
    run_dir: Path | None = None,
    overwrite: bool = False,
    licence: str = "unstated",
    save_every: float = 60.0,
    network: str = DEFAULT_NETWORK,
    budget: str | None = None,
    steps: int | None = None,
    sliders: Sequence[str] = (),
    guided: bool | None = None,
    start: Path | None = None,
    global_context: bool | None = None,
    init_from: Path | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    **options: Any,
) -> TrainingRequest:
    """Check a user's options, and return the request.

    Parameters
    ----------
    operator : name of an operator, or ``python:…``, ``command:…``, ``pairs:…``
    photos : folder of training photos. It is required, except that pairs have their own photos
    validation : folder of validation photos; for ``pairs:…`` with before/ and after/ [default:
        every tenth photo of `photos`]
    params : the operator's parameters, by name or keyword
    output : the model file [default: OPERATOR.onnx]
    run_dir : folder of the checkpoint, the log and the previews [default: runs/NAME]
    licence : who may use the model, for its card
    save_every : seconds between two checkpoints
    budget : the length of the training, such as "1h30m" [default: 30m]
    steps : the number of steps, in place of a budget
    sliders : the parameters that stay adjustable, as NAME or NAME=LOW:HIGH
    guided : the network takes the operator's output at a lower resolution [default: if it can]
    start : a model file that the start network of a guided network is initialised from
        [default: random weights]
    global_context : the network, or the start network of a guided one, also sees a thumbnail of
        the whole photo [default: for operators that need it]
    init_from : a model file of the same network to start from [default: random weights]
    device : auto, cpu, cuda or cuda:N
    tensorboard : also write events for TensorBoard
    options : other fields of `TrainConfig` [default, also for None: those of the network]

    Raises
    ------
    UsageError : one of the arguments is wrong, or there are no photos
    ModelError : the model to start from cannot be read
    OutputError : the model file exists and `overwrite` is not set
    DeviceError : the device is not available
    MissingLibraryError : TensorBoard is wanted and not installed
    """
    training_device = distributed.choose_device(device)
    _check_tensorboard(tensorboard)
    source = find_operator(operator)
    values = _resolve_params(source, params or {}, photos, validation)
    spec = _find_network(network)
    guided = spec.is_unet if guided is None else guided
    if global_context is None:
        global_context = spec.is_unet and source.needs_thumbnail
    target = output or Path(f"{slugify(source.name)}.onnx")
    _check_model_file(target, licence)
    if steps is None and budget is None:
        budget = DEFAULT_BUDGET
    base_model = read_model(init_from) if init_from else None
    options = {name: value for name, value in options.items() if value is not None}
    if source.octaves:
        options.setdefault("guide_size", HALVED_GUIDE_SIZE)
    config = TrainConfig(
        operator=operator,
        network=network,
        params=values,
        sliders=_parse_sliders(source, values, sliders),
        guided=guided,
        global_context=global_context,
        grey=source.grey,
        steps=steps,
        budget=parse_budget(budget) if budget else None,
        init_from=_describe(base_model),
        **spec.train_defaults | options,
    )
    start_model = _read_start(config, start)
    config = replace(config, start=_describe(start_model))
    initial_weights = _check_network(config, base_model)
    check_absent(target, overwrite=overwrite)
    make_folder(target.parent)  # last, so that a wrong request creates nothing
    return TrainingRequest(
        config=config,
        photos=photos,
        validation=validation,
        output=target,
        run_dir=run_dir or Path("runs", slugify(target.stem)),
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
        initial_weights=initial_weights,
        start_model=start_model,
        device=training_device,
        tensorboard=tensorboard,
    )


def _find_network(name: str) -> NetworkSpec:
    spec = network_spec(name)
    if spec is None:
        remedy = f"choose one of {', '.join(NETWORKS)}"
        raise UsageError("--network", f"there is no network {name!r}", remedy)
    return spec


def _check_tensorboard(wanted: bool) -> None:
    if wanted and find_spec("tensorboard") is None:
        problem = "the library tensorboard is not installed"
        raise MissingLibraryError("--tensorboard", problem, "install it: pip install tensorboard")


def _check_model_file(target: Path, licence: str) -> None:
    if target.suffix.lower() != ".onnx":
        raise UsageError("-o", f"{target} does not end in .onnx", "rename it")
    if not licence.strip():
        raise UsageError("--licence", "it is empty", "name who may use the model, or omit it")


def _read_start(config: TrainConfig, start: Path | None) -> ModelFile | None:
    """Return the start network that is given, after a check that one may, or need not, be."""
    if start is not None:
        if not config.guided:
            raise UsageError("--start", "only a guided network has a start network", "leave it out")
        return read_start_model(start, config)
    if config.guided and not config.has_start and find_operator(config.operator).pairs:
        problem = "pairs: cannot be run, so that the model needs a start network"
        raise UsageError("--start-fraction", problem, "choose a fraction above 0")
    return None


def _describe(model: ModelFile | None) -> str:
    return f"{model.card.name} {model.sha256[:12]}" if model else ""


def _resolve_params(
    operator: Operator, params: Mapping[str, Value], photos: Path | None, validation: Path | None
) -> dict[str, Value]:
    """Return the values of all the operator's parameters, after a check of the photos."""
    if not operator.pairs:
        values = operator.resolve_params(params)
        if photos is None:
            raise UsageError("--photos", "a folder of training photos is required", "give one")
        if len(operator.params) > MAX_PARAMS:
            problem = f"it has {len(operator.params)} parameters, and a card holds {MAX_PARAMS}"
            raise UsageError(operator.name, problem, "replace some of them by constants")
        return values
    for name, value in {"--photos": photos, **params}.items():
        if value is not None:
            raise UsageError(
                name, "it cannot be combined with pairs:, which has its own photos", "omit it"
            )
    if validation is not None:
        try:
            find_operator(f"pairs:{validation}")
        except UsageError as error:
            raise error.with_context(f"--validation {validation}") from error
    return {}


def _check_network(
    config: TrainConfig, base_model: ModelFile | None
) -> dict[str, NDArray[np.float32]] | None:
    """Check that the network can be built, and return the weights that it starts from."""
    network = build_network(config)
    multiple = network.size_multiple
    if config.crop % multiple:
        problem = f"{config.crop} is not a multiple of {multiple}, which {config.network} requires"
        raise UsageError("--crop", problem, f"choose {config.crop + -config.crop % multiple}")
    if base_model is None:
        return None
    weights = named_weights(base_model.graph)
    copy_weights(network, weights, base_model.card.name)
    return weights


def _parse_sliders(
    operator: Operator, values: Mapping[str, Value], sliders: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Parse NAME or NAME=LOW:HIGH into the ranges of the sliders, by name."""
    params = {param.name: param for param in operator.params if isinstance(param, Param)}
    names = {param.argument_name: name for name, param in params.items()}
    ranges = {}
    for text in sliders:
        given, has_bounds, bounds = text.partition("=")
        name = names.get(given.replace("-", "_"), given)
        param = params.get(name)
        if param is None:
            remedy = f"choose one of {', '.join(params)}" if params else "omit it"
            raise UsageError("--slider", f"the operator has no parameter {name!r}", remedy)
        low, high = _parse_range(param, bounds) if has_bounds else (param.low, param.high)
        if math.isinf(low) or math.isinf(high):
            problem = "the function does not state its range"
            raise UsageError(f"--slider {name}", problem, f"write --slider {name}=LOW:HIGH")
        value = float(str(values[name]))
        if not low <= value <= high:
            raise UsageError(
                f"--slider {name}",
                f"the range {low:g} to {high:g} does not contain the default, {value:g}",
                "widen the range",
            )
        ranges[name] = (low, high)
    return ranges


def _parse_range(param: Param, text: str) -> tuple[float, float]:
    try:
        low, high = (param.check(float(bound)) for bound in text.split(":"))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise UsageError(
            "--slider",
            f"{param.name}={text} is not a range within {param.range}",
            f"write {param.name}=LOW:HIGH, the lower number first",
        )
    return low, high


def slugify(name: str) -> str:
    """Return a name in the form of card and file names.

    Examples
    --------
    >>> slugify("_My Glow (2)"), slugify("***")
    ('my-glow-2', 'own')
    """
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:64].strip("-.") or "own"
