"""Seconds for an image: the operator and the bundled network, measured in one run.

python benchmarks/speed.py --megapixels 0.25 1 4 --threads 1 2 --json benchmarks/results/speed.json
"""

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np
from measure import environment, timed, write

from burnish.evaluation.compare import reference_function
from burnish.evaluation.doctor import SAMPLE
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import resize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="l0-smoothing")
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.25, 1, 4])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    results = {"environment": environment(), "rows": []}
    photo = Photo.open(options.photo).pixels
    print(f"{'Mpx':>6} {'threads':>7}  {'operator, s':>28}  {'network, s':>28}  ratio")
    for megapixels in options.megapixels:
        pixels = resize_to(photo, megapixels)
        for threads in options.threads:
            os.environ["BURNISH_THREADS"] = str(threads)
            model = Model.open(options.model, threads=threads)
            operator_time = timed(
                lambda p=pixels, m=model: reference_function(m.card, {})(p), options.repeats
            )
            network_time = timed(lambda p=pixels, m=model: m(p), options.repeats)
            print(
                f"{pixels.shape[0] * pixels.shape[1] / 1e6:6.2f} {threads:7d}  "
                f"{operator_time!s:>28}  {network_time!s:>28}  "
                f"{operator_time.wall / network_time.wall:5.2f}"
            )
            results["rows"].append(
                {
                    "size": list(pixels.shape[:2]),
                    "threads": threads,
                    "operator": dataclasses.asdict(operator_time),
                    "network": dataclasses.asdict(network_time),
                }
            )
    write(options.json, results)


def resize_to(photo: np.ndarray, megapixels: float) -> np.ndarray:
    """Resize to a number of megapixels, with sides that are multiples of 8 for fast transforms."""
    height, width = photo.shape[:2]
    factor = (megapixels * 1e6 / (height * width)) ** 0.5
    size = (round(height * factor / 8) * 8, round(width * factor / 8) * 8)
    return np.ascontiguousarray(resize(photo, size))


if __name__ == "__main__":
    main()
