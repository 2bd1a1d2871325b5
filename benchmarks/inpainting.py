"""Quality of methods that fill a hole in a photo, on holes whose content is known.

    python benchmarks/inpainting.py --photos FOLDER --coco INSTANCES.json --sheet sheet.png

Each hole has the shape of a COCO object and 0.8 to 5 % of the photo's area, and lies anywhere in
the photo. Five values are measured inside the hole:

- psnr: dB; favours smooth fillings
- ssim: structural similarity
- patches: sliced Wasserstein distance between the 7 x 7 patches of the filling and of the photo, in
  code values; low if the filling has the same colours and textures, at any place
- texture: the same for patches whose mean is subtracted
- detail: sum of the gradients, divided by that of the photo; 1 if it is equally sharp

The sheet shows the holes, and the fillings by each method.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import environment
from skimage.metrics import structural_similarity
from skimage.restoration import inpaint_biharmonic

from burnish.detection import coco
from burnish.photo import Photo
from burnish.regions.retouch import inpaint
from burnish.types import BoolMask, Pixels

# The part of a photo that a hole covers, at least and at most.
AREAS = 0.008, 0.05
# Distance of a hole from the border of the photo, px.
BORDER = 10
PATCH, PROJECTIONS = 7, 64


def shapes(path: Path) -> list[BoolMask]:
    """Return the masks of objects, each in its box."""
    masks = []
    for image in coco.read(path).images:
        for annotation in image.annotations:
            mask = annotation.mask()
            if not annotation.is_crowd and 0.01 < mask.mean() < 0.1:
                rows, columns = np.nonzero(mask)
                masks.append(mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    return masks


def holes(folder: Path, masks: list[BoolMask]) -> Iterator[tuple[Pixels, BoolMask]]:
    random = np.random.default_rng(5)
    paths = sorted(folder.iterdir())
    random.shuffle(paths)  # type: ignore[arg-type]
    for path in paths:
        pixels = Photo.open(path).pixels
        for _ in range(50):
            mask = masks[random.integers(len(masks))].astype(np.uint8)
            area = random.uniform(*AREAS) * pixels.shape[0] * pixels.shape[1]
            scale = np.sqrt(area / mask.sum())
            mask = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
            free = [a - b - 2 * BORDER for a, b in zip(pixels.shape[:2], mask.shape, strict=True)]
            if min(free) < 1:
                continue
            top, left = (BORDER + int(random.integers(length)) for length in free)
            hole = np.zeros(pixels.shape[:2], bool)
            hole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask > 0
            yield pixels, hole
            break


def codes(pixels: Pixels, hole: BoolMask) -> Any:
    return np.rint(np.where(hole[..., None], 0, pixels) * 255).astype(np.uint8)


def opencv(flag: int, radius: int) -> Callable[[Pixels, BoolMask], Pixels]:
    def run(pixels: Pixels, hole: BoolMask) -> Pixels:
        filled = cv2.inpaint(codes(pixels, hole), hole.astype(np.uint8), radius, flag)
        return filled / np.float32(255)

    return run


def around(hole: BoolMask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(hole)
    top, left = max(0, rows.min() - margin), max(0, columns.min() - margin)
    return slice(top, rows.max() + margin), slice(left, columns.max() + margin)


def xphoto(flag: int) -> Callable[[Pixels, BoolMask], Pixels]:
    def run_around(pixels: Pixels, hole: BoolMask) -> Pixels:
        # On whole photos, these methods take minutes.
        filled, window = pixels.copy(), around(hole, 32)
        filled[window] = run(pixels[window], hole[window])
        return filled

    def run(pixels: Pixels, hole: BoolMask) -> Pixels:
        known = (~hole).astype(np.uint8) * 255
        if flag != cv2.xphoto.INPAINT_SHIFTMAP:
            filled = np.zeros_like(codes(pixels, hole))
            cv2.xphoto.inpaint(codes(pixels, hole), known, filled, flag)
            return filled / np.float32(255)
        # The shift map compares colours in CIELAB.
        lab = cv2.cvtColor(codes(pixels, hole), cv2.COLOR_RGB2Lab)
        filled = np.zeros_like(lab)
        cv2.xphoto.inpaint(lab, known, filled, flag)
        return cv2.cvtColor(filled, cv2.COLOR_Lab2RGB) / np.float32(255)

    return run_around


METHODS: dict[str, Callable[[Pixels, BoolMask], Pixels]] = {
    "smooth": lambda pixels, hole: inpaint(pixels, hole.astype(np.float32), "smooth"),
    "texture": lambda pixels, hole: inpaint(pixels, hole.astype(np.float32), "texture"),
    "Telea, radius 3": opencv(cv2.INPAINT_TELEA, 3),
    "Telea, radius 10": opencv(cv2.INPAINT_TELEA, 10),
    "Navier-Stokes, radius 3": opencv(cv2.INPAINT_NS, 3),
    "biharmonic": lambda p, h: inpaint_biharmonic(
        np.where(h[..., None], 0, p), h, channel_axis=2
    ).clip(0, 1),
    "shift map": xphoto(cv2.xphoto.INPAINT_SHIFTMAP),
    "frequency selective, fast": xphoto(cv2.xphoto.INPAINT_FSR_FAST),
    "frequency selective, best": xphoto(cv2.xphoto.INPAINT_FSR_BEST),
}


def patch_distance(one: Pixels, other: Pixels, hole: BoolMask, *, centred: bool) -> float:
    """Return the sliced Wasserstein distance between the patches in a hole, in code values.

    Parameters
    ----------
    centred : the mean of each patch is subtracted first
    """
    random = np.random.default_rng(0)
    directions = random.normal(size=(PATCH * PATCH * 3, PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    radius = PATCH // 2
    rows, columns = np.nonzero(hole)
    projections = []
    for image in (one, other):
        padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
        views = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH), axis=(0, 1))
        patches = views[rows, columns]
        if centred:
            patches = patches - patches.mean(axis=(2, 3), keepdims=True)
        projections.append(np.sort(patches.reshape(len(rows), -1) @ directions, axis=0))
    return 255 * float(np.abs(projections[0] - projections[1]).mean())


def detail(pixels: Pixels, hole: BoolMask) -> float:
    grey = pixels.mean(axis=2)
    return float(np.hypot(*np.gradient(grey))[hole].sum())


def scores(filled: Pixels, photo: Pixels, hole: BoolMask) -> dict[str, float]:
    similarity = structural_similarity(filled, photo, channel_axis=2, data_range=1, full=True)[1]
    return {
        "psnr": float(-10 * np.log10(np.square(filled - photo)[hole].mean())),
        "ssim": float(similarity[hole].mean()),
        "patches": patch_distance(filled, photo, hole, centred=False),
        "texture": patch_distance(filled, photo, hole, centred=True),
        "detail": detail(filled, hole) / detail(photo, hole),
    }


def write_sheet(rows: list[list[Pixels]], path: Path, side: int = 240) -> None:
    """Write a picture with a row for each hole and a column for each method."""
    sheet = []
    for row in rows:
        cells = []
        for cell in row:
            scale = side / max(cell.shape[:2])
            small = cv2.resize(cell, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            below, right = side - small.shape[0], side - small.shape[1]
            cells.append(np.pad(small, ((0, below), (0, right), (0, 0))))
        sheet.append(np.hstack(cells))
    Photo(np.vstack(sheet).clip(0, 1)).save(path, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--coco", type=Path, required=True)
    parser.add_argument("--holes", type=int, default=30)
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    cases = list(islice(holes(arguments.photos, shapes(arguments.coco)), arguments.holes))
    rows = [[np.where(h[..., None], 1, p)[around(h, 40)], p[around(h, 40)]] for p, h in cases]
    results: dict[str, Any] = {}
    for method in arguments.method or METHODS:
        values, start = [], time.process_time()
        for row, (pixels, hole) in zip(rows, cases, strict=True):
            filled = np.float32(METHODS[method](pixels, hole))
            values.append(scores(filled, pixels, hole))
            row.append(filled[around(hole, 40)])
        seconds = (time.process_time() - start) / len(cases)
        means = {name: float(np.mean([value[name] for value in values])) for name in values[0]}
        results[method] = means | {"cpu_seconds": seconds}
        print(
            f"{method:<28}" + "".join(f"{k} {v:8.3f}  " for k, v in results[method].items()),
            flush=True,
        )
    if arguments.sheet:
        write_sheet(rows, arguments.sheet)
    if arguments.json:
        record = {"environment": environment(), "holes": results}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
