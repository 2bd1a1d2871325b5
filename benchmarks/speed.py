"""Seconds for a picture: the slow operator and the shipped network, side by side in one run.

python benchmarks/speed.py --megapixels 0.25 1 4 --threads 1 2 --json benchmarks/results/speed.json
"""

import argparse
import dataclasses
import os
from pathlib import Path

import numpy as np
from measure import circumstances, timed, write

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

    results = {"circumstances": circumstances(), "rows": []}
    photo = Photo.open(options.photo).pixels
    print(f"{'Mpx':>6} {'threads':>7}  {'slow, s':>28}  {'fast, s':>28}  slow/fast")
    for megapixels in options.megapixels:
        pixels = scaled(photo, megapixels)
        for threads in options.threads:
            os.environ["BURNISH_THREADS"] = str(threads)
            model = Model.open(options.model, threads=threads)
            slow = timed(
                lambda p=pixels, m=model: reference_function(m.card, {})(p), options.repeats
            )
            fast = timed(lambda p=pixels, m=model: m(p), options.repeats)
            print(
                f"{pixels.shape[0] * pixels.shape[1] / 1e6:6.2f} {threads:7d}  {slow!s:>28}  "
                f"{fast!s:>28}  {slow.wall / fast.wall:8.2f}"
            )
            results["rows"].append(
                {
                    "size": list(pixels.shape[:2]),
                    "threads": threads,
                    "slow": dataclasses.asdict(slow),
                    "fast": dataclasses.asdict(fast),
                }
            )
    write(options.json, results)


def scaled(photo: np.ndarray, megapixels: float) -> np.ndarray:
    """Scale to so many megapixels, to sides that are multiples of 8: Fourier transforms like it."""
    height, width = photo.shape[:2]
    factor = (megapixels * 1e6 / (height * width)) ** 0.5
    size = (round(height * factor / 8) * 8, round(width * factor / 8) * 8)
    return np.ascontiguousarray(resize(photo, size))


if __name__ == "__main__":
    main()
