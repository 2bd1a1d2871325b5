"""Helpers of the benchmarks that score bundled networks: scores for JSON, and guides."""

from collections.abc import Mapping
from typing import Any

from burnish.editing.edit import NetworkEdit
from burnish.modelfile.card import Card
from burnish.params import Value
from burnish.runtime.model import Model
from burnish.training.evaluation import ImageFunction, Report

# The names of rows, by the source of the first level's result.
GUIDE_LABELS = {
    None: "network",
    "operator": "network, guide: operator",
    "network": "network, guide: network",
}


def summary(report: Report) -> dict[str, Any]:
    """Return the scores of a report, rounded, for JSON."""
    mean, worst = report.mean, report.worst
    return {
        "psnr": round(mean.psnr, 2),
        "worst_psnr": round(worst.psnr, 2),
        "ssim": round(mean.ssim, 4),
        "worst_ssim": round(worst.ssim, 4),
        "cast": round(mean.cast, 2),
        "worst_cast": round(worst.cast, 2),
        "grain": None if mean.grain is None else round(mean.grain, 2),
        "worst_photo": report.worst_photo,
    }


def guides_of(card: Card) -> list[str | None]:
    """Return the guides that a network can have; None for a network without a guide."""
    if card.guide is None:
        return [None]
    return ["operator", "network"] if card.guide.start else ["operator"]


def network_function(model: Model, params: Mapping[str, Value], guide: str | None) -> ImageFunction:
    """Return a network with its guide as a function for `evaluate`."""
    edit = NetworkEdit(model, params, guide=guide)
    return lambda rgb, _: edit.run(rgb)


def print_summary(label: str, scores: Mapping[str, Any]) -> None:
    """Print the scores of a row."""
    grain = "" if scores["grain"] is None else f"{scores['grain']:6.2f}"
    print(
        f"{label:56}{scores['psnr']:7.2f} worst {scores['worst_psnr']:6.2f} "
        f"{scores['worst_photo']:24.24} cast {scores['cast']:6.2f} grain {grain}",
        flush=True,
    )
