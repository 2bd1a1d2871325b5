"""Check a request for a compression before time is spent on it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from burnish.errors import UsageError
from burnish.files import check_absent, digest, make_folder
from burnish.modelfile.card import Card
from burnish.modelfile.quality import STANDARD
from burnish.modelfile.reader import ModelFile, read_card, read_model
from burnish.networks.registry import NETWORKS, network_spec
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.operators.user_defined import card_operator_name, find_operator
from burnish.params import Param, Value
from burnish.progress import Progress
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model
from burnish.training.config import TrainConfig, parse_budget
from burnish.training.pairs import Pair
from burnish.training.pipeline import validate_and_write
from burnish.training.request import slugify

# The key of the record of a compression in a card's `training`.
RECORD = "compression"
DEFAULT_LOSS = 0.1
DEFAULT_TIME = "10m"
# The original network can teach these, beside the operator.
RESULT = "result"
TAUGHT = (RESULT, "features", "affinities")
# Settings of a card that say how its network was trained. The others follow from the card itself.
_KEPT_SETTINGS = (
    *("slider_samples", "slider_fraction", "synthetic_fraction", "varied_fraction"),
    *("batch", "crop", "short_sides", "max_size", "optimiser", "max_lr", "weight_decay"),
    *("clip_norm", "seed"),
)


@dataclass(frozen=True)
class CompressionRequest:
    """A checked request.

    Attributes
    ----------
    config : of a training from scratch; its `budget` or `steps` are those of the whole pipeline
    speed : how many times as fast the result has to be; None for as fast as `loss` allows
    loss : the largest loss of PSNR against the operator, in dB; None for any
    """

    model: Path
    file: ModelFile
    config: TrainConfig
    operator: Operator
    photos: Path | None
    validation: Path | None
    output: Path
    run_dir: Path
    speed: float | None
    loss: float | None
    engine: str
    separable: bool
    taught: tuple[str, ...]
    int8: bool
    nearest: bool
    compare_scratch: bool
    overwrite: bool

    @property
    def source(self) -> str | Path:
        """The folder of the held-out photos, or the pairs that the operator consists of."""
        return self.validation or self.photos or self.config.operator

    @property
    def target(self) -> str:
        """The target as it would be given on the command line."""
        speed = f"--speed {self.speed:g}x" if self.speed is not None else ""
        loss = f"--loss {self.loss:g}dB" if self.loss is not None else ""
        return f"{speed} {loss}".strip()

    def write_validated(self, draft: Path, pairs: Sequence[Pair], progress: Progress) -> Card:
        """Write a model file as the output, with its scores on its card, and return the card.

        See `burnish.training.pipeline.validate_and_write`.
        """
        validate_and_write(
            draft,
            self.operator,
            pairs,
            self.source,
            self.output,
            overwrite=self.overwrite,
            progress=progress,
        )
        return read_card(self.output)

    def to_json(self) -> dict[str, Any]:
        """Return what the steps depend on, as values that JSON can hold."""
        record: dict[str, Any] = {"model": self.file.sha256, "engine": self.engine}
        record["config"] = self.config.to_json()
        record |= {"speed": self.speed, "loss": self.loss, "int8": self.int8}
        record |= {"photos": str(self.photos), "validation": str(self.validation)}
        record |= {"taught": self.taught, "separable": self.separable}
        values: dict[str, Any] = json.loads(json.dumps(record))
        return values


def validate_request(
    model: str | Path,
    *,
    photos: str | Path | None = None,
    validation: str | Path | None = None,
    operator: str | None = None,
    params: Mapping[str, Value] | None = None,
    output: str | Path | None = None,
    run_dir: str | Path | None = None,
    speed: float | str | None = None,
    loss: float | str | None = None,
    engine: str = DEFAULT_ENGINE,
    time: str | None = None,
    steps: int | None = None,
    separable: bool = False,
    taught: Sequence[str] = (RESULT,),
    int8: bool = True,
    nearest: bool = False,
    compare_scratch: bool = True,
    overwrite: bool = False,
) -> CompressionRequest:
    """Check a user's options, and return the request.

    Parameters
    ----------
    model : name or file of a model
    photos : folder of photos to distil and to measure on; not for ``pairs:…``
    validation : folder of held-out photos [default: every tenth photo of `photos`]
    operator : the operator that the network imitates, if it is a user's own
    params : the operator's parameters that a card does not hold, such as files
    output : the model file to write [default: NAME-compressed.onnx]
    run_dir : folder of the steps, from which an interrupted compression resumes [default:
        runs/NAME]
    speed : how many times as fast the network has to become, such as 2 or "2x"
    loss : the largest loss of PSNR against the operator, such as 0.1 or "0.1dB" [default: 0.1 dB
        without `speed`, else any]
    engine : the engine to become faster on
    time : of the training, such as "10m" [default: 10m]
    steps : the number of training steps, in place of a time
    separable : layers may become separable, beside the removal of channels and of whole layers
    taught : what the pruned network learns from the original one, of `TAUGHT`, beside what it
        learns from the operator; may be empty
    int8 : also train the network for 8-bit integers
    nearest : write the nearest result if the target is out of reach
    compare_scratch : also train a network of the same shape from random weights, for as long

    Raises
    ------
    UsageError : one of the arguments is wrong, or the model is compressed already
    ModelError : the model cannot be read
    MissingLibraryError : the engine is not installed
    OutputError : the output exists and `overwrite` is not set
    """
    path = find_model(model)
    file = read_model(path)
    # The standard network is compressed, and the result has no other.
    file = replace(file, card=file.card.at_quality(STANDARD))
    card = file.card
    target = Path(output or f"{card.name}-compressed.onnx")
    if target.suffix.lower() != ".onnx":
        raise UsageError("-o", f"{target} does not end in .onnx", "rename it")
    _check_card(model, card)
    if unknown := sorted({*taught} - {*TAUGHT}):
        problem = f"{unknown[0]!r} is nothing that a network teaches"
        raise UsageError("--teach", problem, f"choose among {', '.join(TAUGHT)}")
    speed_value = None if speed is None else parse_number("--speed", speed, "x")
    loss_value = None if loss is None else parse_number("--loss", loss, "dB")
    if speed_value is not None and speed_value <= 1:
        raise UsageError("--speed", f"{speed_value:g}x is no gain", "give more than 1, such as 2x")
    if speed_value is None and loss_value is None:
        loss_value = DEFAULT_LOSS
    if time is not None and steps is not None:
        raise UsageError("--steps", "it cannot be combined with --time", "leave out one")
    spec = _operator_spec(card, operator)
    source = find_operator(spec)
    if (photos is None) != bool(source.pairs):
        problem = "a folder of photos is required" if photos is None else "pairs: has its own"
        raise UsageError("--photos", problem, "give one" if photos is None else "leave it out")
    Model.open(path, device="cpu", threads=1, engine=engine)  # a missing engine fails here
    config = _config(card, spec, source, params or {}, time, steps)
    check_absent(target, overwrite=overwrite)
    make_folder(target.parent)
    return CompressionRequest(
        model=path,
        file=file,
        config=config,
        operator=source,
        photos=None if photos is None else Path(photos),
        validation=None if validation is None else Path(validation),
        output=target,
        run_dir=Path(run_dir or Path("runs", slugify(target.stem))),
        speed=speed_value,
        loss=loss_value,
        engine=engine,
        separable=separable,
        taught=tuple(taught),
        int8=int8,
        nearest=nearest,
        compare_scratch=compare_scratch,
        overwrite=overwrite,
    )


def parse_number(option: str, text: float | str, unit: str) -> float:
    """Return a number above 0, given as a number or as text with or without its unit.

    Raises
    ------
    UsageError : it is no such number

    Examples
    --------
    >>> parse_number("--speed", "2x", "x"), parse_number("--loss", "0.1 dB", "dB")
    (2.0, 0.1)
    """
    match = re.fullmatch(rf"(\d+(?:\.\d+)?|\.\d+)\s*({unit})?", str(text).strip(), re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise UsageError(option, f"{text!r} is not a number above 0", f"write it as 2{unit}")
    return float(match[1])


def _check_card(model: str | Path, card: Card) -> None:
    """Check that the network of a model can be compressed."""
    if RECORD in card.training:
        remedy = "give the model that it was made from"
        raise UsageError(str(model), "this model is compressed already", remedy)
    if network_spec(card.network) is None:
        problem = f"the layers of its network {card.network} are unknown"
        raise UsageError(str(model), problem, f"give a model of {', '.join(NETWORKS)}")


def _operator_spec(card: Card, operator: str | None) -> str:
    """Return the operator of a model. A card from elsewhere must not name code to run."""
    if operator is not None:
        name = card_operator_name(operator)
        if name != card.operator:
            problem = f"the model imitates {card.operator}, not {name}"
            raise UsageError("--operator", problem, "name the operator that it was trained on")
        return operator
    if card.operator not in OPERATORS:
        remedy = "name the operator with --operator, such as python:file.py:function"
        raise UsageError(f"model {card.name}", f"its operator is {card.operator}", remedy)
    return card.operator


def _config(
    card: Card,
    spec: str,
    source: Operator,
    params: Mapping[str, Value],
    time: str | None,
    steps: int | None,
) -> TrainConfig:
    """Return the configuration of a training like that on the card."""
    values: dict[str, Value] = {param.name: param.value for param in card.params}
    values |= {p.name: p.value for p in card.fixed_params if p.sha256 is None and p.value}
    values |= _files(card, params)
    network = network_spec(card.network)
    options = dict(network.train_defaults if network else {}) | _kept_settings(card)
    names = {param.name for param in source.params if isinstance(param, Param)}
    config = TrainConfig(
        operator=spec,
        network=card.network,
        params={} if source.pairs else source.resolve_params(values),
        sliders={p.name: (p.low, p.high) for p in card.sliders if p.name in names},
        guided=card.guide is not None,
        global_context=bool(card.thumbnail_size),
        grey=source.grey,
        start_fraction=0.0,
        freeze_norm_at=0.0,
        steps=steps,
        budget=None if steps else _budget(time),
        **options,
    )
    if card.guide is not None:
        config = replace(config, guide_size=card.guide.size, guide_ratio=card.guide.max_ratio)
    return config


def _kept_settings(card: Card) -> dict[str, Any]:
    """Return the settings on a card that suit its network; one from elsewhere may hold anything."""
    settings = card.training.get("settings")
    if not isinstance(settings, dict):
        return {}
    kept: dict[str, Any] = {}
    for name, default in ((f.name, f.default) for f in fields(TrainConfig)):
        value: Any = settings.get(name)
        if isinstance(value, list) and all(isinstance(side, int) for side in value):
            value = tuple(value)
        kind = (int, float) if isinstance(default, float) else type(default)
        if name in _KEPT_SETTINGS and isinstance(value, kind):
            kept[name] = value
    return kept


def _files(card: Card, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the files that the operator was given, which have to be given again."""
    expected = {fixed.name: fixed for fixed in card.fixed_params if fixed.sha256}
    for name in params:
        if name not in expected:
            raise UsageError(f"--{name}", "the network keeps its values and sliders", "omit it")
    for name, fixed in expected.items():
        value = params.get(name)
        if not value:
            problem = f"its operator used the file {fixed.value}, which the card does not hold"
            raise UsageError(f"model {card.name}", problem, f"give it with --{name} FILE")
        if digest(Path(str(value))) != fixed.sha256:
            problem = f"{value} is not the file {fixed.value} that the network was trained with"
            raise UsageError(f"--{name}", problem, "give that file")
    return {name: params[name] for name in expected}


def _budget(time: str | None) -> float:
    try:
        return parse_budget(time or DEFAULT_TIME)
    except UsageError as error:
        raise UsageError("--time", error.problem, error.remedy) from error
