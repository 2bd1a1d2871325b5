"""TrainConfig: everything that a training depends on. It is saved with the result."""

import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from burnish.errors import UsageError
from burnish.operators.user_defined import card_operator_name, find_operator
from burnish.params import Param, Value

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}
_POSITIVE = ("steps", "budget", "batch", "crop", "max_size", "max_lr", "clip_norm")
# Lowest and highest values. `burnish.modelfile.card.Guide` allows no others.
_RANGES = {"varied_fraction": (0, 100), "guide_size": (32, 4096), "guide_ratio": (1.25, 16)}
_FRACTIONS = (
    *("warmup_fraction", "freeze_norm_at", "ema_decay"),
    *("slider_fraction", "synthetic_fraction", "start_fraction"),
)


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a training.

    Parameters
    ----------
    operator : a name of `burnish.operators.registry`, or ``python:…``, ``command:…``, ``pairs:…``
    network : a name of `burnish.networks.registry`
    params : the values of all the operator's parameters, by name
    sliders : the parameters that stay adjustable: name -> lowest and highest value
    slider_samples : each photo is also used at so many random values of the sliders
    slider_fraction : the last fraction of the training, in which only the sliders' weights change
    guided : the network takes a guide, see `burnish.networks.network.Network`
    guide_size : the shorter side of the photo at the first level of the cascade, px
    guide_ratio : the largest ratio of the sizes of two levels
    start : the model that the start network, which begins the cascade, is initialised from, as its
        name and a hash of its file; empty for random weights
    start_fraction : the first fraction of the training, in which the start network is trained. At
        0 it is that of `start`, or there is none
    start_full_size : without the operator, the start network computes a photo at its own size, in
        place of the cascade
    small_copies : the network is a start network. Its photos are smaller copies of others, so that
        an operator's parameters that depend on the size of the photo have other values
    global_context : the network, or the start network of a guided one, also sees a thumbnail of the
        whole photo
    grey : the network's output is always grey
    synthetic_fraction : the number of synthetic images for each photo, see
        `burnish.training.data`. Pairs that are given as files have none
    varied_fraction : the number of varied pictures for each photo, see `burnish.training.augment`.
        Pairs that are given as files have none
    steps : the number of steps; None if there is a budget
    budget : the length of the training in seconds; None if there is a number of steps
    batch : the number of crops in a step, for each process
    crop : side of a crop, px. Smaller photos are not trained on
    short_sides : each photo is also used at these sizes, given by its shorter side in pixels, if
        they are well below its own. An operator's parameters are in pixels, so that each
        resolution is another task for the network
    max_size : photos are first shrunk to this longer side, px
    optimiser, weight_decay : see `burnish.training.optimiser`
    max_lr, warmup_fraction : see `burnish.training.trainer.learning_rate`
    freeze_norm_at : the fraction after which the statistics of normalisers are constant
    clip_norm : the largest norm of a gradient. Gradients of smoothing networks typically have half
        this norm
    ema_decay : the decay of the averaged weights. 0.999 averages about 1000 steps
    seed : seed of all random choices
    init_from : the model that the training starts from, as its name and a hash of its file; empty
        for random weights

    Raises
    ------
    UsageError : a number is outside its range, or not one of `steps` and `budget` is given
    """

    operator: str
    network: str
    params: dict[str, Value] = field(default_factory=dict)
    sliders: dict[str, tuple[float, float]] = field(default_factory=dict)
    slider_samples: int = 1
    slider_fraction: float = 0.4
    guided: bool = False
    guide_size: int = 256
    guide_ratio: float = 4.5
    start: str = ""
    start_fraction: float = 0.4
    start_full_size: bool = False
    small_copies: bool = False
    global_context: bool = False
    grey: bool = False
    synthetic_fraction: float = 0.3
    varied_fraction: float = 0.0
    steps: int | None = None
    budget: float | None = None
    batch: int = 2
    crop: int = 256
    short_sides: tuple[int, ...] = (256, 384, 544, 768, 1080)
    max_size: int = 2160
    optimiser: Literal["muon", "adamw"] = "adamw"
    max_lr: float = 5e-4
    warmup_fraction: float = 0.05
    freeze_norm_at: float = 0.05
    weight_decay: float = 1e-4
    clip_norm: float = 0.1
    ema_decay: float = 0.999
    seed: int = 0
    init_from: str = ""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.budget is None):
            raise UsageError(
                "--steps", "either --steps or --budget is needed, not both", "leave out one"
            )
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise _range_error(name, "a number above 0", value)
        for name in _FRACTIONS:
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise _range_error(name, "a fraction from 0 to below 1", value)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise _range_error(name, f"{low:g} to {high:g}", value)

    @property
    def has_start(self) -> bool:
        """True if the network is guided and gets a start network."""
        return self.guided and bool(self.start or self.start_fraction)

    @property
    def start_config(self) -> "TrainConfig":
        """The configuration of the training of the start network, on small copies of the photos."""
        return replace(
            self._part(self.start_fraction),
            guided=False,
            small_copies=True,
            # At most half the shorter side; the networks need a multiple of 16.
            crop=min(self.crop, self.guide_size // 32 * 16),
            max_size=self.guide_size * 3 // 2,
            short_sides=(),
            init_from=self.start,
            start="",
        )

    @property
    def guided_config(self) -> "TrainConfig":
        """The configuration of the training of the network itself, after its start network's."""
        return self._part(1 - self.start_fraction) if self.has_start else self

    def _part(self, fraction: float) -> "TrainConfig":
        """Return the configuration with a part of the steps or of the budget."""
        return replace(
            self,
            steps=self.steps and max(1, round(fraction * self.steps)),
            budget=self.budget and fraction * self.budget,
        )

    @property
    def operator_name(self) -> str:
        """The operator's name on cards."""
        return card_operator_name(self.operator)

    @property
    def slider_params(self) -> tuple[Param, ...]:
        """The sliders in the operator's order, with the ranges and defaults of this config."""
        if not self.sliders:
            return ()  # without importing a user's script
        return tuple(
            replace(
                param,
                low=low,
                high=high,
                default=param.check(self.params.get(param.name, param.default)),
            )
            for param in find_operator(self.operator).params
            if isinstance(param, Param) and param.name in self.sliders
            for low, high in [self.sliders[param.name]]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the config as values that JSON can hold."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def parse_budget(text: str) -> float:
    """Parse a duration such as ``30m``, ``1h30m`` or ``45s`` into seconds.

    Raises
    ------
    UsageError : the text is not a duration

    Examples
    --------
    >>> parse_budget("30m"), parse_budget("1h30m"), parse_budget("1.5h")
    (1800.0, 5400.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds == 0:
        raise UsageError("--budget", f"{text!r} is not a duration", "write it as 30m or 1h30m")
    return seconds


def _range_error(where: str, expected: str, value: float) -> UsageError:
    return UsageError(where, expected=expected, got=str(value), remedy="see `burnish train --help`")
