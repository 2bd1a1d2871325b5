"""Does a network hold from small photos to large ones? Fidelity against size.

python benchmarks/sizes.py --photos LARGE --megapixels 0.2 1 4 12 --json RESULT

Every photo that is large enough is brought to each size, so that the rows of a network differ in
size and not in what is pictured; networks are those that ship, at their operators' defaults.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measure import circumstances, write

from burnish.evaluation.compare import reference_function
from burnish.metrics import mse, psnr
from burnish.operators.paper import PAPER_OPERATORS
from burnish.photo import Photo
from burnish.runtime.model import Model
from burnish.training.pairs import find_photos, resize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="never trained on")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.2, 1, 4, 12])
    parser.add_argument("--operators", nargs="*", default=list(PAPER_OPERATORS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {"circumstances": circumstances(), "operators": {}}
    photos = find_photos(options.photos)
    for name in options.operators:
        model = Model.open(name)
        reference = reference_function(model.card, {})
        rows = []
        for megapixels in options.megapixels:
            found = [
                errors(pixels, reference, model)
                for photo in photos
                if (pixels := at(Photo.open(photo).pixels, megapixels)) is not None
            ]
            if not found:
                continue
            before, after = (float(np.mean(each)) for each in zip(*found, strict=True))
            rows.append({"megapixels": megapixels, "photos": len(found)})
            rows[-1] |= {"untouched": round(before, 2), "network": round(after, 2)}
            print(f"{name:28} {rows[-1]}", flush=True)
        results["operators"][name] = rows
        write(options.json, results)


def at(pixels: np.ndarray, megapixels: float) -> np.ndarray | None:
    """Bring a photo down to a size; None where it is smaller."""
    height, width = pixels.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    if scale > 1:
        return None
    return np.ascontiguousarray(resize(pixels, (round(height * scale), round(width * scale))))


def errors(pixels: np.ndarray, reference: Any, model: Model) -> tuple[float, float]:
    """Return the PSNR in dB of the untouched photo and of the network."""
    target = reference(pixels)
    return psnr(mse(pixels, target)), psnr(mse(model(pixels), target))


if __name__ == "__main__":
    main()
