"""The engine and the precision for a model: the quickest that keep its fidelity on this machine.

A short measurement decides, once for each kind of network, and is kept in the cache folder. ONNX
Runtime in float32 stays unless something else is clearly quicker, because it starts at once.
"""

import json
import platform
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from math import inf
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from burnish.errors import BurnishError
from burnish.files import atomic_write, cache_root, make_folder
from burnish.modelfile.card import Card, Precision
from burnish.modelfile.reader import ModelFile
from burnish.runtime.engines import AUTO, DEFAULT_ENGINE, ENGINES, PRECISIONS
from burnish.runtime.session import get_session, load_engine, precision_error
from burnish.runtime.tiled_network import ImageAccess, TiledNetwork

# The PSNR that a precision may cost, in dB.
MAX_LOSS = 0.05
# For photos, a choice other than ONNX Runtime in float32 counts as slower by this factor: OpenVINO
# takes 0.2 s to load and 0.07 s to compile a network, and a measurement varies by a few percent.
_HANDICAP = 1.15
# Side of the measured image in px, and the number of runs after the first one.
_SIDE = 384
_RUNS = 2


@dataclass(frozen=True)
class EngineChoice:
    """An engine and the precision that it computes in."""

    engine: str
    precision: Precision


_DEFAULT = EngineChoice(DEFAULT_ENGINE, "fp32")
# Choice -> CPU seconds for a megapixel on one core
Times = Mapping[EngineChoice, float]

_times: dict[str, Times] = {}
_lock = Lock()


def choose(
    file: ModelFile,
    device: str = AUTO,
    engine: str = AUTO,
    precision: str = AUTO,
    bits: int | None = None,
    *,
    video: bool = False,
) -> EngineChoice:
    """Return the engine and the precision for results of so many bits a channel.

    Parameters
    ----------
    engine, precision : a name, which is used, or "auto"
    bits : [default: results are floats]
    video : whether the time to load an engine does not count

    Raises
    ------
    PrecisionError : no engine has the precision, or not on the device or for this model
    """
    if precision == "int8" and not file.card.ranges:
        problem = f"the card of {file.card.name} has no ranges of its features"
        raise precision_error(precision, problem)
    if _uses_cuda(file, device, engine, precision):
        if precision not in (AUTO, "fp32"):
            raise precision_error(precision, f"on {device}, networks run in fp32 only")
        return EngineChoice(DEFAULT_ENGINE, "fp32")
    engines = [engine] if engine != AUTO else installed_engines()
    precisions = [one for one in PRECISIONS if one == precision]
    if precision == AUTO:
        precisions = ["fp32"] if bits is None or bits > 8 else allowed_precisions(file.card)
    if len(engines) == len(precisions) == 1:
        return EngineChoice(engines[0], precisions[0])
    handicap = 1.0 if video else _HANDICAP
    best = _quickest(engines, precisions, engine_times(file), handicap)
    if best is None or best.precision not in load_engine(best.engine).precisions():
        # The measurement may be that of another machine with this name.
        best = _quickest(engines, precisions, engine_times(file, again=True), handicap)
    if best is None and precision != AUTO:
        raise precision_error(precision, "no engine here has such arithmetic")
    return best or EngineChoice(engines[0], "fp32")  # which reports why it cannot run the model


def installed_engines() -> list[str]:
    """Return the engines whose libraries are installed, the default one first."""
    return [name for name in ENGINES if find_spec(name) is not None]


def runnable_precisions(card: Card, engine: str) -> list[Precision]:
    """Return the precisions that an engine has on this machine and a model can run in.

    Raises
    ------
    MissingLibraryError : the engine is not installed
    """
    precisions = load_engine(engine).precisions()
    return [name for name in precisions if name != "int8" or card.ranges]


def allowed_precisions(card: Card) -> list[Precision]:
    """Return the precisions in which a model keeps its fidelity, as its card has measured it.

    Examples
    --------
    >>> from burnish.runtime.model import Model
    >>> allowed_precisions(Model.open("l0-smoothing").card)[0]
    'fp32'
    """
    psnrs: dict[Precision, dict[Hashable, float]] = {name: {} for name in PRECISIONS}
    for row in card.metrics:
        photos = row.photos, row.guide, tuple(row.params.items())
        psnrs[row.precision][photos] = row.psnr_mean
    losses = {
        name: [psnrs["fp32"].get(photos, inf) - psnr for photos, psnr in psnrs[name].items()]
        for name in PRECISIONS
    }
    # Cards state 0.01 dB.
    return [
        "fp32",
        *(name for name in PRECISIONS[1:] if max(losses[name], default=inf) < MAX_LOSS + 0.005),
    ]


