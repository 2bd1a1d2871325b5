"""The main benchmark: accuracy and cost of every method that approximates an operator.

python benchmarks/fidelity.py --photos SMALL LARGE --models MODELS --peers chen2017 --json RESULT

For each operator and each folder of photos, it scores the untouched photo, the bundled networks
with each guide that they can have, the networks in the folders of --models (the paper's
architectures and low-resolution networks, trained by us on the same photos), bilateral guided
upsampling, and the networks that the paper's authors published. The authors trained some networks
for other parameters (see `agreement.py`). The row of such a network shows its error at our
parameters, and not the quality of its training.

RESULT is written after each operator. Rows in it of the same network and the same folders of photos
are not measured again.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import bilateral_guided_upsampling as bgu
import numpy as np
import torch
from agreement import PEERS
from baselines.chen2017 import load
from measure import environment, timed, write
from score_helpers import guides_of, network_function, summary
from train_helpers import pairs_of

from burnish.editing.card_params import operator_params
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_model
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import Value
from burnish.photo.photo import Photo
from burnish.runtime import model_registry
from burnish.runtime.engines import ENGINES
from burnish.runtime.model import Model
from burnish.training.evaluation import ImageFunction, evaluate
from burnish.training.pairs import Pair, find_photos, resize, training_sizes
from burnish.training.validation import ImageNetwork, describe_photos
from burnish.types import Pixels

# Name of a folder -> its pairs.
PairsByFolder = dict[str, list[Pair]]

# Side of the square crop of the largest photo on which times are measured, px.
TIMED_SIDE = 1000
REPEATS = 5
UPSAMPLED = "bilateral guided upsampling"
OPERATOR = "reference operator"


def main() -> None:
    options = parse_arguments()
    os.environ["BURNISH_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    results: dict[str, Any] = {"photos": {}, "environment": {}, "operators": {}}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    results["threads"] = options.threads
    crop = one_megapixel(options)
    for name, models in models_of(options.models, options.operators).items():
        values = OPERATORS[name].resolve_params(operator_params(Model.open(models[0]).card, {}))
        if options.only != "times":
            pairs = {
                folder.name: make_pairs(name, values, folder, options) for folder in options.photos
            }
            add_photos(results["photos"], pairs)
            old = results["operators"].get(name, {})
            rows = score_methods(name, values, models, pairs, options, old)
            results["operators"][name] = rows | {
                label: row
                for label, row in old.items()
                if label not in rows and not row.get("bundled")
            }
        rows = results["operators"].get(name, {})
        if options.only != "fidelity":
            add_times(rows, name, values, models, crop, options)
            results["environment"][name] = environment()
        print_rows(name, rows, [folder.name for folder in options.photos])
        write(options.json, results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of photos")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders of .onnx files")
    parser.add_argument("--operators", nargs="*", help="operators [default: all]")
    parser.add_argument("--first", type=int, help="number of photos of each folder [default: all]")
    parser.add_argument(
        "--only",
        choices=["fidelity", "times"],
        help="measure one of both, and keep the other as in FILE",
    )
    parser.add_argument("--largest", type=int, default=2160, help="largest longer side in pixels")
    parser.add_argument(
        "--short-side", type=int, help="resize photos to this shorter side in pixels"
    )
    parser.add_argument("--peers", type=Path, help="folder of the authors' weights")
    parser.add_argument(
        "--upsampling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="score bilateral guided upsampling, which takes longest",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="results; those of other operators in it are kept"
    )
    return parser.parse_args()


def models_of(folders: Sequence[Path], only: Sequence[str] | None) -> dict[str, list[Path]]:
    """Return the model files of each operator, bundled ones first."""
    models: dict[str, list[Path]] = {}
    for path in bundled_models() + [
        path for folder in folders for path in sorted(folder.rglob("*.onnx"))
    ]:
        name = read_model(path).card.operator
        if name in OPERATORS and (not only or name in only):
            models.setdefault(name, []).append(path)
    return models


def bundled_models() -> list[Path]:
    return [model_registry.find_model(name) for name in model_registry.model_names()]


def make_pairs(
    name: str, values: dict[str, Value], folder: Path, options: argparse.Namespace
) -> list[Pair]:
    """Return the pairs of a folder, only those of --short-side if it is given."""
    photos = find_photos(folder)[: options.first]
    sides = (options.short_side,) if options.short_side else ()
    pairs = pairs_of(name, values, photos, options.largest, sides)
    return [pair for pair in pairs if not sides or min(pair.size) == options.short_side]


def add_photos(photos: dict[str, str], pairs: PairsByFolder) -> None:
    """Add the descriptions of folders; exit if other photos were in a folder before."""
    for folder, group in pairs.items():
        description = describe_photos(group, folder)
        if photos.setdefault(folder, description) != description:
            sys.exit(
                f"--json FILE has scores of {photos[folder]}, and now there are {description}; "
                f"rename the folder"
            )


def score_methods(
    name: str,
    values: dict[str, Value],
    models: Sequence[Path],
    pairs: PairsByFolder,
    options: argparse.Namespace,
    old: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a row of scores for every method that approximates an operator.

    Scores in `old` rows with an equal SHA-256 are kept.
    """
    operator = OPERATORS[name]
    rows: dict[str, Any] = {}

    def add(label: str, apply: ImageFunction, **fields: Any) -> None:
        row = old.get(label, {})
        if row.get("sha256") != fields.get("sha256"):
            row = {}
        known = row.get("fidelity", {})
        missing = {folder: group for folder, group in pairs.items() if folder not in known}
        rows[label] = row | fields | {"fidelity": known | scores(apply, missing)}

    add("untouched", lambda rgb, _: rgb)
    for path, card in models_at(name, values, models):
        model = Model.open(path, threads=options.threads)
        for guide in guides_of(card):
            add(
                label(card, guide),
                network_function(model, {}, guide),
                sha256=model.sha256,
                bundled=path in bundled_models(),
                guide=guide,
                macs=card.macs_per_pixel,
                parameters=card.parameter_count,
                bytes=path.stat().st_size,
            )
    if options.upsampling:
        add(UPSAMPLED, lambda rgb, _: upsample(operator, values, rgb))
    published = {operator: peer for peer, (operator, _) in PEERS.items()}
    if options.peers and name in published:
        network = ImageNetwork(load(options.peers / f"{published[name]}.npz"))
        add("the authors' CAN24", network, macs=37008, parameters=37219)
    return rows | {OPERATOR: old.get(OPERATOR, {})}


