"""Checks of the installation: a demonstration, versions, a self-test and the models' speed."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyvips

import burnish
from burnish.editing.card_params import operator_params
from burnish.editing.edit import load_edit
from burnish.editing.guide import load_guide
from burnish.editing.options import WriteOptions
from burnish.editing.photo import apply_to_file
from burnish.errors import MissingLibraryError
from burnish.evaluation.compare import side_by_side
from burnish.evaluation.operator_speed import OperatorSpeed, measure_speeds
from burnish.files import check_absent
from burnish.modelfile.reader import read_card, read_model
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.runtime.engine_choice import (
    choose,
    engine_times,
    installed_engines,
    runnable_precisions,
)
from burnish.runtime.engines import ENGINES
from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model, model_names
from burnish.runtime.session import error_text, load_engine
from burnish.types import Pixels

SAMPLE = Path(__file__).parent.parent / "samples" / "coffee.jpg"
DEMO_OPERATOR = "l0-smoothing"

# Required packages, and those of the extras.
_PACKAGES = (
    *("numpy", "pyvips", "pyvips-binary", "onnx", "onnxruntime", "pydantic", "typer", "rich"),
    "faster-coco-eval",
)
_OPTIONAL = (
    *(
        "av",
        "openvino",
        "rawpy",
        "scipy",
        "numba",
        "scikit-image",
        "opencv-contrib-python-headless",
    ),
    *("pillow-heif", "opencolorio", "torch", "torchvision", "timm", "onnxscript"),
)
# Side of the image for timing models, in pixels, and the number of runs after a warm-up.
BENCH_SIDE = 1000
BENCH_RUNS = 5


def demonstrate(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the edited sample and a before | after image into `folder`; return their paths.

    Raises
    ------
    OutputError : one of them exists and `overwrite` is not set
    """
    target = folder / f"{SAMPLE.stem}.{DEMO_OPERATOR}.jpg"
    sheet = folder / f"{SAMPLE.stem}.before-after.png"
    for path in (target, sheet):
        check_absent(path, overwrite=overwrite)
    apply_to_file(load_edit(DEMO_OPERATOR, {}), SAMPLE, target, WriteOptions(overwrite=overwrite))
    before, after = Photo.open(SAMPLE).pixels, Photo.open(target).pixels
    side_by_side([(before, "before"), (after, "after")]).save(sheet, overwrite=overwrite)
    return [target, sheet]


@dataclass(frozen=True)
class Check:
    """One part of the self-test; `failure` is empty if the part passed."""

    name: str
    failure: str


def installation_info() -> dict[str, Any]:
    """Return versions, engines and models. What is not installed is None."""
    return {
        "burnish": burnish.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "libvips": ".".join(str(pyvips.version(part)) for part in range(3)),
        "packages": {name: _version(name) for name in _PACKAGES},
        "optional": {name: _version(name) for name in _OPTIONAL},
        "engines": {name: _engine_text(name) for name in ENGINES},
        "providers": onnxruntime.get_available_providers(),
        "models": model_names(),
    }


def _engine_text(engine: str) -> str | None:
    """Return the precisions of an engine on this machine; None if it is not installed."""
    try:
        return " ".join(load_engine(engine).precisions())
    except MissingLibraryError:
        return None
    except (ImportError, OSError, RuntimeError) as error:
        return f"does not load: {error_text(error)}"


def defaults() -> dict[str, Any]:
    """Return what `--device auto`, `--engine auto` and `--precision auto` choose, and why.

    The device, the choice for 16-bit outputs and the times are those of the first bundled network.
    """
    names = model_names()
    model = Model.open(names[0])
    models_by_choice: dict[str, list[str]] = {}
    for name in names:
        choice = choose(read_model(find_model(name)), bits=8)
        models_by_choice.setdefault(f"{choice.engine} {choice.precision}", []).append(name)
    chosen = {
        "16-bit outputs and floats": f"{model.engine} {model.precision}",
        "8-bit outputs": "; ".join(
            f"{choice} for {', '.join(models)}" for choice, models in models_by_choice.items()
        ),
    }
    times = engine_times(model.file) if model.device == "cpu" else {}
    return {
        "device": model.device,
        "default": chosen,
        "speed": {
            f"{choice.engine} {choice.precision}": f"{seconds:.3f} CPU s/Mpx"
            for choice, seconds in times.items()
        },
    }


