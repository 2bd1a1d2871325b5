"""Evaluate: the twelve numbers of COCO, of a detector on photos that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection import rle
from burnish.detection.card import DetectorCard, Measurement
from burnish.detection.coco import CocoSet, Outlined
from burnish.detection.instances import Detector, Instances
from burnish.errors import UsageError
from burnish.photo import Photo

# COCO's evaluation takes so many detections a photo.
MOST = 100


@dataclass(frozen=True)
class Looked:
    """What was found in one photo: left, top, width, height px; masks as run lengths."""

    boxes: tuple[tuple[float, ...], ...]
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    masks: tuple[dict[str, Any], ...]


def look(
    detector: Detector, photos: CocoSet, tick: Callable[[], None] = lambda: None
) -> tuple[Looked, ...]:
    """Look at all photos of a set."""
    found = []
    for picture in photos.pictures:
        found.append(_kept(detector.predict(Photo.open(picture.path).pixels)))
        tick()
    return tuple(found)


def measure(found: Sequence[Looked], photos: CocoSet, card: DetectorCard) -> Measurement:
    """Compare what was found with the truth.

    Categories that the detector has no class for count as its class `rest`, where it has one, and
    do not count otherwise. Areas, for small, medium and large, are those of the masks.

    Raises
    ------
    UsageError : no photo has an object of its classes
    """
    truth = true_records(photos, card)
    if not truth["annotations"]:
        raise UsageError(
            str(photos.source),
            expected=f"objects of the classes {', '.join(card.classes)[:200]}",
            got="none",
            remedy="judge on other photos",
        )
    records = found_records(found, card)
    box, _ = twelve(truth, records, "bbox")
    mask, by_class = twelve(truth, records, "segm")
    return Measurement(
        photos=name_of(photos),
        count=len(photos.pictures),
        objects=sum(not record["iscrowd"] for record in truth["annotations"]),
        box=box,
        mask=mask,
        mask_by_class=dict(zip(card.classes, by_class, strict=True)),
    )


def twelve(
    truth: dict[str, Any], records: list[dict[str, Any]], kind: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return COCO's twelve numbers, and the AP of each category, for `bbox` or `segm`."""
    from faster_coco_eval import COCO, COCOeval_faster

    true = COCO(truth)
    blank = {"images": truth["images"], "categories": truth["categories"], "annotations": []}
    ours = true.loadRes(records) if records else COCO(blank)
    judge = COCOeval_faster(true, ours, kind, print_function=lambda *words: None)
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    # Overlaps, recalls, categories, areas, counts: all overlaps, all areas, most detections.
    precision: NDArray[np.float64] = judge.eval["precision"][:, :, :, 0, -1]
    by_class = []
    for index in range(precision.shape[2]):
        defined = precision[:, :, index][precision[:, :, index] > -1]
        by_class.append(float(defined.mean()) if defined.size else -1.0)
    return tuple(float(number) for number in judge.stats[:12]), tuple(by_class)


def true_records(photos: CocoSet, card: DetectorCard) -> dict[str, Any]:
    """Return the truth as a COCO record whose categories are the detector's classes, from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, picture in enumerate(photos.pictures, 1):
        images.append({"id": index, "width": picture.size[0], "height": picture.size[1]})
        for found in picture.objects:
            label = class_of(found, card)
            if label is None:
                continue
            mask = found.mask()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": card.classes.index(label) + 1,
                    "segmentation": {"size": list(mask.shape), "counts": rle.encode(mask)},
                    "bbox": _bounds(mask),
                    "area": int(mask.sum()),
                    "iscrowd": int(found.crowd),
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(card.classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def found_records(found: Sequence[Looked], card: DetectorCard) -> list[dict[str, Any]]:
    """Return what was found as COCO's results have it."""
    return [
        {
            "image_id": index,
            "category_id": card.classes.index(label) + 1,
            "bbox": list(box),
            "score": score,
            "segmentation": mask,
        }
        for index, looked in enumerate(found, 1)
        for box, label, score, mask in zip(
            looked.boxes, looked.labels, looked.scores, looked.masks, strict=True
        )
    ]


def name_of(photos: CocoSet) -> str:
    """Return what a card calls a set of photos: its file, and the folder that it lies in."""
    return f"{photos.source.resolve().parent.name}/{photos.source.name}"[:1000]


def class_of(found: Outlined, card: DetectorCard) -> str | None:
    """Return which of a detector's classes an object counts as."""
    return found.label if found.label in card.classes else card.rest


def _kept(found: Instances) -> Looked:
    count = min(len(found), MOST)
    masks = []
    for index in range(count):
        mask = found.mask(index) >= 0.5
        masks.append({"size": list(mask.shape), "counts": rle.encode(mask)})
    boxes = found.boxes.astype(float)
    return Looked(
        tuple((b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in boxes[:count].tolist()),
        found.labels[:count],
        tuple(float(score) for score in found.scores[:count]),
        tuple(masks),
    )


def _bounds(mask: NDArray[np.bool_]) -> list[int]:
    """Return left, top, width and height of a mask; zeros where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return [0, 0, 0, 0]
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
