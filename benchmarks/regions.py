"""Accuracy of refined masks against true ones, and of inpainted holes against the photo.

    python benchmarks/regions.py --coco INSTANCES.json --images FOLDER --cut-outs FOLDER

Masks: each true mask is degraded to a detector's output (28 x 28, blurred, distorted by half a mask
pixel, the box shifted by 1 %) and then refined. The score is the intersection over union with the
true mask. `composites` are transparent cut-outs pasted into photos, whose masks are known exactly.
`photos` are objects of COCO of at least 10,000 pixels, outlined by hand.

Holes: each hole has the shape of a COCO object of 2,500 to 9,000 pixels and lies where no object
is. The score is the PSNR inside the hole.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import environment
from skimage.restoration import inpaint_biharmonic

from burnish.detection.instances import Instances, mask_box
from burnish.detection.objects_file import ObjectsFile
from burnish.photo import Photo
from burnish.regions import masks
from burnish.regions.options import RegionOptions
from burnish.regions.retouch import inpaint
from burnish.types import BoolMask, Pixels


def simulate_detection(truth: BoolMask, random: np.random.Generator) -> Instances:
    left, top, right, bottom = mask_box(truth)
    box = np.array([left, top, right, bottom], float)
    crop = truth[top:bottom, left:right].astype(np.float32)
    small = cv2.GaussianBlur(cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA), (0, 0), 0.7)
    y, x = np.mgrid[:28, :28].astype(np.float32)
    # Blurred noise of this strength distorts by about half a pixel.
    shift = [cv2.GaussianBlur(random.normal(size=(28, 28)), (0, 0), 3) * 3 for _ in range(2)]
    small = cv2.remap(small, x + np.float32(shift[0]), y + np.float32(shift[1]), cv2.INTER_LINEAR)
    box += random.normal(0, 0.01, 4) * np.tile(box[2:] - box[:2], 2)
    size = truth.shape[1], truth.shape[0]
    score = np.ones(1, np.float32)
    return Instances(size, np.float32([box]), ("object",), score, (np.float32(small),))


def composites(photos: list[Path], cut_outs: list[Path]) -> Iterator[tuple[Pixels, BoolMask]]:
    random = np.random.default_rng(0)
    while True:
        photo = Photo.open(photos[random.integers(len(photos))]).pixels.copy()
        cut_out = Photo.open(cut_outs[random.integers(len(cut_outs))])
        if cut_out.alpha is None:
            continue
        scale = random.integers(120, 330) / max(cut_out.size)
        size = tuple(max(8, round(length * scale)) for length in cut_out.size)
        pixels = cv2.resize(cut_out.pixels, size, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(cut_out.alpha, size, interpolation=cv2.INTER_AREA)
        free = photo.shape[0] - size[1], photo.shape[1] - size[0]
        if min(free) < 1 or (alpha > 0.5).sum() < 3000:
            continue
        top, left = random.integers(free[0]), random.integers(free[1])
        window = slice(top, top + size[1]), slice(left, left + size[0])
        photo[window] += alpha[..., None] * (pixels - photo[window])
        photo = cv2.GaussianBlur(photo, (0, 0), 0.6) + random.normal(0, 0.01, photo.shape)
        truth = np.zeros(photo.shape[:2], bool)
        truth[window] = alpha > 0.5
        yield np.clip(photo, 0, 1, dtype=np.float32), truth


def objects(
    photos: list[Path], coco: ObjectsFile, min_area: int
) -> Iterator[tuple[Pixels, BoolMask]]:
    for path in photos:
        pixels = Photo.open(path).pixels
        instances = coco.find(pixels, path)
        for index in range(len(instances)):
            if instances.masks[index].sum() >= min_area:
                yield pixels, instances.mask(index) > 0


def grabcut(instances: Instances, pixels: Pixels) -> BoolMask:
    rough = masks.binary_mask(instances, [0], pixels, RegionOptions(refine=False))
    rough = rough.astype(np.uint8)
    cell = float(max(instances.boxes[0][2:] - instances.boxes[0][:2])) / 28
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * max(2, round(0.7 * cell)) + 1,) * 2)
    marks = np.where(rough, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[cv2.erode(rough, kernel) > 0] = cv2.GC_FGD
    marks[cv2.dilate(rough, kernel) == 0] = cv2.GC_BGD
    if not (marks == cv2.GC_FGD).any():
        return rough > 0
    codes = np.rint(pixels * 255).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(codes, marks, None, *models, 2, cv2.GC_INIT_WITH_MASK)
    return (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)


def guided(window: float) -> Callable[[Instances, Pixels], BoolMask]:
    def refine(instances: Instances, pixels: Pixels) -> BoolMask:
        default, masks._WINDOW = masks._WINDOW, window
        try:
            return masks.binary_mask(instances, [0], pixels, RegionOptions())
        finally:
            masks._WINDOW = default

    return refine


def overlaps(cases: list[tuple[Pixels, BoolMask]]) -> dict[str, Any]:
    coarse = RegionOptions(refine=False)
    methods = {"unrefined": lambda i, p: masks.binary_mask(i, [0], p, coarse)}
    methods |= {f"guided, window {window}": guided(window) for window in (0.25, 0.5, 1.0, 1.5)}
    methods["GrabCut"] = grabcut
    random = np.random.default_rng(1)
    ious: dict[str, list[float]] = {name: [] for name in methods}
    for pixels, truth in cases:
        instances = simulate_detection(truth, random)
        for name, run in methods.items():
            mask = run(instances, pixels)
            ious[name].append(float((mask & truth).sum() / (mask | truth).sum()))
    unrefined = np.array(ious["unrefined"])
    return {
        name: {
            "overlap": float(np.mean(values)),
            "better": float((np.array(values) > unrefined).mean()),
        }
        for name, values in ious.items()
    }


def holes(photos: list[Path], coco: ObjectsFile) -> Iterator[tuple[Pixels, BoolMask]]:
    random = np.random.default_rng(3)
    shapes = []
    for _, mask in objects(photos, coco, 2500):
        if mask.sum() < 9000:
            left, top, right, bottom = mask_box(mask)
            shapes.append(mask[top:bottom, left:right])
    for path in photos:
        pixels = Photo.open(path).pixels
        instances = coco.find(pixels, path)
        occupied = masks.binary_mask(instances, range(len(instances)), pixels, RegionOptions())
        for _ in range(200):
            shape = shapes[random.integers(len(shapes))]
            free = [a - b - 40 for a, b in zip(occupied.shape, shape.shape, strict=True)]
            if min(free) < 1:
                continue
            top, left = (int(random.integers(20, 20 + length)) for length in free)
            window = slice(top, top + shape.shape[0]), slice(left, left + shape.shape[1])
            if not occupied[window][shape].any():
                hole = np.zeros_like(occupied)
                hole[window] = shape
                rows = slice(max(0, top - 60), window[0].stop + 60)
                columns = slice(max(0, left - 60), window[1].stop + 60)
                yield pixels[rows, columns], hole[rows, columns]
                break


def opencv_inpaint(flag: int, radius: int) -> Callable[[Pixels, BoolMask], Pixels]:
    def run(pixels: Pixels, hole: BoolMask) -> Pixels:
        codes = np.rint(pixels * 255).astype(np.uint8)
        return cv2.inpaint(codes, hole.astype(np.uint8), radius, flag) / np.float32(255)

    return run


def frequency_selective(pixels: Pixels, hole: BoolMask) -> Pixels:
    codes = np.rint(pixels * 255).astype(np.uint8)
    output = np.zeros_like(codes)
    known = (~hole).astype(np.uint8) * 255
    cv2.xphoto.inpaint(codes, known, output, cv2.xphoto.INPAINT_FSR_FAST)
    return output / np.float32(255)


def inpainting_errors(cases: list[tuple[Pixels, BoolMask]]) -> dict[str, Any]:
    methods = {
        "smooth": lambda p, h: inpaint(p, h.astype(np.float32), "smooth"),
        "texture": lambda p, h: inpaint(p, h.astype(np.float32), "texture"),
        "Telea, radius 3": opencv_inpaint(cv2.INPAINT_TELEA, 3),
        "Telea, radius 10": opencv_inpaint(cv2.INPAINT_TELEA, 10),
        "Navier-Stokes, radius 3": opencv_inpaint(cv2.INPAINT_NS, 3),
        "Navier-Stokes, radius 10": opencv_inpaint(cv2.INPAINT_NS, 10),
        "biharmonic": lambda p, h: inpaint_biharmonic(p, h, channel_axis=2).clip(0, 1),
        "frequency selective, fast": frequency_selective,
    }
    errors = {}
    for name, run in methods.items():
        psnr, start = [], time.process_time()
        for pixels, hole in cases:
            psnr.append(-10 * np.log10(np.square(run(pixels, hole) - pixels)[hole].mean()))
        seconds = (time.process_time() - start) / len(cases)
        errors[name] = {"psnr": float(np.mean(psnr)), "cpu_seconds": seconds}
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coco", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cut-outs", type=Path, required=True)
    parser.add_argument(
        "--photos", type=int, default=24, help="number of COCO photos, in order of their names"
    )
    parser.add_argument("--composites", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    coco = ObjectsFile.open(arguments.coco)
    all_photos = sorted(path for path in arguments.images.iterdir() if path.name in coco.images)
    photos = all_photos[: arguments.photos]
    cut_outs = sorted(arguments.cut_outs.rglob("*.png"))
    cases = composites(all_photos, cut_outs)
    results = {
        "composites": overlaps([next(cases) for _ in range(arguments.composites)]),
        "photos": overlaps(list(objects(photos, coco, 10_000))),
        "holes": inpainting_errors(list(holes(photos, coco))),
    }
    for name, rows in results.items():
        print(name)
        for method, row in rows.items():
            print(
                f"  {method:<28}" + "".join(f"{key} {value:8.3f}  " for key, value in row.items())
            )
    if arguments.json:
        record = {"environment": environment(), **results}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
