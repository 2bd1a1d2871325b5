"""Train on one source of photos and test on another, as the paper does with FiveK and RAISE.

python benchmarks/cross_set.py --train BSDS WALLPAPERS --test BSDS_TEST WALLPAPERS_TEST \
    --operator rudin-osher-fatemi l0-smoothing --steps 2000 --json RESULT

A network without sliders is trained for each operator on each folder of --train, and one on all of
them. Each is evaluated on every folder of --test. No photo is in both.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from measure import environment, write
from train_helpers import exclude_photos, make_config, pairs_of, train

from burnish.networks.registry import DEFAULT_NETWORK, build
from burnish.operators.registry import OPERATORS
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.pairs import find_photos
from burnish.training.validation import ImageNetwork, describe_photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument("--operator", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-size", type=int, default=2160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    results: dict[str, Any] = {"environment": environment(), "steps": options.steps}
    results["operators"] = {}
    for name in options.operator:
        values = OPERATORS[name].resolve_params({})
        tests = {
            folder.name: pairs_of(name, values, find_photos(folder), options.max_size)
            for folder in options.test
        }
        test_pairs = [pair for pairs in tests.values() for pair in pairs]
        sources = {}
        for folder in options.train:
            photos = find_photos(folder)
            pairs = pairs_of(name, values, photos, options.max_size, TrainConfig.short_sides)
            sources[folder.name] = exclude_photos(pairs, test_pairs)
        sources["all of them"] = [pair for pairs in sources.values() for pair in pairs]
        rows: dict[str, Any] = {
            "untouched": {
                test: round(evaluate(lambda rgb, _: rgb, pairs).mean.psnr, 2)
                for test, pairs in tests.items()
            }
        }
        for source, train_pairs in sources.items():
            config = make_config(name, DEFAULT_NETWORK, options.steps)
            torch.manual_seed(config.seed)
            network = build(DEFAULT_NETWORK, global_context=OPERATORS[name].needs_thumbnail)
            network, _ = train(network, config, train_pairs)
            apply = ImageNetwork(network)
            rows[source] = {
                test: round(evaluate(apply, pairs).mean.psnr, 2) for test, pairs in tests.items()
            }
            print(
                f"{name:28} {source:20} {describe_photos(train_pairs, source):60} {rows[source]}",
                flush=True,
            )
        results["operators"][name] = rows
        write(options.json, results)


if __name__ == "__main__":
    main()
