"""Evaluate: how close networks come to their operator on a folder of photos, and how fast."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.editing.edit import operator_of, params_of, sliders_of
from burnish.errors import UsageError, warn
from burnish.operators.user_defined import resolve_callable
from burnish.params import Value
from burnish.runtime.engines import DEFAULT_ENGINE
from burnish.runtime.model import Model
from burnish.training import pairs
from burnish.training.evaluation import LEAST_SIDE, Filter, Report, evaluate
from burnish.training.pairs import Job, Pair
from burnish.types import Pixels

# The slow operator is timed on so many photos at each size.
TIMED = 3
# What is timed is first run on a corner of so many pixels: compilers and caches warm up.
CORNER = 64
# What helps where photos are too small to be judged.
_LARGER = "give larger photos, or a larger --largest"


@dataclass(frozen=True)
class Row:
    """A network (or the untouched photo, or the operator itself) on photos of one size.

    Parameters
    ----------
    name : of the model; "untouched" and "slow operator" beside them
    report : errors against the operator; None for the operator itself
    seconds : a megapixel
    macs, parameters : of the network: multiply-adds a pixel, numbers learnt
    """

    name: str
    report: Report | None
    seconds: float | None = None
    macs: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Table:
    """The rows of the photos at one size; `short_side` is None for their own size."""

    short_side: int | None
    megapixels: float
    count: int
    rows: tuple[Row, ...]


def evaluate_models(
    models: Sequence[str | Path],
    photos: Path,
    *,
    params: Mapping[str, Value] | None = None,
    operator: str | None = None,
    short_sides: Sequence[int] = (),
    largest: int = 10**6,
    device: str = "auto",
    threads: int | None = None,
    engine: str = DEFAULT_ENGINE,
    begin: Callable[[str, int], None] = lambda task, total: None,
    tick: Callable[[], None] = lambda: None,
) -> list[Table]:
    """Compare networks of one operator with it, on every photo of a folder, size by size.

    Parameters
    ----------
    params : values of the operator's parameters, by name or keyword; the cards' serve for the rest
    operator : the slow operator where the models' cards name none that burnish knows
    short_sides : sizes to bring the photos to, px, beside their own; a photo that is not well above
        such a size has no part in it
    largest : photos are brought down to this longer side first, px
    begin, tick : told of a task with its number of parts, and of each part done

    Raises
    ------
    UsageError : no photos, models of different operators or values, or values they have not learnt
    ModelError, DeviceError, OperatorError, PhotoError : as `burnish.apply` raises them

    Warns
    -----
    UserWarning : a photo that cannot be read, or is too small to be judged, is left out
    """
    opened = [Model.open(m, device=device, threads=threads, engine=engine) for m in models]
    params = params or {}
    spec, values = _task(opened, params, operator)
    jobs = pairs.plan(
        spec,
        values,
        pairs.find_photos(photos),
        short_sides=tuple(short_sides),
        largest=largest,
        cache=pairs.cache_folder(),
    )
    jobs = _large_enough(jobs, photos)
    begin("making pairs", len(jobs))
    made = pairs.make(jobs, tick=tick)
    slow = resolve_callable(spec)
    tables = []
    for short_side, group in _by_size(made, short_sides).items():
        begin("evaluating", len(group) * (1 + len(opened)))
        rows = [Row("untouched", evaluate(lambda rgb, _: rgb, group, tick))]
        rows += [_row(model, sliders_of(model.card, params), group, tick) for model in opened]
        seconds = _seconds(lambda rgb, given: slow.run(rgb, **given), group[:TIMED])
        rows.append(Row("slow operator", None, seconds))
        report = rows[0].report
        megapixels = report.megapixels if report else 0.0
        tables.append(Table(short_side, megapixels, len(group), tuple(rows)))
    return tables


def _large_enough(jobs: Sequence[Job], photos: Path) -> list[Job]:
    """Leave out what is too small for the measures."""
    kept = []
    for job in jobs:
        if min(job.size) >= LEAST_SIDE:
            kept.append(job)
            continue
        height, width = job.size
        warn(
            f"left out: {job.photo}: expected {LEAST_SIDE} pixels or more at the shorter side, got "
            f"{width} x {height}; {_LARGER}"
        )
    if not kept:
        raise UsageError(
            str(photos),
            expected=f"photos of {LEAST_SIDE} pixels or more at their shorter side",
            got="none",
            remedy=_LARGER,
        )
    return kept


def _task(
    models: Sequence[Model], params: Mapping[str, Value], operator: str | None
) -> tuple[str, dict[str, Value]]:
    """Return the one operator and the values that all the models are to be held against."""
    tasks = []
    for model in models:
        spec = operator or operator_of(model.card).name
        own = {} if operator else params_of(model.card, params)
        tasks.append((spec, resolve_callable(spec).settle(own)))
    for model, task in zip(models, tasks, strict=True):
        if task != tasks[0]:
            raise UsageError(
                f"model {model.card.name}",
                expected=f"the operator and the values of model {models[0].card.name}",
                got=f"{task[0]} at {task[1]}",
                remedy="evaluate it by itself, or give values that both have learnt",
            )
    return tasks[0]


def _by_size(made: Sequence[Pair], short_sides: Sequence[int]) -> dict[int | None, list[Pair]]:
    """Group pairs: a photo's first is its own size, the others are named by their shorter side."""
    groups: dict[int | None, list[Pair]] = {None: []}
    seen = set()
    for pair in made:
        key = min(pair.size) if pair.digest in seen else None
        seen.add(pair.digest)
        groups.setdefault(key, []).append(pair)
    return {key: groups[key] for key in (None, *sorted(short_sides)) if key in groups}


def _row(
    model: Model, sliders: Mapping[str, Value], group: Sequence[Pair], tick: Callable[[], None]
) -> Row:
    def run(rgb: Pixels, _: Mapping[str, Value]) -> Pixels:
        return model(rgb, sliders)

    timed = _Timed(run, group[0])
    report = evaluate(timed, group, tick)
    card = model.card
    return Row(card.name, report, timed.a_megapixel, card.macs_per_pixel, card.parameters)


class _Timed:
    """A filter that adds up how long it takes, warmed up on a corner of a photo."""

    def __init__(self, run: Filter, first: Pair) -> None:
        corner = first.read(slice(0, CORNER), slice(0, CORNER))[0]
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
    def a_megapixel(self) -> float:
        """Seconds a megapixel so far."""
        return self.seconds / self.pixels * 1e6


def _seconds(run: Filter, group: Sequence[Pair]) -> float:
    """Return seconds a megapixel over a few photos."""
    timed = _Timed(run, group[0])
    for pair in group:
        timed(pair.read()[0], pair.values)
    return timed.a_megapixel
