"""Evaluate: how close networks come to their operator on a folder of photos, and how fast."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.editing.edit import operator_params, slider_params
from burnish.errors import UsageError, warn
from burnish.evaluation.reference import reference_operator
from burnish.metrics import MIN_SSIM_SIDE
from burnish.operators.user_defined import find_runnable_operator
from burnish.params import Value
from burnish.progress import SILENT, Progress
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model import Model
from burnish.training import pairs
from burnish.training.evaluation import ImageFunction, Report, evaluate
from burnish.training.pairs import Pair, PairSpec
from burnish.types import Pixels

# The slow operator is timed on so many photos at each size.
TIMED_PHOTOS = 3
# What is timed is first run on a corner of so many pixels: compilers and caches warm up.
WARMUP_SIDE = 64
# What helps where photos are too small to be judged.
_SIZE_REMEDY = "give larger photos, or a larger --largest"


@dataclass(frozen=True)
class ModelScore:
    """A network (or the untouched photo, or the operator itself) on photos of one size.

    Parameters
    ----------
    name : of the model; "untouched" and "slow operator" beside them
    report : errors against the operator; None for the operator itself
    seconds_per_megapixel : a megapixel
    macs_per_pixel, parameters : of the network: multiply-adds a pixel, numbers learnt
    """

    name: str
    report: Report | None
    seconds_per_megapixel: float | None = None
    macs_per_pixel: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Benchmark:
    """The rows of the photos at one size; `short_side` is None for their own size."""

    short_side: int | None
    megapixels: float
    count: int
    scores: tuple[ModelScore, ...]


def evaluate_models(
    models: Sequence[str | Path],
    photos: Path,
    *,
    params: Mapping[str, Value] | None = None,
    operator: str | None = None,
    sizes: Sequence[int] = (),
    max_size: int = 10**6,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    progress: Progress = SILENT,
) -> list[Benchmark]:
    """Compare networks of one operator with it, on every photo of a folder, size by size.

    Parameters
    ----------
    params : values of the operator's parameters, by name or keyword; the cards' serve for the rest
    operator : the slow operator where the models' cards name none that burnish knows
    sizes : sizes to bring the photos to, px, beside their own; a photo that is not well above
        such a size has no part in it
    max_size : photos are brought down to this longer side first, px
    progress : receives the progress of each task

    Raises
    ------
    UsageError : no photos, models of different operators or values, or values they have not learnt
    ModelError, DeviceError, OperatorError, PhotoError : as `burnish.apply` raises them

    Warns
    -----
    UserWarning : a photo that cannot be read, or is too small to be judged, is left out
    """
    loaded_models = [Model.open(m, device=device, threads=threads, engine=engine) for m in models]
    params = params or {}
    spec, values = _common_operator(loaded_models, params, operator)
    jobs = pairs.plan_pairs(
        spec,
        values,
        pairs.find_photos(photos),
        short_sides=tuple(sizes),
        max_size=max_size,
        cache=pairs.cache_folder(),
    )
    jobs = _large_enough(jobs, photos)
    progress.start("computing pairs", len(jobs))
    computed_pairs = pairs.compute_pairs(jobs, progress=progress)
    reference = find_runnable_operator(spec)
    benchmarks = []
    for short_side, group in _group_by_size(computed_pairs, sizes).items():
        progress.start("evaluating", len(group) * (1 + len(loaded_models)))
        scores = [ModelScore("untouched", evaluate(lambda rgb, _: rgb, group, progress))]
        scores += [
            _score_model(model, slider_params(model.card, params), group, progress)
            for model in loaded_models
        ]
        seconds = _time_operator(
            lambda rgb, given: reference.run(rgb, **given), group[:TIMED_PHOTOS]
        )
        scores.append(ModelScore("slow operator", None, seconds))
        report = scores[0].report
        megapixels = report.megapixels if report else 0.0
        benchmarks.append(Benchmark(short_side, megapixels, len(group), tuple(scores)))
    return benchmarks


def _large_enough(jobs: Sequence[PairSpec], photos: Path) -> list[PairSpec]:
    """Leave out what is too small for the measures."""
    large_jobs = []
    for job in jobs:
        if min(job.size) >= MIN_SSIM_SIDE:
            large_jobs.append(job)
            continue
        height, width = job.size
        warn(
            f"left out: {job.photo}: expected {MIN_SSIM_SIDE} pixels or more at the shorter side, got "
            f"{width} x {height}; {_SIZE_REMEDY}"
        )
    if not large_jobs:
        raise UsageError(
            str(photos),
            expected=f"photos of {MIN_SSIM_SIDE} pixels or more at their shorter side",
            got="none",
            remedy=_SIZE_REMEDY,
        )
    return large_jobs


def _common_operator(
    models: Sequence[Model], params: Mapping[str, Value], operator: str | None
) -> tuple[str, dict[str, Value]]:
    """Return the one operator and the values that all the models are to be held against."""
    tasks = []
    for model in models:
        spec = operator or reference_operator(model.card).name
        model_params = {} if operator else operator_params(model.card, params)
        tasks.append((spec, find_runnable_operator(spec).resolve_params(model_params)))
    for model, task in zip(models, tasks, strict=True):
        if task != tasks[0]:
            raise UsageError(
                f"model {model.card.name}",
                expected=f"the operator and the values of model {models[0].card.name}",
                got=f"{task[0]} at {task[1]}",
                remedy="evaluate it by itself, or give values that both have learnt",
            )
    return tasks[0]


def _group_by_size(
    computed_pairs: Sequence[Pair], sizes: Sequence[int]
) -> dict[int | None, list[Pair]]:
    """Group pairs: a photo's first is its own size, the others are named by their shorter side."""
    groups: dict[int | None, list[Pair]] = {None: []}
    seen = set()
    for pair in computed_pairs:
        key = min(pair.size) if pair.digest in seen else None
        seen.add(pair.digest)
        groups.setdefault(key, []).append(pair)
    return {key: groups[key] for key in (None, *sorted(sizes)) if key in groups}


def _score_model(
    model: Model,
    sliders: Mapping[str, Value],
    group: Sequence[Pair],
    progress: Progress,
) -> ModelScore:
    def run(rgb: Pixels, _: Mapping[str, Value]) -> Pixels:
        return model(rgb, sliders)

    timed = _TimedFilter(run, group[0])
    report = evaluate(timed, group, progress)
    card = model.card
    return ModelScore(
        card.name, report, timed.seconds_per_megapixel, card.macs_per_pixel, card.parameter_count
    )


class _TimedFilter:
    """A filter that adds up how long it takes, warmed up on a corner of a photo."""

    def __init__(self, run: ImageFunction, first: Pair) -> None:
        corner = first.read(slice(0, WARMUP_SIDE), slice(0, WARMUP_SIDE))[0]
        run(np.ascontiguousarray(corner), first.values)
        self.run = run
        self.seconds = 0.0
        self.pixels = 0

    def __call__(self, rgb: Pixels, values: Mapping[str, Value]) -> Pixels:
        start = time.perf_counter()
        result = self.run(rgb, values)
        self.seconds += time.perf_counter() - start
        self.pixels += rgb.shape[0] * rgb.shape[1]
        return result

    @property
    def seconds_per_megapixel(self) -> float:
        """Seconds a megapixel so far."""
        return self.seconds / self.pixels * 1e6


def _time_operator(run: ImageFunction, group: Sequence[Pair]) -> float:
    """Return seconds a megapixel over a few photos."""
    timed = _TimedFilter(run, group[0])
    for pair in group:
        timed(pair.read()[0], pair.values)
    return timed.seconds_per_megapixel
