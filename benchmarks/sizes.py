"""Scores of the bundled networks on the same photos at several sizes.

python benchmarks/sizes.py --photos LARGE --megapixels 0.2 1 4 12 --json RESULT

Each photo is reduced to every size that is smaller than its own, so that a network is scored on the
same content at all sizes. The operators' parameters have their default values. Operators in RESULT
with the same network and the same photos are not measured again.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import environment, write
from score_helpers import GUIDE_LABELS, guides_of, network_function, print_summary, summary

from burnish.editing.card_params import operator_params
from burnish.modelfile.reader import read_model
from burnish.operators.paper import PAPER_OPERATORS
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.runtime.model_registry import find_model
from burnish.training.evaluation import evaluate
from burnish.training.pair_computation import compute_pairs
from burnish.training.pairs import PairSpec, find_photos, load_pairs, plan_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder of photos that were not trained on"
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.2, 1, 4, 12])
    parser.add_argument("--operators", nargs="*", default=list(PAPER_OPERATORS))
    parser.add_argument("--guide-size", type=int, help="another first level, in px")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"operators": {}, "sources": {}}
    if options.json and options.json.exists():
        results |= json.loads(options.json.read_text())
    results["environment"] = environment()
    photos = find_photos(options.photos)
    for name in options.operators:
        model = open_model(name, options.threads, options.guide_size)
        source = {"sha256": model.sha256, "photos": [path.name for path in photos]}
        source |= {"megapixels": options.megapixels, "guide_size": options.guide_size}
        if results["sources"].get(name) != source:
            results["sources"][name] = source
            results["operators"][name] = measure(name, model, photos, options.megapixels)
            write(options.json, results)


def open_model(name: str, threads: int, guide_size: int | None) -> Model:
    """Return a bundled model, with another size of the first level if it is given."""
    file = read_model(find_model(name))
    if guide_size is not None and file.card.guide is not None:
        sizes = {"size": guide_size, "operator_size": None}
        guide = file.card.guide.model_copy(update=sizes)
        file = replace(file, card=file.card.model_copy(update={"guide": guide}))
    return Model(file, "cpu", threads)


def measure(
    name: str, model: Model, photos: Sequence[Path], sizes: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the scores at each size in megapixels that some photos have."""
    values = OPERATORS[name].resolve_params(operator_params(model.card, {}))
    plans: dict[float, list[PairSpec]] = {}
    for megapixels in sizes:
        for photo in photos:
            width, height = Photo.size_of(photo)
            scale = (megapixels * 1e6 / (height * width)) ** 0.5
            if scale <= 1:
                largest = round(max(height, width) * scale)
                specs = plan_pairs(name, values, [photo], short_sides=(), max_size=largest)
                plans.setdefault(megapixels, []).extend(specs)
    compute_pairs([spec for plan in plans.values() for spec in plan])
    rows = []
    for megapixels, plan in plans.items():
        row: dict[str, Any] = {"megapixels": megapixels, "photos": len(plan), "scores": {}}
        for guide in guides_of(model.card):
            report = evaluate(network_function(model, {}, guide), load_pairs(plan))
            row["untouched"] = round(report.identity_psnr, 2)
            row["scores"][GUIDE_LABELS[guide]] = summary(report)
            label = f"{name} {megapixels:g} megapixels, {GUIDE_LABELS[guide]}"
            print_summary(label, summary(report))
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
