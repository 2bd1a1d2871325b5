"""Compare training recipes: optimisers, learning rates, crops and shapes of the network.

python benchmarks/recipe.py --photos PHOTOS --validation OTHERS --operator rudin-osher-fatemi \
    --steps 1000 --json RESULT

The name of a variant states its difference from the default recipe. All variants are trained for
the same number of steps, from the same seed, on the same pairs, and are validated on other photos.
The seconds do not include the validation.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from measure import environment, write
from train_helpers import exclude_photos, make_config, pairs_of, train

from burnish.networks.network import Network
from burnish.networks.registry import NETWORKS, build
from burnish.networks.unet import UNet
from burnish.operators.registry import OPERATORS
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.pairs import Pair, find_photos
from burnish.training.validation import ImageNetwork

# Photos with at least this number of pixels are also scored separately.
LARGE_PIXELS = 10**6
FAST = NETWORKS["fast"].arguments

FIVE_LEVELS = {"widths": (32, 32, 48, 48, 48), "down": (0, 1, 2, 2, 2), "up": (0, 2, 2, 2)}
SIX_LEVELS = {"widths": (32, 32, 48, 48, 48, 48), "down": (0, 1, 2, 2, 2, 2), "up": (0, 2, 2, 2, 2)}

# Name -> differences from the default: fields of `TrainConfig`, the name of a network, arguments of
# `UNet`, or global context.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "AdamW, rate 0.001": {"config": {"optimiser": "adamw", "max_lr": 1e-3}},
    "AdamW, rate 0.003": {"config": {"optimiser": "adamw", "max_lr": 3e-3}},
    "AdamW, rate 0.01": {"config": {"optimiser": "adamw", "max_lr": 1e-2}},
    "Muon, rate 0.002": {"config": {"max_lr": 2e-3}},
    "Muon, rate 0.004": {"config": {"max_lr": 4e-3}},
    "Muon, rate 0.016": {"config": {"max_lr": 16e-3}},
    "4 crops of 128": {"config": {"batch": 4}},
    "16 crops of 128": {"config": {"batch": 16}},
    "2 crops of 256": {"config": {"batch": 2, "crop": 256}},
    "32 crops of 64": {"config": {"batch": 32, "crop": 64}},
    "no weight decay": {"config": {"weight_decay": 0.0}},
    "weights averaged over 300 steps": {"config": {"ema_decay": 0.997}},
    "16 channels, 3x3 at half resolution": {
        "unet": {"widths": (16, 32, 48, 64), "down": (1, 1, 2, 2), "up": (1, 2, 2)}
    },
    "24 channels": {"unet": FAST | {"widths": (24, 32, 48, 64)}},
    "40 channels": {"unet": FAST | {"widths": (40, 32, 48, 64)}},
    "three levels": {"unet": {"widths": (32, 32, 48), "down": (0, 1, 3), "up": (0, 2)}},
    "five levels": {"unet": FIVE_LEVELS},
    "five levels, 2 crops of 256": {"unet": FIVE_LEVELS, "config": {"batch": 2, "crop": 256}},
    "six levels, 2 crops of 256": {"unet": SIX_LEVELS, "config": {"batch": 2, "crop": 256}},
    "quarter resolution": {
        "unet": {"widths": (48, 48, 64), "down": (2, 2, 2), "up": (2, 2), "factor": 4}
    },
    "with global context": {"global_context": True},
    "best": {"network": "best"},
    "CAN24": {"network": "can24", "config": {"batch": 2, "crop": 256}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--operator", default="rudin-osher-fatemi")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-size", type=int, default=2160)
    parser.add_argument("--only", nargs="*", help="names of variants")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    values = OPERATORS[options.operator].resolve_params({})
    validation = pairs_of(
        options.operator, values, find_photos(options.validation), options.max_size
    )
    photos = find_photos(options.photos)
    pairs = pairs_of(options.operator, values, photos, options.max_size, TrainConfig.short_sides)
    pairs = exclude_photos(pairs, validation)
    results: dict[str, Any] = {"environment": environment(), "rows": {}}
    results |= {"operator": options.operator, "steps": options.steps, "threads": options.threads}
    print(f"{'':40} {'k MACs':>7} {'PSNR':>6} {'large':>6} {'worst':>6} {'seconds':>8}")
    for name, variant in VARIANTS.items():
        if options.only and name not in options.only:
            continue
        row = train_variant(variant, pairs, validation, options)
        results["rows"][name] = row
        print(
            f"{name:40} {row['macs'] / 1000:7.1f} {row['psnr']:6.2f} {row['large'] or '':>6} "
            f"{row['worst']:6.2f} "
            f"{row['seconds']:8.0f}",
            flush=True,
        )
        write(options.json, results)


def train_variant(
    variant: dict[str, Any],
    pairs: list[Pair],
    validation: list[Pair],
    options: argparse.Namespace,
) -> dict[str, Any]:
    name = variant.get("network", "fast")
    config = make_config(options.operator, name, options.steps, **variant.get("config", {}))
    torch.manual_seed(config.seed)
    global_context = variant.get("global_context", False)
    network: Network = (
        UNet(**variant["unet"]) if "unet" in variant else build(name, global_context=global_context)
    )
    trained, seconds = train(network, config, pairs)
    apply = ImageNetwork(trained)
    report = evaluate(apply, validation)
    large = [pair for pair in validation if pair.size[0] * pair.size[1] >= LARGE_PIXELS]
    return {
        "macs": network.macs_per_pixel,
        "psnr": round(report.mean.psnr, 2),
        "large": round(evaluate(apply, large).mean.psnr, 2) if large else None,
        "worst": round(report.worst.psnr, 2),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
