"""Seconds per megapixel of every operator at two sizes, and of its counterparts in libraries.

python benchmarks/operators.py --megapixels 1 8 --json benchmarks/results/operators.json

"Grows" is the exponent of the number of pixels: at 1.00, the time is proportional to it. "Distance"
is the PSNR of a library function's output against the operator's. A fast function with a low PSNR
computes something else.
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
from measure import environment, timed, write
from speed import resize_to

from burnish.evaluation.doctor import SAMPLE
from burnish.metrics import mse, psnr
from burnish.operators.registry import OPERATORS
from burnish.photo import Photo

LUT = Path(__file__).parents[1] / "docs" / "gallery" / "late-summer.cube"
# Runs that take more seconds than this are timed once, after the warm-up.
LONG_SECONDS = 8
# Values of required parameters.
REQUIRED_PARAMS: dict[str, dict[str, Any]] = {"lut": {"lut": LUT}}


def to_uint8(rgb: np.ndarray) -> np.ndarray:
    return np.rint(rgb * 255).astype(np.uint8)


def to_float(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32) / 255


def chambolle(rgb: np.ndarray) -> np.ndarray:
    """Denoise each channel separately, with the weight 1 / lambda."""
    return np.stack(
        [skimage.restoration.denoise_tv_chambolle(c, weight=0.1) for c in np.moveaxis(rgb, 2, 0)],
        axis=2,
    )


def tvl1(rgb: np.ndarray) -> np.ndarray:
    planes = []
    for plane in np.moveaxis(to_uint8(rgb), 2, 0):
        output = np.empty_like(plane)
        cv2.denoise_TVL1([np.ascontiguousarray(plane)], output, 0.3, 100)
        planes.append(output)
    return to_float(np.stack(planes, axis=2))


def pencil(rgb: np.ndarray) -> np.ndarray:
    return to_float(np.repeat(cv2.pencilSketch(to_uint8(rgb))[0][..., None], 3, axis=2))


# Operator -> functions of libraries with the same name or purpose.
ALTERNATIVES: dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    # l0Smooth overwrites a float image, hence the copy.
    "l0-smoothing": {
        "cv2.ximgproc.l0Smooth": lambda rgb: cv2.ximgproc.l0Smooth(rgb.copy(), None, 0.02, 2.0)
    },
    "rudin-osher-fatemi": {"skimage denoise_tv_chambolle": chambolle},
    "tv-l1": {"cv2.denoise_TVL1, 100 iterations": tvl1},
    "local-laplacian": {
        "cv2.detailEnhance": lambda rgb: to_float(cv2.detailEnhance(to_uint8(rgb)))
    },
    "pencil-drawing": {"cv2.pencilSketch": pencil},
    "non-local-means": {
        "cv2.fastNlMeansDenoisingColored": lambda rgb: to_float(
            cv2.fastNlMeansDenoisingColored(to_uint8(rgb), None, 10, 10, 7, 21)
        )
    },
    "kuwahara": {
        "cv2.xphoto.oilPainting": lambda rgb: to_float(cv2.xphoto.oilPainting(to_uint8(rgb), 4, 1))
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
    images = [resize_to(photo, megapixels) for megapixels in options.megapixels]
    small, large = (f"{megapixels:g} Mpx" for megapixels in options.megapixels)
    results = {"environment": environment(), "threads": options.threads, "rows": {}}
    print(f"seconds per megapixel on {options.threads} threads, median of {options.repeats}")
    print(f"{'':44} {small:>8} {large:>8}  grows  distance, dB")
    for name in options.operators:
        operator = OPERATORS[name]
        params = REQUIRED_PARAMS.get(name, {})
        functions = {name: lambda rgb, o=operator, p=params: o.run(rgb, **p)}
        functions |= ALTERNATIVES.get(name, {})
        target = functions[name](images[0])
        for label, run in functions.items():
            distance = None if label == name else psnr(mse(np.clip(run(images[0]), 0, 1), target))
            row = measure(run, images, options.repeats)
            results["rows"][label] = row | {"operator": name, "distance": distance}
            distance_text = "" if distance is None else f"{distance:6.1f}"
            print(
                f"{'' if label == name else '  '}{label:{44 if label == name else 42}} "
                f"{row['small']:8.2f} {row['large']:8.2f}  {row['grows']:5.2f}  {distance_text}",
                flush=True,
            )
    if options.json and options.json.exists():  # keep the rows of other operators
        results["rows"] = json.loads(options.json.read_text())["rows"] | results["rows"]
    write(options.json, results)


def measure(
    run: Callable[[np.ndarray], np.ndarray], images: list[np.ndarray], repeats: int
) -> dict[str, Any]:
    """Return seconds per megapixel at both sizes, the exponent of growth, and the timings."""
    megapixels = [image.shape[0] * image.shape[1] / 1e6 for image in images]
    timings = [timed(lambda: run(images[0]), repeats)]
    is_long = timings[0].wall * megapixels[1] / megapixels[0] > LONG_SECONDS
    timings.append(timed(lambda: run(images[1]), 1 if is_long else repeats))
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
