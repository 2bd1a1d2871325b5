"""Accuracy of refined masks against true ones, and of the bundled detector by score.

    python benchmarks/regions.py --coco INSTANCES.json --images FOLDER --cut-outs FOLDER

Masks: each true mask is degraded to a detector's output (28 x 28, blurred, distorted by half a mask
pixel, the box shifted by 1 %) and then refined. The score is the intersection over union with the
true mask. `composites` are transparent cut-outs pasted into photos, whose masks are known exactly.
`photos` are objects of COCO of at least 10,000 pixels, outlined by hand.

Scores: a detection is true if its mask overlaps (intersection over union) by at least a half with
that of an annotated object of its class, which no better detection has; a detection in a crowd does
not count. Objects that COCO does not annotate count as false.

Boxes: the overlap of detected masks with the true ones, for all objects, for those of which more
than 5 % lie outside of the detector's box ("cut off"), and for the others ("whole").
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measure import environment

from burnish.detection.coco import AnnotatedImage, CocoDataset, read_dataset
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import Instances, mask_box
from burnish.detection.objects_file import ObjectsFile
from burnish.photo import Photo
from burnish.regions import masks
from burnish.regions.options import RegionOptions
from burnish.types import BoolMask, Pixels

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
COUNTS = ("true", "false", "objects", "photos", "largest found")


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


def read_detections(
    dataset: CocoDataset, detector: MaskRCNN
) -> list[tuple[AnnotatedImage, Pixels, Instances]]:
    found = []
    for image in dataset.images:
        pixels = Photo.open(image.path).pixels
        found.append((image, pixels, detector.predict(pixels)))
    return found


def overlap(one: BoolMask, other: BoolMask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def thresholds(
    found: list[tuple[AnnotatedImage, Pixels, Instances]], classes: Sequence[str], other: str
) -> dict[str, Any]:
    counts = {t: {c: dict.fromkeys(COUNTS, 0) for c in classes} for t in THRESHOLDS}
    for image, _, instances in found:
        truth: dict[str, list[BoolMask]] = {name: [] for name in classes}
        crowds: dict[str, list[BoolMask]] = {name: [] for name in classes}
        for annotation in image.annotations:
            label = annotation.label if annotation.label in classes else other
            (crowds if annotation.is_crowd else truth)[label].append(annotation.mask())
        masks_found = [instances.mask(index) >= 0.5 for index in range(len(instances))]
        for threshold, name in product(THRESHOLDS, classes):
            count, used = counts[threshold][name], set()
            for index, mask in enumerate(masks_found):
                if instances.labels[index] != name or instances.scores[index] < threshold:
                    continue
                free = [(overlap(mask, m), n) for n, m in enumerate(truth[name]) if n not in used]
                best = max(free, default=(0, 0))
                if best[0] >= 0.5:
                    used.add(best[1])
                elif not any((mask & crowd).sum() >= 0.5 * mask.sum() for crowd in crowds[name]):
                    count["false"] += 1
            count["true"] += len(used)
            count["objects"] += len(truth[name])
            count["photos"] += bool(truth[name])
            if truth[name]:
                largest = max(range(len(truth[name])), key=lambda n: truth[name][n].sum())
                count["largest found"] += largest in used
    return {f"{t} {c}": counts[t][c] for t, c in product(THRESHOLDS, classes)}


def beyond_boxes(found: list[tuple[AnnotatedImage, Pixels, Instances]]) -> dict[str, Any]:
    """Compare refined masks with and without their extension beyond the boxes of the detector."""
    extended = masks._extended
    methods = {
        "unrefined": (RegionOptions(refine=False), extended),
        "refined in the box": (RegionOptions(), lambda mask, *rest: mask),
        "refined beyond the box": (RegionOptions(), extended),
    }
    ious: dict[str, list[float]] = {}
    for image, pixels, instances in found:
        truth = [a.mask() for a in image.annotations if not a.is_crowd]
        for index in np.flatnonzero(instances.scores >= 0.1):
            rough = instances.mask(index) >= 0.5
            iou, best = max(((overlap(rough, m), n) for n, m in enumerate(truth)), default=(0, 0))
            if iou < 0.4 or truth[best].sum() < 1500:
                continue
            box = np.zeros_like(rough)
            left, top, right, bottom = instances.boxes[index].clip(0).astype(int)
            box[top : bottom + 1, left : right + 1] = True
            is_cut = (truth[best] & ~box).sum() > 0.05 * truth[best].sum()
            for name, (options, masks._extended) in methods.items():
                mask = masks.binary_mask(instances, [index], pixels, options)
                for group in ("all", "cut off" if is_cut else "whole"):
                    ious.setdefault(f"{group}, {name}", []).append(overlap(mask, truth[best]))
            masks._extended = extended
    return {k: {"overlap": float(np.mean(v)), "objects": len(v)} for k, v in ious.items()}


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
    detector = MaskRCNN.open("light")
    found = read_detections(read_dataset(arguments.coco, arguments.images), detector)
    cases = composites(all_photos, cut_outs)
    results = {
        "scores": thresholds(found, detector.card.classes, detector.card.other_class or ""),
        "boxes": beyond_boxes(found),
        "composites": overlaps([next(cases) for _ in range(arguments.composites)]),
        "photos": overlaps(list(objects(photos, coco, 10_000))),
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