def add_times(
    rows: dict[str, Any],
    name: str,
    values: dict[str, Value],
    models: Sequence[Path],
    crop: Pixels,
    options: argparse.Namespace,
) -> None:
    """Add seconds per megapixel to the rows of an operator."""
    operator = OPERATORS[name]
    cards = list(models_at(name, values, models))
    for path, card in cards:  # before the timing, which takes long
        if label(card, guides_of(card)[0]) not in rows:
            sys.exit(f"{path}: --json FILE has no scores of it; run with --only fidelity first")
    for path, card in cards:
        for engine in ENGINES:
            model = Model.open(path, threads=options.threads, engine=engine)
            for guide in guides_of(card):
                apply = network_function(model, {}, guide)
                rows[label(card, guide)][engine] = timing(lambda apply=apply: apply(crop, {}))
    rows[OPERATOR]["python"] = timing(lambda: operator.run(crop, **values))
    if UPSAMPLED in rows:
        rows[UPSAMPLED]["python"] = timing(lambda: upsample(operator, values, crop))


def models_at(
    name: str, values: Mapping[str, Value], models: Sequence[Path]
) -> Iterator[tuple[Path, Card]]:
    """Yield the models that were trained at these parameter values of an operator."""
    for path in models:
        card = read_model(path).card
        if OPERATORS[name].resolve_params(operator_params(card, {})) == values:
            yield path, card


def label(card: Card, guide: str | None) -> str:
    name = f"{card.name} ({card.network})"
    return f"{name}, guide: {guide}" if guide else name


def upsample(operator: Operator, values: Mapping[str, Value], rgb: Pixels) -> Pixels:
    return bgu.approximate(lambda low: operator.run(low, **values), rgb)


def scores(apply: ImageFunction, pairs: PairsByFolder) -> dict[str, Any]:
    """Return the scores in each folder."""
    return {folder: summary(evaluate(apply, group)) for folder, group in pairs.items()}


def timing(run: Any) -> dict[str, float]:
    seconds = dataclasses.asdict(timed(run, REPEATS))
    return {name: round(value, 4) for name, value in seconds.items()}


def one_megapixel(options: argparse.Namespace) -> Pixels:
    """Return a crop of one megapixel of the largest photo, enlarged if it is smaller."""
    photos = [photo for folder in options.photos for photo in find_photos(folder)]
    pixels = Photo.open(max(photos, key=lambda photo: np.prod(Photo.size_of(photo)))).pixels
    height, width = training_sizes(pixels.shape[:2], (), options.largest)[0]
    scale = max(1, TIMED_SIDE / min(height, width))
    rgb = resize(pixels, (round(height * scale), round(width * scale)))
    return np.ascontiguousarray(rgb[:TIMED_SIDE, :TIMED_SIDE])


def print_rows(name: str, rows: dict[str, Any], folders: Sequence[str]) -> None:
    headings = "".join(f"{folder:>15.14}  worst    SSIM  cast" for folder in folders)
    print(f"\n{name:58}{headings}   MACs  seconds per megapixel")
    for method, row in rows.items():
        line = f"{method:58}"
        for folder in folders:
            if found := row.get("fidelity", {}).get(folder):
                line += f"{found['psnr']:15.2f} {found['worst_psnr']:6.2f} {found['ssim']:7.4f}"
                line += f"{found['cast']:6.2f}" if "cast" in found else " " * 6
            else:
                line += " " * 36
        seconds = {key: row[key]["wall"] for key in (*ENGINES, "python") if key in row}
        timings = ", ".join(f"{key} {value:.3f}" for key, value in seconds.items())
        print(f"{line} {row.get('macs', ''):>6}  {timings}", flush=True)


if __name__ == "__main__":
    main()
