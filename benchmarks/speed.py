"""Seconds for a photo: each operator, and its bundled networks with each guide, in one run.

python benchmarks/speed.py --megapixels 4 --repeats 3 --json benchmarks/results/speed.json

The networks have the engine and the precision that `burnish apply` chooses for a photo with 8 bits
a channel. The time of a network includes that of its guide. Files are neither read nor written.
"""

import argparse
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import environment, timed, write
from score_helpers import GUIDE_LABELS, guides_of

from burnish.editing.edit import NetworkEdit, load_edit
from burnish.evaluation.doctor import SAMPLE
from burnish.modelfile.quality import PREVIEW, STANDARD
from burnish.operators.paper import PAPER_OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import resize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operators", nargs="+", default=list(PAPER_OPERATORS))
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--megapixels", type=float, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    os.environ["BURNISH_THREADS"] = str(options.threads)
    pixels = resize_to(Photo.open(options.photo).pixels, options.megapixels)
    results: dict[str, Any] = {
        "environment": environment(),
        "megapixels": round(pixels.shape[0] * pixels.shape[1] / 1e6, 2),
        "threads": options.threads,
        "operators": {},
    }
    for name in options.operators:
        times = {
            "operator": timed(partial(load_edit(name, {}, slow=True).run, pixels), options.repeats)
        }
        engines = {}
        for quality in (STANDARD, PREVIEW):
            model = Model.open(name, threads=options.threads, quality=quality).for_bits(8)
            engines[quality] = f"{model.engine} {model.precision}"
            for guide in guides_of(model.card):
                edit = NetworkEdit(model, {}, guide)
                label = f"{quality}: {GUIDE_LABELS[guide]}"
                times[label] = timed(partial(edit.run, pixels), options.repeats)
        for label, timing in times.items():
            ratio = times["operator"].wall / timing.wall
            print(f"{name:28} {label:36} {timing!s:32} {ratio:6.1f}x", flush=True)
        results["operators"][name] = {
            "engines": engines,
            "times": {label: asdict(timing) for label, timing in times.items()},
        }
        write(options.json, results)


def resize_to(photo: np.ndarray, megapixels: float) -> np.ndarray:
    """Resize to a number of megapixels, with sides that are multiples of 8 for fast transforms."""
    height, width = photo.shape[:2]
    factor = (megapixels * 1e6 / (height * width)) ** 0.5
    size = (round(height * factor / 8) * 8, round(width * factor / 8) * 8)
    return np.ascontiguousarray(resize(photo, size))


if __name__ == "__main__":
    main()
