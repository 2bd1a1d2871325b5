"""Settings: everything a training depends on, in one frozen dataclass saved with its result."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from burnish.errors import UsageError
from burnish.operators.operator import Operator
from burnish.operators.user_defined import find_operator
from burnish.params import Param, Value

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class TrainConfig:
    """What is trained, on what, how and for how long.

    Parameters
    ----------
    operator : a name of the table, or ``python:…``, ``command:…``, ``pairs:…``
    network : a name of `burnish.networks.registry`
    params : the operator's parameters, all of them, by name
    steps : stop after so many steps; None where `budget` says when
    budget : stop after so many seconds of training; None where `steps` says when
    sliders : parameters that the network learns over a range rather than at one value, by name:
        the lowest and the highest value. Each photo is then also learned at `slider_samples` random values
    slider_samples : see `sliders`
    slider_fraction : the share of the training, at its end, that is the sliders'
    global_context : whether the network is shown a small version of the whole photo: for operators that
        look far
    grey : whether every result of the operator is grey, so that the network's are by construction
    synthetic_fraction : so many pictures of flat areas, slopes and plain shapes for each photo are learnt beside
        the photos, see `burnish.training.synthetic`; none where the operator is given as pairs
    batch, crop : so many square crops of `crop` pixels a step, in each process; photos, or sizes
        of photos, that are smaller are not trained on
    short_sides : each photo is also learned at these sizes (its shorter side, in pixels), as far
        as they are well below its own: an operator's parameters are in pixels, so a network that
        has seen one resolution has learned one of several tasks
    max_size : a photo is brought down to this longer side first
    optimiser : see `burnish.training.optimiser`
    max_lr : the learning rate at the top of its one cycle
    warmup_fraction : the share of the training in which the rate rises; after it, a cosine to zero
    freeze_norm_at : the share after which the normalisers keep their statistics for good
    clip_norm : gradients are shortened to this; typical ones of a smoothing network are half of it
    ema_decay : the weights that ship are a running average with this memory (0.999: ~1000 steps)
    seed : every random choice follows from it
    init_from : the model whose weights the training began with, by name and the digest of its
        file; empty where they were random
    """

    operator: str
    network: str
    params: dict[str, Value] = field(default_factory=dict)
    sliders: dict[str, tuple[float, float]] = field(default_factory=dict)
    slider_samples: int = 1
    slider_fraction: float = 0.4
    global_context: bool = False
    grey: bool = False
    synthetic_fraction: float = 0.3
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
            raise _usage_error("--steps or --budget", "one of the two", "both or none")
        for name in ("steps", "budget", "batch", "crop", "max_size", "max_lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise _usage_error(name, "a number above 0", value)
        for name in ("warmup_fraction", "freeze_norm_at", "ema_decay", "slider_fraction", "synthetic_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise _usage_error(name, "a share from 0 to below 1", getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as what JSON can hold."""
        sliders = {name: list(bounds) for name, bounds in self.sliders.items()}
        return dataclasses.asdict(self) | {
            "short_sides": list(self.short_sides),
            "sliders": sliders,
        }

    @property
    def slider_params(self) -> tuple[Param, ...]:
        """The parameters to learn over a range, in the operator's order, narrowed to it."""
        if not self.sliders:
            return ()  # also spares a user's own script another run
        operator = find_operator(self.operator)
        known = operator.params if isinstance(operator, Operator) else ()
        return tuple(
            dataclasses.replace(
                param,
                low=low,
                high=high,
                default=param.check(self.params.get(param.name, param.default)),
            )
            for param in known
            if isinstance(param, Param) and param.name in self.sliders
            for low, high in [self.sliders[param.name]]
        )

    @classmethod
    def from_json(cls, text: str) -> "TrainConfig":
        """Read settings back from the text of `to_json`.

        Examples
        --------
        >>> settings = TrainConfig("l0-smoothing", "can24", steps=10)
        >>> TrainConfig.from_json(json.dumps(settings.to_json())) == settings
        True
        """
        values = json.loads(text)
        sliders = {name: tuple(bounds) for name, bounds in values["sliders"].items()}
        return cls(**values | {"short_sides": tuple(values["short_sides"]), "sliders": sliders})


def parse_budget(text: str) -> float:
    """Read a length of time such as ``30m``, ``1h30m`` or ``45s`` into seconds.

    Examples
    --------
    >>> parse_budget("30m"), parse_budget("1h30m"), parse_budget("1.5h")
    (1800.0, 5400.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds == 0:
        raise _usage_error("--budget", "a length of time such as 30m or 1h30m", repr(text))
    return seconds


def _usage_error(where: str, expected: str, got: Any) -> UsageError:
    return UsageError(where, expected=expected, got=str(got), remedy="see `burnish train --help`")
