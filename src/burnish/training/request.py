"""An order for a model: checked as far as it can be before hours are spent on it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.errors import UsageError
from burnish.files import check_absent, make_folder
from burnish.modelfile.reader import ModelFile, read_model
from burnish.modelfile.weights import named_weights
from burnish.networks.network import Network
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS, build
from burnish.operators.operator import Operator
from burnish.operators.user_defined import Pairs, find_operator
from burnish.params import Param, Value
from burnish.training.config import TrainConfig, parse_budget
from burnish.training.init_weights import init_from

DEFAULT_BUDGET = "30m"


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, on what, and where the model file goes; made by `validate_request`."""

    config: TrainConfig
    photos: Path | None
    validation: Path | None
    output: Path
    run_dir: Path
    overwrite: bool
    licence: str
    save_every: float
    initial_weights: Mapping[str, NDArray[np.float32]] | None = None

    @property
    def name(self) -> str:
        """What the model is called, after its file."""
        return slugify(self.output.stem)


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
    global_context: bool | None = None,
    init_from: Path | None = None,
    **options: Any,
) -> TrainingRequest:
    """Check everything that a person can have got wrong.

    Parameters
    ----------
    operator : a name of the table, or ``python:…``, ``command:…``, ``pairs:…``
    photos, validation : folders of photos to learn from and to judge on; pairs bring their own
    params : the operator's parameters by name or keyword
    output : the model file; by default NAME.onnx here
    run_dir : folder of the checkpoint, by default runs/NAME
    licence : who may use the model, for its card
    save_every : seconds between two checkpoints
    budget, steps : how long; by default 30m
    sliders : parameters to learn over a range: NAME, or NAME=LOW:HIGH for a part of its range
    global_context : whether the network sees a small version of the whole photo; by default where the
        operator looks far and the network can take one
    init_from : a model file of the same network, to begin with its weights
    options : the other fields of `Settings`; None is 'as the network is best trained'

    Raises
    ------
    UsageError : an unknown operator, parameter, network or length of time; photos missing
    ModelError : there is no such model to start from
    OutputError : the model file exists and `overwrite` is not set
    """
    source = find_operator(operator)
    given_params = {name: value for name, value in (params or {}).items() if value is not None}
    if isinstance(source, Pairs):
        _reject_for_pairs({"--photos": photos, "--held-out": validation, **given_params})
        values = {}
    else:
        values = source.resolve_params(given_params)
        if photos is None:
            raise _usage_error("--photos", "a folder of photos", "none", "name one with --photos")
    if network not in NETWORKS:
        choice = f"one of {', '.join(NETWORKS)}"
        raise _usage_error("--network", choice, repr(network), "choose one of them")
    spec = NETWORKS[network]
    if global_context is None:
        global_context = (
            spec.supports_conditioning and isinstance(source, Operator) and source.needs_thumbnail
        )
    target = output or Path(f"{slugify(source.name)}.onnx")
    if target.suffix.lower() != ".onnx":
        raise _usage_error("-o", "a name that ends in .onnx", str(target), "rename it")
    if not licence.strip():
        raise _usage_error(
            "--licence", "words", "none", "say who may use the model, or leave it out"
        )
    if steps is None and budget is None:
        budget = DEFAULT_BUDGET
    base_model = read_model(init_from) if init_from else None
    config = TrainConfig(
        operator=operator,
        network=network,
        params=values,
        sliders=_parse_sliders(source, values, sliders),
        global_context=global_context,
        grey=isinstance(source, Operator) and source.grey,
        steps=steps,
        budget=parse_budget(budget) if budget else None,
        init_from=f"{base_model.card.name} {base_model.sha256[:12]}" if base_model else "",
        **spec.train_defaults
        | {name: value for name, value in options.items() if value is not None},
    )
    built_network = _build_network(config)
    initial_weights = _initial_weights(base_model, built_network) if base_model else None
    check_absent(target, overwrite=overwrite)
    make_folder(target.parent)  # last: nothing is made for an order that is refused
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
    )


def _initial_weights(base_model: ModelFile, network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the weights that a training begins with, once they are seen to fit."""
    initial = named_weights(base_model)
    init_from(network, initial, base_model.card.name)
    return initial


def _build_network(config: TrainConfig) -> Network:
    """Return the network that is asked for, once it is seen to take the sliders and the crops."""
    network = build(config.network, config.slider_params, config.global_context)
    if config.crop % network.size_multiple:
        expected = (
            f"a multiple of {network.size_multiple}, as {config.network} cuts photos into cells"
        )
        raise _usage_error("--crop", expected, str(config.crop), "round it up")
    return network


def _parse_sliders(
    operator: Operator | Pairs, values: Mapping[str, Value], sliders: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Read what is to be learnt over a range: NAME or NAME=LOW:HIGH."""
    params = operator.params if isinstance(operator, Operator) else ()
    known = {param.name: param for param in params if isinstance(param, Param)}
    ranges = {}
    for text in sliders:
        name, has_bounds, bounds = text.partition("=")
        param = known.get(name)
        if param is None:
            choice = f"one of {', '.join(known)}" if known else "none, as there is nothing to turn"
            raise _usage_error("--slider", choice, repr(name), "choose one of them or leave it out")
        low, high = param.low, param.high
        if has_bounds:
            low, high = _parse_range(param, text, bounds)
        value = float(str(values[name]))
        if not low <= value <= high:
            expected = f"a range around {value:g}, what holds where nothing is said"
            raise _usage_error(f"--slider {name}", expected, f"{low:g} to {high:g}", "widen it")
        ranges[name] = (low, high)
    return ranges


def _parse_range(param: Param, text: str, bounds: str) -> tuple[float, float]:
    try:
        low, high = (param.check(float(end)) for end in bounds.split(":"))
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        expected = f"{param.name}=LOW:HIGH within {param.range}"
        raise _usage_error(
            "--slider", expected, repr(text), "give two numbers, the lower one first"
        )
    return low, high


def slugify(name: str) -> str:
    """Return a name as cards and file names take it.

    Examples
    --------
    >>> slugify("_My Glow (2)"), slugify("***")
    ('my-glow-2', 'own')
    """
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:64].strip("-.") or "own"


def _reject_for_pairs(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value is not None:
            expected = "none, since pairs are what they are"
            raise _usage_error(name, expected, str(value), "leave it out")


def _usage_error(where: str, expected: str, got: str, remedy: str) -> UsageError:
    return UsageError(where, expected=expected, got=got, remedy=remedy)
