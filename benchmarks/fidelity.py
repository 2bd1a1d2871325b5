"""The main benchmark: accuracy and cost of every method that approximates an operator.

python benchmarks/fidelity.py --photos SMALL LARGE --models MODELS --peers chen2017 --json RESULT

For each operator and each folder of photos, it scores the untouched photo, the bundled networks,
the networks in the folders of --models (the paper's architectures and low-resolution networks,
trained by us on the same photos), bilateral guided upsampling, and the networks that the paper's
authors published. The authors trained some networks for other parameters (see `agreement.py`). The
row of such a network shows its error at our parameters, and not the quality of its training.
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
from train_helpers import pairs_of

from burnish.editing.edit import operator_params
from burnish.metrics import Score
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
            results["photos"] |= {
                folder: describe_photos(group, folder) for folder, group in pairs.items()
            }
            old = results["operators"].get(name, {})
            rows = score_methods(name, values, models, pairs, options)
            results["operators"][name] = {
                label: old.get(label, {}) | row for label, row in rows.items()
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
    paths = [model_registry.find_model(name) for name in model_registry.model_names()]
    for path in paths + [path for folder in folders for path in sorted(folder.rglob("*.onnx"))]:
        name = read_model(path).card.operator
        if name in OPERATORS and (not only or name in only):
            models.setdefault(name, []).append(path)
    return models


def make_pairs(
    name: str, values: dict[str, Value], folder: Path, options: argparse.Namespace
) -> list[Pair]:
    """Return the pairs of a folder, only those of --short-side if it is given."""
    photos = find_photos(folder)[: options.first]
    sides = (options.short_side,) if options.short_side else ()
    pairs = pairs_of(name, values, photos, options.largest, sides)
    return [pair for pair in pairs if not sides or min(pair.size) == options.short_side]


def score_methods(
    name: str,
    values: dict[str, Value],
    models: Sequence[Path],
    pairs: PairsByFolder,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return a row of scores for every method that approximates an operator."""
    operator = OPERATORS[name]
    rows: dict[str, Any] = {"untouched": scores(lambda rgb, _: rgb, pairs)}
    for path, card in models_at(name, values, models):
        model = Model.open(path, threads=options.threads)
        row = scores(lambda rgb, _, model=model: model(rgb), pairs)
        row |= {"macs": card.macs_per_pixel, "parameters": card.parameter_count}
        rows[label(card)] = row | {"bytes": path.stat().st_size}
    if options.upsampling:
        rows[UPSAMPLED] = scores(lambda rgb, _: upsample(operator, values, rgb), pairs)
    published = {operator: peer for peer, (operator, _) in PEERS.items()}
    if options.peers and name in published:
        network = ImageNetwork(load(options.peers / f"{published[name]}.npz"))
        rows["the authors' CAN24"] = scores(network, pairs) | {"macs": 37008, "parameters": 37219}
    return rows | {OPERATOR: {}}


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
        if label(card) not in rows:
            sys.exit(f"{path}: --json FILE has no scores of it; run with --only fidelity first")
    for path, card in cards:
        for engine in ENGINES:
            model = Model.open(path, threads=options.threads, engine=engine)
            rows[label(card)][engine] = timing(lambda model=model: model(crop))
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


def label(card: Card) -> str:
    return f"{card.name} ({card.network})"


def upsample(operator: Operator, values: Mapping[str, Value], rgb: Pixels) -> Pixels:
    return bgu.approximate(lambda low: operator.run(low, **values), rgb)


def scores(apply: ImageFunction, pairs: PairsByFolder) -> dict[str, Any]:
    """Return the mean and the worst score in each folder."""
    row = {}
    for folder, group in pairs.items():
        report = evaluate(apply, group)
        row[folder] = {"mean": round_score(report.mean), "worst": round_score(report.worst)}
    return {"fidelity": row}


def round_score(score: Score) -> dict[str, float]:
    return {
        "mse": float(f"{score.mse:.4g}"),
        "psnr": round(score.psnr, 2),
        "ssim": round(score.ssim, 4),
    }


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
    headings = "".join(f"{folder:>15.14}  worst    SSIM" for folder in folders)
    print(f"\n{name:34}{headings}   MACs  seconds per megapixel")
    for method, row in rows.items():
        line = f"{method:34}"
        for folder in folders:
            if "fidelity" in row:
                mean, worst = (row["fidelity"][folder][key] for key in ("mean", "worst"))
                line += f"{mean['psnr']:15.2f} {worst['psnr']:6.2f} {mean['ssim']:7.4f}"
            else:
                line += " " * 30
        seconds = {key: row[key]["wall"] for key in (*ENGINES, "python") if key in row}
        timings = ", ".join(f"{key} {value:.3f}" for key, value in seconds.items())
        print(f"{line} {row.get('macs', ''):>6}  {timings}", flush=True)


if __name__ == "__main__":
    main()
