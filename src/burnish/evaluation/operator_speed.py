"""The times of operators and of their networks on this machine, kept for later commands."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import burnish
from burnish.errors import MissingLibraryError
from burnish.files import atomic_write, cache_root, make_folder
from burnish.operators.registry import OPERATORS

if TYPE_CHECKING:
    from burnish.types import Pixels

# An operator that takes at most this many times as long as its network counts as equally fast.
_TOLERANCE = 1.25
# Side of the corner that is edited first, so that loading and compiling are not measured, px.
_WARMUP_SIDE = 64
# Functions that take longer, in seconds, are run once, and others three times.
_SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class OperatorSpeed:
    """The seconds that an operator and its network take for the same image.

    `guide` is the source of a guided network's first result, the best that is installed.
    """

    operator: str
    operator_seconds: float
    network_seconds: float
    guide: str | None

    @property
    def as_fast(self) -> bool:
        """True if the operator takes about as long as its network, or less."""
        return self.operator_seconds <= _TOLERANCE * self.network_seconds


def measure_speeds(pixels: "Pixels", models: Iterable[str]) -> Iterator[OperatorSpeed]:
    """Time bundled networks and the operators of the same names on an image.

    Operators whose libraries are not installed are left out.
    """
    from burnish.editing.edit import NetworkEdit, load_edit
    from burnish.evaluation.compare import reference_function
    from burnish.modelfile.reader import read_card
    from burnish.runtime.model_registry import find_model

    for name in filter(OPERATORS.__contains__, models):
        edit = load_edit(name, {})
        assert isinstance(edit, NetworkEdit)
        try:
            OPERATORS[name].load_function()
        except MissingLibraryError:
            continue
        operator = reference_function(read_card(find_model(name)), {})
        operator_seconds, network_seconds = _seconds(operator, pixels), _seconds(edit.run, pixels)
        yield OperatorSpeed(name, operator_seconds, network_seconds, edit.guide)


def _seconds(run: "Callable[[Pixels], Pixels]", pixels: "Pixels") -> float:
    """Return the shortest time of up to three runs."""
    run(pixels[:_WARMUP_SIDE, :_WARMUP_SIDE].copy())
    times: list[float] = []
    while len(times) < 3 and max(times, default=0.0) < _SLOW_SECONDS:
        start = time.perf_counter()
        run(pixels)
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


def save_speeds(speeds: Iterable[OperatorSpeed]) -> None:
    """Keep measurements for `read_speeds`, instead of earlier ones.

    Raises
    ------
    OutputError : the file in the cache cannot be written
    """
    record = {"burnish": burnish.__version__, "speeds": [asdict(speed) for speed in speeds]}
    make_folder(_file().parent)
    with atomic_write(_file(), overwrite=True) as file:
        file.write(json.dumps(record, indent=2).encode())


def read_speeds() -> dict[str, OperatorSpeed]:
    """Return the measurements that this version of burnish has made on this machine, by name."""
    try:
        record = json.loads(_file().read_bytes())
        if record["burnish"] != burnish.__version__:
            return {}
        speeds = [OperatorSpeed(**fields) for fields in record["speeds"]]
    except (OSError, ValueError, KeyError, TypeError):  # none, or another program's file
        return {}
    return {speed.operator: speed for speed in speeds}


def _file() -> Path:
    return cache_root() / "operator-speed.json"
