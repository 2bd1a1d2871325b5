"""Trained on one source of photos, tested on another, as the paper does with FiveK and RAISE.

python benchmarks/cross_set.py --train BSDS WALLPAPERS --test BSDS_TEST WALLPAPERS_TEST \
    --operator rudin-osher-fatemi l0-smoothing --steps 2000 --json RESULT

A student for each operator and each folder of --train, and one for all of them together, without
sliders; each is judged on every folder of --test. No photo is in both.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from learning import learn, pairs_of, settings_of, without
from measure import circumstances, write

from burnish.networks.registry import DEFAULT_NETWORK, build
from burnish.operators.registry import OPERATORS
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.pairs import find_photos
from burnish.training.validation import as_callable, describe_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument("--operator", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--largest", type=int, default=2160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    results: dict[str, Any] = {"circumstances": circumstances(), "steps": options.steps}
    results["operators"] = {}
    for name in options.operator:
        values = OPERATORS[name].resolve_params({})
        tests = {
            folder.name: pairs_of(name, values, find_photos(folder), options.largest)
            for folder in options.test
        }
        judged = [pair for found in tests.values() for pair in found]
        sources = {}
        for folder in options.train:
            photos = find_photos(folder)
            learnt = pairs_of(name, values, photos, options.largest, TrainConfig.short_sides)
            sources[folder.name] = without(learnt, judged)
        sources["all of them"] = [pair for found in sources.values() for pair in found]
        rows: dict[str, Any] = {
            "untouched": {
                test: round(evaluate(lambda rgb, _: rgb, found).mean.psnr, 2)
                for test, found in tests.items()
            }
        }
        for source, learnt in sources.items():
            settings = settings_of(name, DEFAULT_NETWORK, options.steps)
            torch.manual_seed(settings.seed)
            network = build(DEFAULT_NETWORK, global_context=OPERATORS[name].needs_thumbnail)
            network, _ = learn(network, settings, learnt)
            apply = as_callable(network)
            rows[source] = {
                test: round(evaluate(apply, found).mean.psnr, 2) for test, found in tests.items()
            }
            print(
                f"{name:28} {source:20} {describe_photos(learnt, source):60} {rows[source]}",
                flush=True,
            )
        results["operators"][name] = rows
        write(options.json, results)


if __name__ == "__main__":
    main()
