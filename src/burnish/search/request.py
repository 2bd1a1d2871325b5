"""Check a request for a search before hours are spent on it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from burnish.compression.request import parse_number
from burnish.errors import UsageError, missing_library
from burnish.files import atomic_write
from burnish.networks.registry import DEFAULT_NETWORK, NETWORKS, unet_name
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE, ENGINES
from burnish.runtime.session import load_engine
from burnish.search.predictors import PREDICTORS
from burnish.search.space import Candidate
from burnish.search.table import Table
from burnish.training.config import TrainConfig
from burnish.training.request import TrainingRequest
from burnish.training.request import validate_request as validate_training

Sampler = Literal["nsga2", "tpe", "random", "morphnet", "amc"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
DEFAULT_BUDGET = "2h"
DEFAULT_PREDICTOR = "boosting"
TRIAL_STEPS = 300
# The settings of short trainings: small crops of small photos.
_TRIAL: dict[str, Any] = {
    "batch": 4,
    "crop": 96,
    "max_size": 720,
    "short_sides": (),
    "budget": None,
}
# The network that a search is compared with, and the guide that it takes.
REFERENCE = Candidate(unet_name({"factor": 2, **NETWORKS[DEFAULT_NETWORK].arguments}), 4.0)


@dataclass(frozen=True)
class SearchRequest:
    """A checked request; see `validate_request`.

    Attributes
    ----------
    training : the request that the final trainings follow; its budget is that of the whole search
    latency : the most CPU time for a megapixel in ms; None for any
    speed : in place of `latency`, how many times as fast as `REFERENCE`; None for any
    energy : the bytes that a network moves are a third objective
    prior : measurements of other operators that the predictor also learns from
    """

    training: TrainingRequest
    engine: str
    latency: float | None
    speed: float | None
    energy: bool
    sampler: Sampler
    predictor: str
    trial_steps: int
    finalists: int
    compare: bool
    prior: Table | None

    @property
    def budget(self) -> float:
        """The time for the whole search in seconds."""
        return self.training.config.budget or 0.0

    @property
    def trial_config(self) -> TrainConfig:
        """The configuration of the short trainings."""
        return replace(self.training.config, steps=self.trial_steps, **_TRIAL)

    def to_json(self) -> dict[str, Any]:
        """Return all that the measurements depend on, as values that JSON can hold."""
        record = {
            name: getattr(self, name) for name in ("engine", "energy", "sampler", "predictor")
        }
        record["config"] = self.trial_config.to_json()
        record["photos"] = [str(self.training.photos), str(self.training.validation)]
        values: dict[str, Any] = json.loads(json.dumps(record))
        return values

    def check_folder(self) -> None:
        """Check that the folder is new, or that of an equal search.

        Raises
        ------
        UsageError : it holds another search
        """
        path, current = self.training.run_dir / "request.json", self.to_json()
        if not path.exists():
            with atomic_write(path, overwrite=True) as file:
                file.write(json.dumps(current, indent=1).encode())
            return
        saved = json.loads(path.read_text())
        different = [name for name, value in current.items() if saved.get(name) != value]
        if different:
            raise UsageError(
                str(self.training.run_dir),
                f"the folder holds another search, with a different {', '.join(different)}",
                "repeat the command that began it, or choose another --run-dir",
            )


def validate_request(
    operator: str,
    *,
    photos: Path | None = None,
    validation: Path | None = None,
    params: Mapping[str, Value] | None = None,
    output: Path | None = None,
    run_dir: Path | None = None,
    budget: str = DEFAULT_BUDGET,
    engine: str = DEFAULT_ENGINE,
    latency: str | None = None,
    speed: str | None = None,
    energy: bool = False,
    sampler: str = SAMPLERS[0],
    predictor: str = DEFAULT_PREDICTOR,
    trial_steps: int = TRIAL_STEPS,
    finalists: int = 1,
    compare: bool = True,
    table: Path | None = None,
    seed: int = 0,
    licence: str = "unstated",
    overwrite: bool = False,
) -> SearchRequest:
    """Check a user's options, and return the request.

    Parameters
    ----------
    operator, photos, validation, params, output, run_dir, licence, overwrite :
        see `burnish.training.request.validate_request`
    budget : of the whole search, such as "2h"
    engine : the engine that the network has to be fast on
    latency : the most CPU time for a megapixel, such as "40ms/MP"
    speed : in place of `latency`, how many times as fast as `fast` the network has to be
    energy : the bytes that a network moves are a third objective
    sampler : proposes candidates, one of `SAMPLERS`
    predictor : screens proposals, see `burnish.search.predictors.PREDICTORS`
    trial_steps : of the short training of each candidate
    finalists : the number of networks that are trained to the end
    compare : also train `fast` to the end
    table : measurements of other operators, that the predictor also learns from

    Raises
    ------
    UsageError : one of the arguments is wrong
    MissingLibraryError : the engine or Optuna is not installed
    """
    if latency is not None and speed is not None:
        raise UsageError("--speed", "it cannot be combined with --latency", "leave one of them out")
    _check_choice("--engine", engine, ENGINES)
    _check_choice("--sampler", sampler, SAMPLERS)
    _check_choice("--predictor", predictor, PREDICTORS)
    load_engine(engine)
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing_library(error) from error
    training = validate_training(
        operator,
        photos=photos,
        validation=validation,
        params=params,
        output=output,
        run_dir=run_dir,
        budget=budget,
        seed=seed,
        licence=licence,
        overwrite=overwrite,
    )
    return SearchRequest(
        training=training,
        engine=engine,
        latency=None if latency is None else parse_number("--latency", latency, "ms/MP"),
        speed=None if speed is None else parse_number("--speed", speed, "x"),
        energy=energy,
        sampler=next(name for name in SAMPLERS if name == sampler),
        predictor=predictor,
        trial_steps=trial_steps,
        finalists=finalists,
        compare=compare,
        prior=None if table is None else Table(table),
    )


def _check_choice(option: str, name: str, choices: Mapping[str, object] | tuple[str, ...]) -> None:
    if name not in choices:
        problem = f"there is no {option.strip('-')} {name!r}"
        raise UsageError(option, problem, f"choose one of {', '.join(choices)}")
