"""The yardstick: how close to each operator, at what cost, everything in one run.

python benchmarks/fidelity.py --photos SMALL LARGE --models MODELS --peers chen2017 --json RESULT

For every operator that there are networks of, on each folder of photos: the untouched photo, the
networks that ship, those in the folders of --models (the paper's architectures and low-resolution
students, trained by us on the same photos), bilateral guided upsampling, and the networks that the
paper's authors published.
The authors' were trained for the parameters that `agreement.py` finds; where ours differ, their row
says what their weights do at ours and not how good their training was.
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
from measure import circumstances, timed, write
from numpy.typing import NDArray
from train_helpers import pairs_of

from burnish.editing.edit import operator_params
from burnish.modelfile.card import Card
from burnish.modelfile.reader import read_model
from burnish.operators.operator import Operator
from burnish.operators.registry import OPERATORS
from burnish.params import Value
from burnish.photo.photo import Photo
from burnish.runtime import model_registry as shelf
from burnish.runtime.engines import ENGINES
from burnish.runtime.model import Model
from burnish.training.evaluation import ImageFunction, evaluate
from burnish.training.pairs import Pair, find_photos, resize, training_sizes
from burnish.training.validation import ImageNetwork, describe_photos

Pixels = NDArray[np.float32]
# Folder -> its pairs.
Made = dict[str, list[Pair]]

# Seconds are measured on a corner of the largest photo.
TIMED_SIDE = 1000
REPEATS = 5
UPSAMPLED = "bilateral guided upsampling"


def main() -> None:
    options = parse()
    os.environ["BURNISH_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    results: dict[str, Any] = {"photos": {}, "circumstances": {}, "operators": {}}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    results["threads"] = options.threads
    picture = megapixel(options)
    for name, models in models_of(options.models, options.operators).items():
        values = OPERATORS[name].resolve_params(operator_params(Model.open(models[0]).card, {}))
        if options.only != "times":
            made = {
                folder.name: prepare(name, values, folder, options) for folder in options.photos
            }
            results["photos"] |= {
                folder: describe_photos(found, folder) for folder, found in made.items()
            }
            old = results["operators"].get(name, {})
            rows = contest(name, values, models, made, options)
            results["operators"][name] = {
                label: old.get(label, {}) | row for label, row in rows.items()
            }
        rows = results["operators"].get(name, {})
        if options.only != "fidelity":
            add_times(rows, name, values, models, picture, options)
            results["circumstances"][name] = circumstances()
        show(name, rows, [folder.name for folder in options.photos])
        write(options.json, results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="a column each")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="folders of .onnx files")
    parser.add_argument("--operators", nargs="*", help="only these")
    parser.add_argument("--first", type=int, help="only so many photos of each")
    parser.add_argument(
        "--only",
        choices=["fidelity", "times"],
        help="one of the two; the other stays as FILE has it",
    )
    parser.add_argument("--largest", type=int, default=2160, help="longer side at most, in pixels")
    parser.add_argument("--short-side", type=int, help="bring photos to this shorter side")
    parser.add_argument("--peers", type=Path, help="folder of the authors' weights")
    parser.add_argument(
        "--upsampling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with the unlearned rival, which takes longest",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="operators of earlier runs in it are kept"
    )
    return parser.parse_args()


def models_of(folders: Sequence[Path], only: Sequence[str] | None) -> dict[str, list[Path]]:
    """Return the model files of each operator, those that ship first."""
    found: dict[str, list[Path]] = {}
    paths = [shelf.find_model(name) for name in shelf.model_names()]
    for path in paths + [path for folder in folders for path in sorted(folder.rglob("*.onnx"))]:
        name = read_model(path).card.operator
        if name in OPERATORS and (not only or name in only):
            found.setdefault(name, []).append(path)
    return found


def prepare(
    name: str, values: dict[str, Value], folder: Path, options: argparse.Namespace
) -> list[Pair]:
    photos = find_photos(folder)[: options.first]
    sides = (options.short_side,) if options.short_side else ()
    made = pairs_of(name, values, photos, options.largest, sides)
    return [pair for pair in made if not sides or min(pair.size) == options.short_side]


def contest(
    name: str,
    values: dict[str, Value],
    models: Sequence[Path],
    made: Made,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return a row for every contestant of an operator."""
    operator = OPERATORS[name]
    rows: dict[str, Any] = {"untouched": fidelity(lambda rgb, _: rgb, made)}
    for path, card in fitting(name, values, models):
        model = Model.open(path, threads=options.threads)
        row = fidelity(lambda rgb, _, model=model: model(rgb), made)
        row |= {"macs": card.macs_per_pixel, "parameters": card.parameter_count}
        rows[label(card)] = row | {"bytes": path.stat().st_size}
    if options.upsampling:
        rows[UPSAMPLED] = fidelity(lambda rgb, _: upsampled(operator, values, rgb), made)
    published = {operator: peer for peer, (operator, _) in PEERS.items()}
    if options.peers and name in published:
        network = ImageNetwork(load(options.peers / f"{published[name]}.npz"))
        rows["the authors' CAN24"] = fidelity(network, made) | {"macs": 37008, "parameters": 37219}
    return rows | {"slow operator": {}}


