"""Evaluate: the twelve numbers of COCO, of a detector on photos that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection import rle
from burnish.detection.card import CocoMetrics, DetectorCard
from burnish.detection.coco import Annotation, CocoDataset
from burnish.detection.instances import Detector, Instances
from burnish.errors import UsageError
from burnish.photo import Photo

# COCO's evaluation takes so many detections a photo.
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class CocoDetections:
    """What was found in one photo: left, top, width, height px; masks as run lengths."""

    boxes: tuple[tuple[float, ...], ...]
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    masks: tuple[dict[str, Any], ...]


def run_detector(
    detector: Detector, dataset: CocoDataset, on_progress: Callable[[], None] = lambda: None
) -> tuple[CocoDetections, ...]:
    """Look at all photos of a set."""
    detections = []
    for picture in dataset.images:
        detections.append(_to_coco_detections(detector.predict(Photo.open(picture.path).pixels)))
        on_progress()
    return tuple(detections)


def evaluate_detections(
    detections: Sequence[CocoDetections], dataset: CocoDataset, card: DetectorCard
) -> CocoMetrics:
    """Compare what was found with the truth.

    Categories that the detector has no class for count as its class `rest`, where it has one, and
    do not count otherwise. Areas, for small, medium and large, are those of the masks.

    Raises
    ------
    UsageError : no photo has an object of its classes
    """
    ground_truth = ground_truth_records(dataset, card)
    if not ground_truth["annotations"]:
        raise UsageError(
            str(dataset.source),
            expected=f"objects of the classes {', '.join(card.classes)[:200]}",
            got="none",
            remedy="judge on other photos",
        )
    records = detection_records(detections, card)
    box, _ = coco_metrics(ground_truth, records, "bbox")
    mask, by_class = coco_metrics(ground_truth, records, "segm")
    return CocoMetrics(
        dataset=dataset_name(dataset),
        photo_count=len(dataset.images),
        object_count=sum(not record["iscrowd"] for record in ground_truth["annotations"]),
        box=box,
        mask=mask,
        mask_ap_by_class=dict(zip(card.classes, by_class, strict=True)),
    )


def coco_metrics(
    ground_truth: dict[str, Any], records: list[dict[str, Any]], iou_type: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return COCO's twelve numbers, and the AP of each category, for `bbox` or `segm`."""
    from faster_coco_eval import COCO, COCOeval_faster

    true = COCO(ground_truth)
    blank = {
        "images": ground_truth["images"],
        "categories": ground_truth["categories"],
        "annotations": [],
    }
    ours = true.loadRes(records) if records else COCO(blank)
    evaluator = COCOeval_faster(true, ours, iou_type, print_function=lambda *words: None)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    # Overlaps, recalls, categories, areas, counts: all overlaps, all areas, most detections.
    precision: NDArray[np.float64] = evaluator.eval["precision"][:, :, :, 0, -1]
    by_class = []
    for index in range(precision.shape[2]):
        defined = precision[:, :, index][precision[:, :, index] > -1]
        by_class.append(float(defined.mean()) if defined.size else -1.0)
    return tuple(float(number) for number in evaluator.stats[:12]), tuple(by_class)


def ground_truth_records(dataset: CocoDataset, card: DetectorCard) -> dict[str, Any]:
    """Return the truth as a COCO record whose categories are the detector's classes, from 1."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, picture in enumerate(dataset.images, 1):
        images.append({"id": index, "width": picture.size[0], "height": picture.size[1]})
        for found in picture.annotations:
            label = map_class(found, card)
            if label is None:
                continue
            mask = found.mask()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": card.classes.index(label) + 1,
                    "segmentation": {"size": list(mask.shape), "counts": rle.encode(mask)},
                    "bbox": _mask_bbox(mask),
                    "area": int(mask.sum()),
                    "iscrowd": int(found.is_crowd),
                }
            )
    categories = [{"id": index, "name": name} for index, name in enumerate(card.classes, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def detection_records(
    detections: Sequence[CocoDetections], card: DetectorCard
) -> list[dict[str, Any]]:
    """Return what was found as COCO's results have it."""
    return [
        {
            "image_id": index,
            "category_id": card.classes.index(label) + 1,
            "bbox": list(box),
            "score": score,
            "segmentation": mask,
        }
        for index, looked in enumerate(detections, 1)
        for box, label, score, mask in zip(
            looked.boxes, looked.labels, looked.scores, looked.masks, strict=True
        )
    ]


def dataset_name(dataset: CocoDataset) -> str:
    """Return what a card calls a set of photos: its file, and the folder that it lies in."""
    return f"{dataset.source.resolve().parent.name}/{dataset.source.name}"[:1000]


def map_class(annotation: Annotation, card: DetectorCard) -> str | None:
    """Return which of a detector's classes an object counts as."""
    return annotation.label if annotation.label in card.classes else card.other_class


def _to_coco_detections(instances: Instances) -> CocoDetections:
    count = min(len(instances), MAX_DETECTIONS)
    masks = []
    for index in range(count):
        mask = instances.mask(index) >= 0.5
        masks.append({"size": list(mask.shape), "counts": rle.encode(mask)})
    boxes = instances.boxes.astype(float)
    return CocoDetections(
        tuple((b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in boxes[:count].tolist()),
        instances.labels[:count],
        tuple(float(score) for score in instances.scores[:count]),
        tuple(masks),
    )


def _mask_bbox(mask: NDArray[np.bool_]) -> list[int]:
    """Return left, top, width and height of a mask; zeros where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return [0, 0, 0, 0]
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
