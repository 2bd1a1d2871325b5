"""Scores of a network in each precision that this machine has, on its card."""

from collections.abc import Sequence
from pathlib import Path

from burnish.editing.card_params import operator_params
from burnish.evaluation.benchmark import MAX_SIZE, large_enough
from burnish.evaluation.compare import reference_operator
from burnish.export.onnx_export import write_card
from burnish.modelfile.card import Card, Measurement
from burnish.modelfile.quality import STANDARD, Quality
from burnish.operators.user_defined import find_operator
from burnish.progress import SILENT, Progress
from burnish.runtime.model import Model
from burnish.training import pairs
from burnish.training.pair_computation import compute_pairs
from burnish.training.pipeline import measurement
from burnish.training.validation import validate


def measure_card(
    path: Path,
    photos: Path,
    *,
    operator: str | None = None,
    max_size: int = MAX_SIZE,
    progress: Progress = SILENT,
) -> Card:
    """Score the networks of a file in each precision of this machine; add the scores to the file.

    They replace scores in float32 of the same photos, and all scores in other precisions.

    Parameters
    ----------
    photos : a folder; at the defaults of the sliders, and at random values
    operator : the operator to compare with, if the card names one that is not bundled
    max_size : longer side, in pixels, to which larger photos are reduced first
    progress : receives two tasks: computing pairs, and validating

    Returns
    -------
    The new card

    Raises
    ------
    UsageError : there are no photos that are large enough, or the operator is not known
    ModelError, OperatorError, PhotoError : as in `burnish.apply`
    """
    model = Model.open(path)
    card = model.card
    reference = find_operator(operator) if operator else reference_operator(card)
    plan = pairs.plan_pairs(
        reference.name,
        reference.resolve_params(operator_params(card, {})),
        pairs.find_photos(photos),
        short_sides=(),
        max_size=max_size,
        sliders=[param.as_param() for param in card.sliders],
        slider_samples=1 if card.sliders else 0,
    )
    plan = large_enough(plan, str(photos))
    progress.start("computing pairs", len(plan))
    compute_pairs(plan, progress=progress)
    loaded_pairs = pairs.load_pairs(plan)

    def scores(quality: Quality, old: Sequence[Measurement]) -> tuple[Measurement, ...]:
        network = Model.open(path, quality=quality)
        results = validate(network, reference, loaded_pairs, photos, progress)
        rows = [measurement(result) for result in results]
        new = {_key(row) for row in rows}
        kept = [row for row in old if row.precision == "fp32" and _key(row) not in new]
        return (*kept, *rows)

    others = [
        other.model_copy(update={"metrics": scores(other.quality, other.metrics)})
        for other in card.capacities
    ]
    changes = {"metrics": scores(STANDARD, card.metrics), "capacities": tuple(others)}
    card = card.model_copy(update=changes)
    write_card(path, card)
    return card


def _key(row: Measurement) -> tuple[object, ...]:
    return row.photos, row.guide, row.precision, tuple(row.params.items())
