"""What learns an operator in the fewest steps: optimisers, rates, crops, shapes, side by side.

python benchmarks/recipe.py --photos PHOTOS --held-out OTHERS --operator rudin-osher-fatemi \
    --steps 1000 --json RESULT

Every variant differs from the recipe that ships in what its name says, is trained for equally many
steps from the same seed on the same pairs, and is judged on photos never trained on. Seconds are
those of training alone.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from learning import learn, pairs_of, settings_of, without
from measure import circumstances, write

from burnish.networks.network import Network
from burnish.networks.registry import NETWORKS, build
from burnish.networks.unet import UNet
from burnish.operators.registry import OPERATORS
from burnish.training.config import TrainConfig
from burnish.training.evaluation import evaluate
from burnish.training.pairs import Pair, find_photos
from burnish.training.validation import as_callable

# Photos of so many pixels are also judged by themselves.
LARGE = 10**6
FAST = NETWORKS["fast"].arguments

FIVE = {"widths": (32, 32, 48, 48, 48), "down": (0, 1, 2, 2, 2), "up": (0, 2, 2, 2)}
SIX = {"widths": (32, 32, 48, 48, 48, 48), "down": (0, 1, 2, 2, 2, 2), "up": (0, 2, 2, 2, 2)}

# Name -> what differs: settings, the network's name, the shape of a UNet, or a thumbnail.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it ships": {},
    "AdamW, rate 0.001": {"settings": {"optimiser": "adamw", "max_lr": 1e-3}},
    "AdamW, rate 0.003": {"settings": {"optimiser": "adamw", "max_lr": 3e-3}},
    "AdamW, rate 0.01": {"settings": {"optimiser": "adamw", "max_lr": 1e-2}},
    "Muon, rate 0.002": {"settings": {"max_lr": 2e-3}},
    "Muon, rate 0.004": {"settings": {"max_lr": 4e-3}},
    "Muon, rate 0.016": {"settings": {"max_lr": 16e-3}},
    "4 crops of 128": {"settings": {"batch": 4}},
    "16 crops of 128": {"settings": {"batch": 16}},
    "2 crops of 256": {"settings": {"batch": 2, "crop": 256}},
    "32 crops of 64": {"settings": {"batch": 32, "crop": 64}},
    "no weight decay": {"settings": {"weight_decay": 0.0}},
    "weights averaged over 300 steps": {"settings": {"ema_decay": 0.997}},
    "16 channels, 3x3 at half resolution": {
        "shape": {"widths": (16, 32, 48, 64), "down": (1, 1, 2, 2), "up": (1, 2, 2)}
    },
    "24 channels": {"shape": FAST | {"widths": (24, 32, 48, 64)}},
    "40 channels": {"shape": FAST | {"widths": (40, 32, 48, 64)}},
    "three levels": {"shape": {"widths": (32, 32, 48), "down": (0, 1, 3), "up": (0, 2)}},
    "five levels": {"shape": FIVE},
    "five levels, 2 crops of 256": {"shape": FIVE, "settings": {"batch": 2, "crop": 256}},
    "six levels, 2 crops of 256": {"shape": SIX, "settings": {"batch": 2, "crop": 256}},
    "quarter resolution": {
        "shape": {"widths": (48, 48, 64), "down": (2, 2, 2), "up": (2, 2), "factor": 4}
    },
    "with a thumbnail": {"thumbnail": True},
    "best": {"network": "best"},
    "CAN24": {"network": "can24", "settings": {"batch": 2, "crop": 256}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--operator", default="rudin-osher-fatemi")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--largest", type=int, default=2160)
    parser.add_argument("--only", nargs="*", help="names of variants")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    values = OPERATORS[options.operator].resolve_params({})
    judged = pairs_of(options.operator, values, find_photos(options.held_out), options.largest)
    photos = find_photos(options.photos)
    learnt = pairs_of(options.operator, values, photos, options.largest, TrainConfig.short_sides)
    learnt = without(learnt, judged)
    results: dict[str, Any] = {"circumstances": circumstances(), "rows": {}}
    results |= {"operator": options.operator, "steps": options.steps, "threads": options.threads}
    print(f"{'':40} {'k MACs':>7} {'PSNR':>6} {'large':>6} {'worst':>6} {'seconds':>8}")
    for name, variant in VARIANTS.items():
        if options.only and name not in options.only:
            continue
        row = trained(variant, learnt, judged, options)
        results["rows"][name] = row
        print(
            f"{name:40} {row['macs'] / 1000:7.1f} {row['psnr']:6.2f} {row['large'] or '':>6} "
            f"{row['worst']:6.2f} "
            f"{row['seconds']:8.0f}",
            flush=True,
        )
        write(options.json, results)


def trained(
    variant: dict[str, Any],
    learnt: list[Pair],
    judged: list[Pair],
    options: argparse.Namespace,
) -> dict[str, Any]:
    name = variant.get("network", "fast")
    settings = settings_of(options.operator, name, options.steps, **variant.get("settings", {}))
    torch.manual_seed(settings.seed)
    thumbnail = variant.get("thumbnail", False)
    network: Network = (
        UNet(**variant["shape"]) if "shape" in variant else build(name, global_context=thumbnail)
    )
    averaged, seconds = learn(network, settings, learnt)
    apply = as_callable(averaged)
    report = evaluate(apply, judged)
    large = [pair for pair in judged if pair.size[0] * pair.size[1] >= LARGE]
    return {
        "macs": network.macs_per_pixel,
        "psnr": round(report.mean.psnr, 2),
        "large": round(evaluate(apply, large).mean.psnr, 2) if large else None,
        "worst": round(report.worst.psnr, 2),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
