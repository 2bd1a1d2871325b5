"""Scores of the bundled networks at the ends and at the thirds of each slider.

python benchmarks/sliders.py --photos SMALL LARGE --first 3 --json RESULT

All other sliders are at their defaults. Operators in RESULT with the same network and the same
photos are not measured again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import environment, write
from score_helpers import GUIDE_LABELS, guides_of, network_function, print_summary, summary

from burnish.editing.card_params import operator_params
from burnish.evaluation.benchmark import slider_settings
from burnish.operators.paper import PAPER_OPERATORS
from burnish.operators.registry import OPERATORS
from burnish.runtime.model import Model
from burnish.training.evaluation import evaluate
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import find_photos, load_pairs, plan_pairs
from burnish.training.validation import describe_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    parser.add_argument("--first", type=int, help="number of photos of each folder [default: all]")
    parser.add_argument("--largest", type=int, default=1080, help="largest longer side in pixels")
    parser.add_argument("--operators", nargs="*", default=list(PAPER_OPERATORS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"operators": {}}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    results["environment"] = environment()
    photos = [path for folder in options.photos for path in find_photos(folder)[: options.first]]
    source = " and ".join(folder.name for folder in options.photos)
    for name in options.operators:
        model = Model.open(name, threads=options.threads)
        old = results["operators"].get(name, {})
        key = {"sha256": model.sha256, "photos": [path.name for path in photos]}
        if any(old.get(field) != value for field, value in key.items()):
            rows = measure(name, model, photos, source, options.largest)
            results["operators"][name] = key | {"rows": rows}
            write(options.json, results)


def measure(
    name: str, model: Model, photos: Sequence[Path], source: str, largest: int
) -> list[dict[str, Any]]:
    """Return a row of scores for each setting of a slider.

    Parameters
    ----------
    source : the names of the photos' folders
    """
    settings = slider_settings(model.card, {})
    plans = [
        plan_pairs(
            name,
            OPERATORS[name].resolve_params(operator_params(model.card, setting)),
            photos,
            short_sides=(),
            max_size=largest,
        )
        for setting in settings
    ]
    compute_pairs([spec for plan in plans for spec in plan])
    rows = []
    for setting, plan in zip(settings, plans, strict=True):
        pairs = load_pairs(plan)
        [(slider, value)] = setting.items()
        row: dict[str, Any] = {"slider": slider, "value": value, "scores": {}}
        row["photos"] = describe_photos(pairs, source)
        for guide in guides_of(model.card):
            report = evaluate(network_function(model, setting, guide), pairs)
            row["untouched"] = round(report.identity_psnr, 2)
            row["scores"][GUIDE_LABELS[guide]] = summary(report)
            print_summary(f"{name} {slider} {value:g}, {GUIDE_LABELS[guide]}", summary(report))
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