def self_test(progress: Progress = SILENT) -> list[Check]:
    """Check that writing a photo preserves it, and that tiles do not change a model's output.

    Guided models are checked with their start network and, if it can be run, with their operator.

    Parameters
    ----------
    progress : receives a task per check
    """
    tests = {"a photo is the same after writing and reading it": _check_writing}
    for name in model_names():
        tests[f"model {name}: tiles equal the whole"] = partial(_check_tiles, name)
    checks = []
    for name, test in tests.items():
        progress.start(name)
        checks.append(_check(name, test))
    return checks


@dataclass(frozen=True)
class Timing:
    """The time of a model on an engine, in seconds per megapixel."""

    model: str
    engine: str
    precision: str
    device: str
    threads: int | None
    median: float
    minimum: float
    maximum: float


def bench_image() -> Pixels:
    """Return the image for timing models, of one megapixel."""
    pixels = _tile_to_width(Photo.open(SAMPLE).pixels, BENCH_SIDE)
    rows = ceil(BENCH_SIDE / pixels.shape[0])
    pixels = np.tile(pixels, (rows, 1, 1))[:BENCH_SIDE, :BENCH_SIDE]
    return np.ascontiguousarray(pixels)


def time_models(threads: int | None = None) -> Iterator[Timing]:
    """Time all bundled models on all installed engines in all precisions, on `bench_image`."""
    pixels = bench_image()
    for name in model_names():
        card = read_card(find_model(name))
        for engine in installed_engines():
            for precision in runnable_precisions(card, engine):
                model = Model.open(name, threads=threads, engine=engine, precision=precision)
                seconds = [_seconds(model, pixels) for _ in range(1 + BENCH_RUNS)][1:]
                spread = float(np.median(seconds)), min(seconds), max(seconds)
                yield Timing(name, engine, precision, model.device, threads, *spread)


def time_operators() -> Iterator[OperatorSpeed]:
    """Time the operators of the bundled models, beside their networks, on `bench_image`."""
    return measure_speeds(bench_image(), model_names())


def _seconds(model: Model, pixels: Pixels) -> float:
    start = time.perf_counter()
    model(pixels)
    megapixels: float = pixels.size / 3e6
    return (time.perf_counter() - start) / megapixels


def _check(name: str, test: Callable[[], str]) -> Check:
    try:
        return Check(name, test())
    except Exception as error:  # one failed check must not stop the others
        return Check(name, f"{type(error).__name__}: {error}")


def _check_writing() -> str:
    photo = Photo.open(SAMPLE)
    decoded = Photo.open(photo.encode("png"))
    return "" if np.array_equal(photo.pixels, decoded.pixels) else "pixels differ"


def _check_tiles(name: str) -> str:
    model = Model.open(name)
    quick = model.for_bits(8)
    models = [model]
    if (quick.engine, quick.precision) != (model.engine, model.precision):
        models.append(quick)
    width = 4 * (model.card.halo + model.card.size_multiple)
    pixels = _tile_to_width(Photo.open(SAMPLE).pixels, width)
    size = pixels.shape[:2]
    guides: list[Pixels | None] = [None]
    operator = load_guide(model.card, operator_params(model.card, {}), {}, None)
    if operator is not None:
        first_level = model.first_level(*size)
        guides.append(operator.compute(lambda part: pixels[part.slices], size, first_level))
    pairs = [(model, guide) for model in models for guide in guides]
    return next(filter(None, (_compare_tiles(model, pixels, guide) for model, guide in pairs)), "")


def _compare_tiles(model: Model, pixels: Pixels, guide: Pixels | None) -> str:
    tiles: list[float] = []
    whole: list[float] = []
    min_memory = model.min_memory(*pixels.shape[:2])
    tiled = model(pixels, guide=guide, memory=min_memory, on_progress=tiles.append)
    untiled = model(pixels, guide=guide, on_progress=whole.append)
    if len(tiles) <= len(whole):
        return "the image was not split into tiles"
    # On a GPU, the order of summation depends on the size of a tile.
    same = np.array_equal if model.device == "cpu" else partial(np.allclose, rtol=0, atol=1e-5)
    return "" if same(tiled, untiled) else f"they differ by {np.abs(tiled - untiled).max():.2g}"


def _tile_to_width(pixels: Pixels, min_width: int) -> Pixels:
    """Repeat an image horizontally to a width of at least `min_width`."""
    return np.tile(pixels, (1, ceil(min_width / pixels.shape[1]), 1))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
