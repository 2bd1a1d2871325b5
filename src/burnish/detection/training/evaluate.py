"""Evaluate a detector with COCO's twelve metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.card import CocoMetrics, DetectorCard
from burnish.detection.coco import Annotation, CocoDataset, CocoWriter, encode_mask
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import MASK_THRESHOLD, Detector
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.progress import SILENT, Progress

# COCO's evaluation takes this many detections of each photo.
MAX_DETECTIONS = 100

# An entry of COCO's results or annotations.
Record = dict[str, Any]


def evaluate_detector(
    detector: MaskRCNN, dataset: CocoDataset, progress: Progress = SILENT
) -> CocoMetrics:
    """Run a detector on a dataset and return its metrics.

    Raises
    ------
    UsageError : the dataset has no object of the detector's classes
    """
    detections = run_detector(detector, dataset, detector.card, progress)
    return evaluate_detections(detections, dataset, detector.card)


def run_detector(
    detector: Detector,
    dataset: CocoDataset,
    card: DetectorCard,
    progress: Progress = SILENT,
) -> list[Record]:
    """Run a detector on all photos of a dataset, and return COCO's results.

    Images are numbered from 1 in the dataset's order, categories from 1 in the card's.
    """
    progress.start(f"evaluating on {dataset.source.name}", len(dataset.images))
    records: list[Record] = []
    for image_id, image in enumerate(dataset.images, 1):
        instances = detector.predict(Photo.open(image.path).pixels)
        for index in range(min(len(instances), MAX_DETECTIONS)):
            left, top, right, bottom = instances.boxes[index].astype(float).tolist()
            records.append(
                {
                    "image_id": image_id,
                    "category_id": card.classes.index(instances.labels[index]) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "score": float(instances.scores[index]),
                    "segmentation": encode_mask(instances.mask(index) >= MASK_THRESHOLD),
                }
            )
        progress.advance()
    return records


def evaluate_detections(
    detections: Sequence[Record], dataset: CocoDataset, card: DetectorCard
) -> CocoMetrics:
    """Compare detections with a dataset's annotations.

    Annotations of a category that the detector does not have count as its `other_class`, or are
    ignored if it has none. COCO's size classes (small, medium, large) go by the area of the masks.

    Parameters
    ----------
    detections : see `run_detector`

    Raises
    ------
    UsageError : the dataset has no object of the detector's classes
    """
    ground_truth = ground_truth_records(dataset, card)
    if not ground_truth["annotations"]:
        raise UsageError(
            str(dataset.source),
            f"there are no objects of the classes {', '.join(card.classes)[:200]}",
            "evaluate on other photos",
        )
    box, _ = coco_metrics(ground_truth, detections, "bbox")
    mask, mask_ap = coco_metrics(ground_truth, detections, "segm")
    return CocoMetrics(
        dataset=dataset_name(dataset),
        photo_count=len(dataset.images),
        object_count=sum(not record["iscrowd"] for record in ground_truth["annotations"]),
        box=box,
        mask=mask,
        mask_ap_by_class=dict(zip(card.classes, mask_ap, strict=True)),
    )


def coco_metrics(
    ground_truth: dict[str, Any], detections: Sequence[Record], iou_type: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return COCO's twelve metrics and the AP of each category; -1 where there is no object.

    Parameters
    ----------
    ground_truth : the content of a COCO file
    iou_type : "bbox" or "segm"
    """
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(ground_truth)
    results = (
        truth.loadRes([*detections]) if detections else COCO(ground_truth | {"annotations": []})
    )
    evaluator = COCOeval_faster(truth, results, iou_type, print_function=lambda *words: None)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    # The array's axes are IoU thresholds, recalls, categories, areas and detection limits. Area 0
    # is "all", and the last limit is MAX_DETECTIONS.
    precision: NDArray[np.float64] = evaluator.eval["precision"][:, :, :, 0, -1]
    ap_by_class = []
    for index in range(precision.shape[2]):
        defined = precision[:, :, index][precision[:, :, index] > -1]
        ap_by_class.append(float(defined.mean()) if defined.size else -1.0)
    return tuple(float(number) for number in evaluator.stats[:12]), tuple(ap_by_class)


def ground_truth_records(dataset: CocoDataset, card: DetectorCard) -> dict[str, Any]:
    """Return a dataset as the content of a COCO file with the detector's classes."""
    writer = CocoWriter(card.classes)
    for image in dataset.images:
        writer.add_image(image.path.name, image.size)
        for annotation in image.annotations:
            label = map_class(annotation, card)
            if label is not None:
                writer.add_object(label, annotation.mask(), is_crowd=annotation.is_crowd)
    return writer.to_json()


def dataset_name(dataset: CocoDataset) -> str:
    """Return a dataset's name on a card: the COCO file and its folder."""
    return f"{dataset.source.resolve().parent.name}/{dataset.source.name}"[:1000]


def map_class(annotation: Annotation, card: DetectorCard) -> str | None:
    """Return the detector's class for an annotation, or None if it has none."""
    return annotation.label if annotation.label in card.classes else card.other_class
