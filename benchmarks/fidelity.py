"""How close to the operator: the untouched photo, the shipped network and the authors' own.

python benchmarks/fidelity.py --photos PHOTOS --first 25 --peer l0_smoothing.npz --json RESULT

The authors' network was trained for a smaller lambda than the default here, so its row says what
their weights do at ours, and not how good their training was.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from measure import circumstances, write

from burnish.editing.edit import choose
from burnish.modelfile.read import read
from burnish.networks.chen2017 import load
from burnish.runtime.shelf import find
from burnish.training import pairs
from burnish.training.evaluate import Filter, evaluate
from burnish.training.train import as_filter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--first", type=int, help="only so many photos, by name")
    parser.add_argument("--largest", type=int, default=2160, help="longer side at most, in pixels")
    parser.add_argument("--peer", type=Path, help="the authors' weights, an .npz")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    card = read(find(options.model)).card
    jobs = pairs.plan(
        card.operator,
        {param.name: param.value for param in card.params},
        pairs.find_photos(options.photos)[: options.first],
        short_sides=(),
        largest=options.largest,
        cache=pairs.cache_folder(),
    )
    made = pairs.make(jobs)
    filters: dict[str, Filter] = {
        "untouched": lambda rgb: rgb,
        f"{card.name} ({card.network})": choose(options.model, {}).run,
    }
    if options.peer:
        torch.set_grad_enabled(False)
        filters["authors' CAN24"] = as_filter(load(options.peer))

    results = {"circumstances": circumstances(), "photos": len(made), "rows": {}}
    print(f"{len(made)} photos of {options.photos.name}")
    print(f"{'':24} {'MSE':>9} {'PSNR':>6} {'worst':>6} {'SSIM':>7} {'worst':>7}")
    for name, apply in filters.items():
        report = evaluate(apply, made)
        mean, worst = report.mean, report.worst
        print(
            f"{name:24} {mean.mse:9.6f} {mean.psnr:6.2f} {worst.psnr:6.2f} "
            f"{mean.ssim:7.4f} {worst.ssim:7.4f}"
        )
        results["rows"][name] = dataclasses.asdict(report)
    write(options.json, results)


if __name__ == "__main__":
    main()