def add_times(
    rows: dict[str, Any],
    name: str,
    values: dict[str, Value],
    models: Sequence[Path],
    picture: Pixels,
    options: argparse.Namespace,
) -> None:
    """Add seconds a megapixel to the rows of an operator."""
    operator = OPERATORS[name]
    chosen = list(fitting(name, values, models))
    for path, card in chosen:  # before any is timed
        if label(card) not in rows:
            sys.exit(
                f"{path}: expected its fidelity in the --json FILE, got none; measure it first"
            )
    for path, card in chosen:
        for engine in ENGINES:
            opened = Model.open(path, threads=options.threads, engine=engine)
            rows[label(card)][engine] = timing(lambda opened=opened: opened(picture))
    rows["slow operator"]["slow"] = timing(lambda: operator.run(picture, **values))
    if UPSAMPLED in rows:
        rows[UPSAMPLED]["slow"] = timing(lambda: upsampled(operator, values, picture))


def fitting(
    name: str, values: Mapping[str, Value], models: Sequence[Path]
) -> Iterator[tuple[Path, Card]]:
    """Give the models that learnt an operator at these values."""
    for path in models:
        card = read_model(path).card
        if OPERATORS[name].resolve_params(operator_params(card, {})) == values:
            yield path, card


def label(card: Card) -> str:
    return f"{card.name} ({card.network})"


def upsampled(operator: Operator, values: Mapping[str, Value], rgb: Pixels) -> Pixels:
    return bgu.approximate(lambda low: operator.run(low, **values), rgb)


def fidelity(apply: ImageFunction, made: Made) -> dict[str, Any]:
    """Return the scores in each folder."""
    row = {}
    for folder, found in made.items():
        report = evaluate(apply, found)
        row[folder] = {"mean": rounded(report.mean), "worst": rounded(report.worst)}
    return {"fidelity": row}


def rounded(score: Any) -> dict[str, float]:
    found = dataclasses.asdict(score)
    return {
        "mse": float(f"{found['mse']:.4g}"),
        "psnr": round(found["psnr"], 2),
        "ssim": round(found["ssim"], 4),
    }


def timing(run: Any) -> dict[str, float]:
    found = dataclasses.asdict(timed(run, REPEATS))
    return {name: round(value, 4) for name, value in found.items()}


def megapixel(options: argparse.Namespace) -> Pixels:
    """Return a megapixel of the largest photo, scaled up if it has fewer."""
    photos = [photo for folder in options.photos for photo in find_photos(folder)]
    pixels = Photo.open(max(photos, key=lambda photo: np.prod(Photo.size_of(photo)))).pixels
    height, width = training_sizes(pixels.shape[:2], (), options.largest)[0]
    scale = max(1, TIMED_SIDE / min(height, width))
    rgb = resize(pixels, (round(height * scale), round(width * scale)))
    return np.ascontiguousarray(rgb[:TIMED_SIDE, :TIMED_SIDE])


def show(name: str, rows: dict[str, Any], folders: Sequence[str]) -> None:
    heads = "".join(f"{folder:>15.14}  worst    SSIM" for folder in folders)
    print(f"\n{name:34}{heads}   MACs  seconds a megapixel")
    for contestant, row in rows.items():
        line = f"{contestant:34}"
        for folder in folders:
            if "fidelity" in row:
                mean, worst = (row["fidelity"][folder][which] for which in ("mean", "worst"))
                line += f"{mean['psnr']:15.2f} {worst['psnr']:6.2f} {mean['ssim']:7.4f}"
            else:
                line += " " * 30
        seconds = {key: row[key]["wall"] for key in (*ENGINES, "slow") if key in row}
        timings = ", ".join(f"{key} {value:.3f}" for key, value in seconds.items())
        print(f"{line} {row.get('macs', ''):>6}  {timings}", flush=True)


if __name__ == "__main__":
    main()
