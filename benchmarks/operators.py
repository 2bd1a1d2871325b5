"""Seconds a megapixel of every slow operator at two sizes, and of what libraries offer instead.

python benchmarks/operators.py --megapixels 1 8 --json benchmarks/results/operators.json

"Grows" is the exponent of the number of pixels: 1.00 is time in proportion to them. Beside a
library's alternative stands how far its picture is from the operator's, in dB: a faster one that is
far away is another operator.
"""

import argparse
import dataclasses
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.restoration
from measure import circumstances, timed, write
from speed import scaled

from burnish.evaluation.doctor import SAMPLE
from burnish.metrics import mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo

LUT = Path(__file__).parents[1] / "docs" / "gallery" / "late-summer.cube"
# Seconds beyond which a run is timed once, after its warm-up.
LONG = 8
# Values of required parameters.
REQUIRED_PARAMS: dict[str, dict[str, Any]] = {"lut": {"lut": LUT}}


def bytes_of(rgb: np.ndarray) -> np.ndarray:
    return np.rint(rgb * 255).astype(np.uint8)


def floats_of(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) / 255


def chambolle(rgb: np.ndarray) -> np.ndarray:
    """Each channel by itself, weight 1 / lambda."""
    return np.stack(
        [skimage.restoration.denoise_tv_chambolle(c, weight=0.1) for c in np.moveaxis(rgb, 2, 0)],
        axis=2,
    )


def tvl1(rgb: np.ndarray) -> np.ndarray:
    planes = []
    for plane in np.moveaxis(bytes_of(rgb), 2, 0):
        result = np.empty_like(plane)
        cv2.denoise_TVL1([np.ascontiguousarray(plane)], result, 0.3, 100)
        planes.append(result)
    return floats_of(np.stack(planes, axis=2))


def pencil(rgb: np.ndarray) -> np.ndarray:
    return floats_of(np.repeat(cv2.pencilSketch(bytes_of(rgb))[0][..., None], 3, axis=2))


# Operator -> what libraries have under its name or for its purpose.
ALTERNATIVES: dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    # l0Smooth writes into a float picture that it is given.
    "l0-smoothing": {
        "cv2.ximgproc.l0Smooth": lambda rgb: cv2.ximgproc.l0Smooth(rgb.copy(), None, 0.02, 2.0)
    },
    "rudin-osher-fatemi": {"skimage denoise_tv_chambolle": chambolle},
    "tv-l1": {"cv2.denoise_TVL1, 100 iterations": tvl1},
    "local-laplacian": {
        "cv2.detailEnhance": lambda rgb: floats_of(cv2.detailEnhance(bytes_of(rgb)))
    },
    "pencil-drawing": {"cv2.pencilSketch": pencil},
    "non-local-means": {
        "cv2.fastNlMeansDenoisingColored": lambda rgb: floats_of(
            cv2.fastNlMeansDenoisingColored(bytes_of(rgb), None, 10, 10, 7, 21)
        )
    },
    "kuwahara": {
        "cv2.xphoto.oilPainting": lambda rgb: floats_of(cv2.xphoto.oilPainting(bytes_of(rgb), 4, 1))
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operators", nargs="+", default=list(OPERATORS))
    parser.add_argument("--photo", type=Path, default=SAMPLE)
    parser.add_argument("--megapixels", type=float, nargs=2, default=[1, 8])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    os.environ["BURNISH_THREADS"] = str(options.threads)
    cv2.setNumThreads(options.threads)
    photo = Photo.open(options.photo).pixels
    pictures = [scaled(photo, megapixels) for megapixels in options.megapixels]
    small, large = (f"{megapixels:g} Mpx" for megapixels in options.megapixels)
    results = {"circumstances": circumstances(), "threads": options.threads, "rows": {}}
    print(f"seconds a megapixel on {options.threads} threads, median of {options.repeats}")
    print(f"{'':44} {small:>8} {large:>8}  grows  distance, dB")
    for name in options.operators:
        operator = OPERATORS[name]
        given = REQUIRED_PARAMS.get(name, {})
        candidates = {name: lambda rgb, o=operator, g=given: o.run(rgb, **g)}
        candidates |= ALTERNATIVES.get(name, {})
        truth = candidates[name](pictures[0])
        for label, run in candidates.items():
            distance = None if label == name else psnr(mse(np.clip(run(pictures[0]), 0, 1), truth))
            row = measure(run, pictures, options.repeats)
            results["rows"][label] = row | {"operator": name, "distance": distance}
            shown = "" if distance is None else f"{distance:6.1f}"
            print(
                f"{'' if label == name else '  '}{label:{44 if label == name else 42}} "
                f"{row['small']:8.2f} {row['large']:8.2f}  {row['grows']:5.2f}  {shown}",
                flush=True,
            )
    if options.json and options.json.exists():  # the rows of operators that were not asked for stay
        results["rows"] = json.loads(options.json.read_text())["rows"] | results["rows"]
    write(options.json, results)


def measure(
    run: Callable[[np.ndarray], np.ndarray], pictures: list[np.ndarray], repeats: int
) -> dict[str, Any]:
    """Return seconds a megapixel at both sizes, how time grows, and the timings themselves."""
    megapixels = [picture.shape[0] * picture.shape[1] / 1e6 for picture in pictures]
    timings = [timed(lambda: run(pictures[0]), repeats)]
    long = timings[0].wall * megapixels[1] / megapixels[0] > LONG
    timings.append(timed(lambda: run(pictures[1]), 1 if long else repeats))
    rates = [timing.wall / size for timing, size in zip(timings, megapixels, strict=True)]
    grows = math.log(timings[1].wall / timings[0].wall) / math.log(megapixels[1] / megapixels[0])
    return {
        "small": rates[0],
        "large": rates[1],
        "grows": grows,
        "megapixels": megapixels,
        "timings": [dataclasses.asdict(timing) for timing in timings],
    }


if __name__ == "__main__":
    main()
