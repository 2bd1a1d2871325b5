"""PSNR of the bundled networks on the same photos at several sizes.

python benchmarks/sizes.py --photos LARGE --megapixels 0.2 1 4 12 --json RESULT

Each photo is reduced to every size that is smaller than its own, so that a network is scored on the
same content at all sizes. The operators' parameters have their default values.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure import environment, write

from burnish.evaluation.compare import reference_function
from burnish.metrics import mse, psnr
from burnish.operators.paper import PAPER_OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import find_photos, resize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder of photos that were not trained on"
    )
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.2, 1, 4, 12])
    parser.add_argument("--operators", nargs="*", default=list(PAPER_OPERATORS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"environment": environment(), "operators": {}}
    photos = find_photos(options.photos)
    for name in options.operators:
        model = Model.open(name)
        reference = reference_function(model.card, {})
        rows = []
        for megapixels in options.megapixels:
            psnrs = [
                measure(pixels, reference, model)
                for photo in photos
                if (pixels := reduce_to(Photo.open(photo).pixels, megapixels)) is not None
            ]
            if not psnrs:
                continue
            untouched, output = (float(np.mean(column)) for column in zip(*psnrs, strict=True))
            rows.append({"megapixels": megapixels, "photos": len(psnrs)})
            rows[-1] |= {"untouched": round(untouched, 2), "network": round(output, 2)}
            print(f"{name:28} {rows[-1]}", flush=True)
        results["operators"][name] = rows
        write(options.json, results)


def reduce_to(pixels: np.ndarray, megapixels: float) -> np.ndarray | None:
    """Return a photo reduced to a size, or None if it is smaller."""
    height, width = pixels.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    if scale > 1:
        return None
    return np.ascontiguousarray(resize(pixels, (round(height * scale), round(width * scale))))


def measure(pixels: np.ndarray, reference: Any, model: Model) -> tuple[float, float]:
    """Return the PSNR in dB of the untouched photo and of the network."""
    target = reference(pixels)
    return psnr(mse(pixels, target)), psnr(mse(model(pixels), target))


if __name__ == "__main__":
    main()