def _uses_cuda(file: ModelFile, device: str, engine: str, precision: str) -> bool:
    """Return whether a model runs on CUDA: on request, or because it works and nothing forbids."""
    if device.startswith("cuda"):
        return engine in (AUTO, DEFAULT_ENGINE)
    if device == "cpu" or engine not in (AUTO, DEFAULT_ENGINE) or precision not in (AUTO, "fp32"):
        return False
    from burnish.runtime.onnx_runtime import has_cuda

    return has_cuda() and get_session(file, device).device != "cpu"


def _quickest(
    engines: Sequence[str], precisions: Sequence[Precision], times: Times, handicap: float
) -> EngineChoice | None:
    """Return the quickest of the measured choices; None if none of them was measured.

    Parameters
    ----------
    handicap : the factor by which all choices but the default one count as slower
    """
    seconds = {
        choice: value * (handicap if choice != _DEFAULT else 1)
        for choice, value in times.items()
        if choice.engine in engines and choice.precision in precisions
    }
    return min(seconds, key=seconds.__getitem__, default=None)


def engine_times(file: ModelFile, *, again: bool = False) -> Times:
    """Return the times of a network on this machine, by engine and precision.

    They are measured once for all networks of the same architecture, with the same versions of the
    engines, and kept in the cache folder if it can be written.

    Parameters
    ----------
    again : whether to measure in any case
    """
    key = times_key(file.card)
    with _lock:
        if again or (key not in _times and not _read(key)):
            _times[key] = measure(file)
            _write(key)
        return _times[key]


def times_key(card: Card) -> str:
    """Return the key of the times of a network: machine, versions of engines and architecture."""
    kind = f"{card.network}, {card.macs_per_pixel} multiply-adds{', int8' * bool(card.ranges)}"
    return f"{_machine()}: {kind}"


def measure(file: ModelFile) -> Times:
    """Time a network on all installed engines in all their precisions.

    An engine that cannot run it is left out.
    """
    card = file.card
    pixels = np.full((_SIDE, _SIDE, 3), 0.5, np.float32)
    guide = pixels if card.guide else None
    thumbnail = np.full((card.thumbnail_size, card.thumbnail_size, 3), 0.5, np.float32)
    networks: dict[EngineChoice, Callable[[], object]] = {}
    seconds: dict[EngineChoice, float] = {}
    for engine in installed_engines():
        try:
            for precision in runnable_precisions(card, engine):
                network = TiledNetwork(file, "cpu", 1, engine, precision)
                run: Callable[[], object] = partial(
                    network.run,
                    ImageAccess.in_memory(pixels, np.empty_like(pixels)),
                    {},
                    max(2**30, network.min_memory((_SIDE, _SIDE))),
                    None,
                    thumbnail=thumbnail,
                    coarse=guide,
                )
                run()  # libraries compile kernels in their first run
                networks[EngineChoice(engine, precision)] = run
        except (BurnishError, ImportError, MemoryError, OSError, RuntimeError):
            continue
    for _ in range(_RUNS):
        for choice, run in networks.items():
            start = _clock()
            run()
            elapsed = (_clock() - start) / (_SIDE**2 / 1e6)
            seconds[choice] = min(elapsed, seconds.get(choice, elapsed))
    return seconds


# The time of other programs does not count, where the system measures that finely.
_is_fine = time.get_clock_info("process_time").resolution < 1e-3
_clock = time.process_time if _is_fine else time.perf_counter


@cache
def _machine() -> str:
    """Return a text that changes with the machine and the versions of engines."""
    versions = [f"{name} {_version(name)}" for name in ("burnish", *installed_engines())]
    return ", ".join([platform.node(), platform.machine(), *versions])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # such as onnxruntime-gpu
        return str(getattr(import_module(package), "__version__", ""))


def _read(key: str) -> bool:
    """Read times from the cache folder; return whether there are some that are valid."""
    try:
        seconds = {
            EngineChoice(engine, precision): float(value)
            for engine, times in json.loads(_file().read_bytes())[key].items()
            for precision, value in times.items()
            if precision in PRECISIONS and engine in ENGINES
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
    if not seconds or not all(0 < value < inf for value in seconds.values()):
        return False
    _times[key] = seconds
    return True


def _write(key: str) -> None:
    """Add times to the file in the cache folder; a folder that cannot be written is left alone."""
    record: dict[str, Any] = {}
    with suppress(OSError, ValueError, TypeError):
        record = dict(json.loads(_file().read_bytes()))
    engines: dict[str, dict[str, float]] = {}
    for choice, seconds in _times[key].items():
        engines.setdefault(choice.engine, {})[choice.precision] = round(seconds, 4)
    record[key] = engines
    with suppress(OSError, BurnishError):
        make_folder(_file().parent)
        with atomic_write(_file(), overwrite=True) as file:
            file.write(json.dumps(record, indent=2).encode())


def _file() -> Path:
    return cache_root() / "engine-speed.json"
