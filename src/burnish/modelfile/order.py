"""An order for a model: checked as far as it can be before hours are spent on it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import UsageError
from burnish.files import check_free, make_folder
from burnish.networks.table import NETWORKS
from burnish.operators.own import Pairs, resolve
from burnish.params import Value
from burnish.training.settings import Settings, parse_budget

DEFAULT_BUDGET = "30m"


@dataclass(frozen=True)
class Order:
    """What to train, on what, and where the model file goes; made by `prepare`."""

    settings: Settings
    photos: Path | None
    held_out: Path | None
    output: Path
    run: Path
    overwrite: bool
    licence: str
    save_every: float

    @property
    def name(self) -> str:
        """What the model is called, after its file."""
        return slug(self.output.stem)


def prepare(
    operator: str,
    *,
    photos: Path | None = None,
    held_out: Path | None = None,
    params: Mapping[str, Value] | None = None,
    output: Path | None = None,
    run: Path | None = None,
    overwrite: bool = False,
    licence: str = "unstated",
    save_every: float = 60.0,
    network: str = "can24",
    budget: str | None = None,
    steps: int | None = None,
    **settings: Any,
) -> Order:
    """Check everything that a person can have got wrong.

    Parameters
    ----------
    operator : a name of the table, or ``python:…``, ``command:…``, ``pairs:…``
    photos, held_out : folders of photos to learn from and to judge on; pairs bring their own
    params : the operator's parameters by name or keyword
    output : the model file; by default NAME.onnx here
    run : folder of the checkpoint, by default runs/NAME
    licence : who may use the model, for its card
    save_every : seconds between two checkpoints
    budget, steps : how long; by default 30m
    settings : the other fields of `Settings`

    Raises
    ------
    UsageError : an unknown operator, parameter, network or length of time; photos missing
    OutputError : the model file exists and `overwrite` is not set
    """
    found = resolve(operator)
    said = {name: value for name, value in (params or {}).items() if value is not None}
    if isinstance(found, Pairs):
        _refuse_for_pairs({"--photos": photos, "--held-out": held_out, **said})
        values = {}
    else:
        values = found.settle(said)
        if photos is None:
            raise _wrong("--photos", "a folder of photos", "none", "name one with --photos")
    if network not in NETWORKS:
        choice = f"one of {', '.join(NETWORKS)}"
        raise _wrong("--network", choice, repr(network), "choose one of them")
    target = output or Path(f"{slug(found.name)}.onnx")
    if target.suffix.lower() != ".onnx":
        raise _wrong("-o", "a name that ends in .onnx", str(target), "rename it")
    if not licence.strip():
        raise _wrong("--licence", "words", "none", "say who may use the model, or leave it out")
    if steps is None and budget is None:
        budget = DEFAULT_BUDGET
    wanted = Settings(
        operator=operator,
        network=network,
        params=values,
        steps=steps,
        budget=parse_budget(budget) if budget else None,
        **settings,
    )
    check_free(target, overwrite=overwrite)
    make_folder(target.parent)  # last: nothing is made for an order that is refused
    return Order(
        settings=wanted,
        photos=photos,
        held_out=held_out,
        output=target,
        run=run or Path("runs", slug(target.stem)),
        overwrite=overwrite,
        licence=licence,
        save_every=save_every,
    )


def slug(name: str) -> str:
    """Return a name as cards and file names take it.

    Examples
    --------
    >>> slug("_My Glow (2)"), slug("***")
    ('my-glow-2', 'own')
    """
    return re.sub(r"[^a-z0-9.-]+", "-", name.lower()).strip("-.")[:64].strip("-.") or "own"


def _refuse_for_pairs(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            expected = "none, since pairs are what they are"
            raise _wrong(name, expected, str(value), "leave it out")


def _wrong(where: str, expected: str, got: str, remedy: str) -> UsageError:
    return UsageError(where, expected=expected, got=got, remedy=remedy)
