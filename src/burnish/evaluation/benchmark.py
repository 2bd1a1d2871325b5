"""Evaluation of networks against their operator on a folder of photos: errors and times."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from burnish.editing.card_params import operator_params
from burnish.editing.edit import NetworkEdit
from burnish.errors import UsageError, warn
from burnish.evaluation.compare import chosen_params, reference_operator
from burnish.evaluation.network_scores import NetworkSource, Timer, score_network
from burnish.metrics import MIN_SSIM_SIDE
from burnish.modelfile.card import Card
from burnish.operators.operator import Operator
from burnish.operators.user_defined import card_operator_name, find_operator
from burnish.params import Value
from burnish.progress import SILENT, Progress
from burnish.runtime.engines import AUTO
from burnish.runtime.model import Model
from burnish.training import pairs
from burnish.training.evaluation import Report, evaluate
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import Pair, PairSpec

# Default of the longer side, in pixels, to which photos are reduced. No photo is larger.
MAX_SIZE = 10**6
# Number of photos per size on which the reference operator is timed.
TIMED_PHOTOS = 3
# The values at which sliders are evaluated, as fractions of their range.
SLIDER_FRACTIONS = (0, 1 / 3, 2 / 3, 1)
_SIZE_REMEDY = "give larger photos, or a larger --max-size"


@dataclass(frozen=True)
class ModelScore:
    """The score of a network, of the unchanged photos or of the operator, at one size.

    Parameters
    ----------
    name : "unedited", "operator", or the model's name; if several have it, the file as it was given
    guide : the source of a guided network's first result: "operator" or "network"
    engine, precision : the library that ran a network, and its arithmetic
    report : errors against the operator; None for the operator itself
    seconds_per_megapixel : time per megapixel; None for the unchanged photos
    macs_per_pixel, parameters : the network's multiply-adds per pixel and its parameter count
    """

    name: str
    report: Report | None
    seconds_per_megapixel: float | None = None
    macs_per_pixel: int | None = None
    parameters: int | None = None
    guide: str | None = None
    engine: str | None = None
    precision: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """The scores at one size and one set of values.

    Parameters
    ----------
    params : values of sliders that were given
    short_side : shorter side of the photos, in pixels; None for their original size
    megapixels : mean size of the photos
    """

    params: Mapping[str, Value]
    short_side: int | None
    megapixels: float
    count: int
    scores: tuple[ModelScore, ...]


def evaluate_models(
    models: Sequence[str | Path],
    photos: Path | None = None,
    *,
    params: Mapping[str, Value] | None = None,
    operator: str | None = None,
    sizes: Sequence[int] = (),
    max_size: int = MAX_SIZE,
    sliders: bool = False,
    guide: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    engine: str = AUTO,
    precision: str = AUTO,
    progress: Progress = SILENT,
) -> list[Benchmark]:
    """Compare networks with their operator on all photos of a folder, at one or several sizes.

    Parameters
    ----------
    photos : a folder; not for ``pairs:…``, which have their own photos, at their own size
    params : values of the operator's parameters, by name or keyword [default: those of the cards]
    operator : the operator to compare with, if the cards name one that is not bundled; or
        ``pairs:…`` for the photos of a folder after an operator that cannot be run
    sizes : shorter sides, in pixels, to which the photos are also reduced; photos that are not
        well above a size are skipped at that size
    max_size : longer side, in pixels, to which larger photos are reduced first
    sliders : also evaluate at both ends and at the thirds of each slider, the others at `params`.
        An operator is timed at `params` only, and pairs are not
    guide, engine : see `burnish.apply`
    precision : arithmetic of the networks; "auto" is fp32, since scores compare floats
    progress : receives two tasks: computing pairs, and evaluating, once per size and values

    Raises
    ------
    UsageError : there are no photos, or the models differ in their operator or values, or were
        not trained for a value; or the values of `operator` do not follow the sliders
    ModelError, DeviceError, OperatorError, PhotoError : as in `burnish.apply`

    Warns
    -----
    UserWarning : a photo is skipped, because it cannot be read or is too small
    """
    open_model = partial(
        Model.open, device=device, threads=threads, engine=engine, precision=precision
    )
    loaded_models = [open_model(model) for model in models]
    cards = [model.card for model in loaded_models]
    settings = [dict(params or {})]
    if sliders:
        if operator and card_operator_name(operator) != cards[0].operator:
            problem = f"the values of the operator {operator} would not follow the sliders"
            raise UsageError("sliders", problem, "leave out --operator, or --sliders")
        settings += slider_settings(cards[0], settings[0])
    tasks = [_common_operator(cards, setting, operator) for setting in settings]
    reference = find_operator(tasks[0][0])
    files = _find_files(reference, photos, sizes=sizes, max_size=max_size)
    plans = [
        pairs.plan_pairs(spec, values, files, short_sides=tuple(sizes), max_size=max_size)
        for spec, values in tasks
    ]
    plans = [large_enough(plan, str(photos or operator)) for plan in plans]
    progress.start("computing pairs", sum(map(len, plans)))
    compute_pairs([job for plan in plans for job in plan], progress=progress)
    names = _row_names(models, cards)
    benchmarks = []
    for setting, plan in zip(settings, plans, strict=True):
        edits = [NetworkEdit(model, setting, guide=guide) for model in loaded_models]
        values = tuple(sorted(setting.items()))
        sources = [
            NetworkSource(str(model), values, guide, device, engine, precision) for model in models
        ]
        for short_side, group in _group_by_size(pairs.load_pairs(plan), sizes).items():
            progress.start("evaluating", len(group) * (1 + len(edits)))
            report = evaluate(lambda rgb, _: rgb, group, progress)
            scores = [ModelScore("unedited", report)]
            scores += [
                _score_model(*entry, group, progress)
                for entry in zip(names, loaded_models, edits, sources, strict=True)
            ]
            if setting is settings[0] and not reference.pairs:
                scores.append(_score_operator(reference, group))
            benchmarks.append(
                Benchmark(setting, short_side, report.megapixels, len(group), tuple(scores))
            )
    return benchmarks


def _find_files(
    operator: Operator, photos: Path | None, *, sizes: Sequence[int], max_size: int
) -> list[Path]:
    """Return the photos to evaluate on; pairs have their own, which are not resized."""
    if not operator.pairs:
        if photos is None:
            raise UsageError("photos", "a folder of photos is required", "give one")
        return pairs.find_photos(photos)
    for name, given in (
        ("photos", photos is not None),
        ("size", bool(sizes)),
        ("max-size", max_size != MAX_SIZE),
    ):
        if given:
            problem = "pairs: has its own photos, at their own size"
            raise UsageError(name, problem, "leave it out")
    return []


def _row_names(models: Sequence[str | Path], cards: Sequence[Card]) -> list[str]:
    """Return different names for all models: those of the cards, or the files as they were given.

    Examples
    --------
    >>> card = Card.model_construct(name="glow")
    >>> _row_names(["a/glow.onnx", "b/glow.onnx", "b/glow.onnx"], [card, card, card])
    ['a/glow.onnx', 'b/glow.onnx', 'b/glow.onnx (2)']
    """
    used = Counter(["unedited", "operator", *(card.name for card in cards)])
    names: list[str] = []
    for model, card in zip(models, cards, strict=True):
        name = card.name if used[card.name] == 1 else str(model)
        copies = sum(str(other) == str(model) for other in models[: len(names)])
        names.append(f"{name} ({copies + 1})" if copies else name)
    return names


def slider_settings(card: Card, params: Mapping[str, Value]) -> list[dict[str, Value]]:
    """Return values at `SLIDER_FRACTIONS` of the range of each slider, the others at `params`."""
    return [
        {**params, param.name: param.as_param().at_fraction(fraction)}
        for param in card.sliders
        for fraction in SLIDER_FRACTIONS
    ]


def large_enough(jobs: Sequence[PairSpec], source: str) -> list[PairSpec]:
    """Drop photos that are too small for SSIM."""
    for job in jobs:
        if min(job.size) < MIN_SSIM_SIDE:
            height, width = job.size
            warn(
                f"{job.photo}: skipped, because {width} x {height} pixels are too few; the shorter "
                f"side must be {MIN_SSIM_SIDE} or more; {_SIZE_REMEDY}"
            )
    large_jobs = [job for job in jobs if min(job.size) >= MIN_SSIM_SIDE]
    if not large_jobs:
        problem = f"no photo has a shorter side of {MIN_SSIM_SIDE} pixels or more"
        raise UsageError(source, problem, _SIZE_REMEDY)
    return large_jobs


def _common_operator(
    cards: Sequence[Card], params: Mapping[str, Value], operator: str | None
) -> tuple[str, dict[str, Value]]:
    """Return the operator and the parameter values that all models imitate."""
    tasks = []
    for card in cards:
        if operator:
            spec, card_params = operator, chosen_params(card, params, operator)
        else:
            spec, card_params = reference_operator(card).name, operator_params(card, params)
        tasks.append((spec, find_operator(spec).resolve_params(card_params)))
    for card, task in zip(cards, tasks, strict=True):
        if task != tasks[0]:
            first = f"model {cards[0].name} imitates {_task_text(tasks[0])}"
            problem = f"it imitates {_task_text(task)}, but {first}"
            remedy = "evaluate it separately, or give values that both were trained for"
            raise UsageError(f"model {card.name}", problem, remedy)
    return tasks[0]


def _task_text(task: tuple[str, dict[str, Value]]) -> str:
    name, values = task
    return " ".join([name, *(f"--{param} {value}" for param, value in values.items())])


def _group_by_size(
    computed_pairs: Sequence[Pair], sizes: Sequence[int]
) -> dict[int | None, list[Pair]]:
    """Group pairs by shorter side. The first pair of a photo has the original size: key None."""
    groups: dict[int | None, list[Pair]] = {None: []}
    digests = set()
    for pair in computed_pairs:
        key = min(pair.size) if pair.digest in digests else None
        digests.add(pair.digest)
        groups.setdefault(key, []).append(pair)
    return {key: groups[key] for key in (None, *sorted(sizes)) if key in groups}


def _score_model(
    name: str,
    model: Model,
    edit: NetworkEdit,
    source: NetworkSource,
    group: Sequence[Pair],
    progress: Progress,
) -> ModelScore:
    report, seconds_per_megapixel = score_network(source, edit, group, progress)
    return ModelScore(
        name,
        report,
        seconds_per_megapixel,
        model.card.macs_per_pixel,
        model.card.parameter_count,
        edit.guide,
        model.engine,
        model.precision,
    )


def _score_operator(operator: Operator, group: Sequence[Pair]) -> ModelScore:
    timer = Timer(lambda rgb, values: operator.run(rgb, **values), group[0])
    for pair in group[:TIMED_PHOTOS]:
        timer(pair.read()[0], pair.values)
    return ModelScore("operator", None, timer.seconds_per_megapixel)
