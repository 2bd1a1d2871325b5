"""Evaluate a detector with COCO's twelve metrics, and calibrate its scores.

A calibrated score is the probability that a detection is correct.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.detection.coco import CocoDataset
from burnish.detection.coco_writer import CocoWriter, encode_mask
from burnish.detection.detect import MaskRCNN
from burnish.detection.detector_file import Calibration, CocoMetrics, DetectorCard
from burnish.detection.instances import MASK_THRESHOLD
from burnish.errors import UsageError
from burnish.photo import Photo
from burnish.progress import SILENT, Progress
from burnish.types import BoolMask

# Maximum number of detections per photo in COCO's evaluation.
MAX_DETECTIONS = 100

# A detection is correct if its IoU with an object of its class is at least this.
IOU_THRESHOLD = 0.5
# Minimum number of correct and of wrong detections. With fewer, scores are not calibrated.
_MIN_SAMPLES = 10

# An entry of COCO's results or annotations.
Record = dict[str, Any]
Numbers = NDArray[np.float64]


def evaluate_detector(
    detector: MaskRCNN, dataset: CocoDataset, progress: Progress = SILENT
) -> CocoMetrics:
    """Run a detector on a dataset and return its metrics.

    Raises
    ------
    UsageError : the dataset has no object of the detector's classes
    """
    detections = run_detector(detector, dataset, progress)
    return evaluate_detections(detections, dataset, detector.card)


def run_detector(
    detector: MaskRCNN, dataset: CocoDataset, progress: Progress = SILENT
) -> list[Record]:
    """Run a detector on all photos of a dataset, and return COCO's results.

    Images are numbered from 1 in the dataset's order, and categories from 1 in the card's order.
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
                    "category_id": detector.card.classes.index(instances.labels[index]) + 1,
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
        problem = f"there are no objects of the classes {', '.join(card.classes)[:200]}"
        raise UsageError(str(dataset.source), problem, "evaluate on other photos")
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
    """Return COCO's twelve metrics and the AP of each category; -1 where undefined.

    Parameters
    ----------
    ground_truth : the content of a COCO file
    iou_type : "bbox" or "segm"
    """
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(ground_truth)
    empty = COCO(ground_truth | {"annotations": []})
    results = truth.loadRes([*detections]) if detections else empty
    evaluator = COCOeval_faster(truth, results, iou_type, print_function=lambda *words: None)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    # The array's axes are IoU thresholds, recalls, categories, areas and detection limits. Area 0
    # is "all", and the last limit is MAX_DETECTIONS.
    precision: Numbers = evaluator.eval["precision"][:, :, :, 0, -1]
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
            is_named = annotation.label in card.classes
            label = annotation.label if is_named else card.other_class
            if label is not None:
                writer.add_object(label, annotation.mask(), is_crowd=annotation.is_crowd)
    return writer.to_json()


def dataset_name(dataset: CocoDataset) -> str:
    """Return a dataset's name on a card: the COCO file and its folder."""
    return f"{dataset.source.resolve().parent.name}/{dataset.source.name}"[:1000]


def fit_calibration(
    evaluations: Sequence[tuple[Sequence[Record], CocoDataset]], card: DetectorCard
) -> Calibration:
    """Fit slope and offset of the scores' logits by maximum likelihood.

    Platt: Probabilistic outputs for support vector machines, 1999, with his smoothed targets,
    which keep the fit finite.

    Parameters
    ----------
    evaluations : the detections on each dataset, see `run_detector`
    """
    pairs = [match_detections(detections, dataset, card) for detections, dataset in evaluations]
    scores = np.concatenate([scores for scores, _ in pairs])
    correct = np.concatenate([correct for _, correct in pairs])
    if min(correct.sum(), (~correct).sum()) < _MIN_SAMPLES:
        return Calibration()
    slope, offset = platt_scaling(scores, correct)
    if not 0 < slope <= 100 or abs(offset) > 100:
        return Calibration()
    names = ", ".join(dataset_name(dataset) for _, dataset in evaluations)
    return Calibration(slope=round(slope, 4), offset=round(offset, 4), dataset=names[:1000])


def match_detections(
    detections: Sequence[Record], dataset: CocoDataset, card: DetectorCard
) -> tuple[Numbers, BoolMask]:
    """Return the score of each detection, (N,), and whether it is correct, (N,).

    Each object makes at most one detection correct: the one with the highest score among those that
    overlap the object enough.
    Detections within a crowd are left out.
    """
    ground_truth = ground_truth_records(dataset, card)["annotations"]
    group = itemgetter("image_id", "category_id")
    scores, correct = [], []
    for key in sorted({group(record) for record in detections}):
        predicted = [record for record in detections if group(record) == key]
        predicted.sort(key=lambda record: -record["score"])
        true = [record for record in ground_truth if group(record) == key]
        crowds = np.array([record["iscrowd"] for record in true], bool)
        matched = np.zeros(len(true), bool)
        for record, ious in zip(predicted, _iou_matrix(predicted, true), strict=True):
            available = np.where(matched | crowds, 0, ious)
            is_correct = bool(available.max(initial=0) >= IOU_THRESHOLD)
            if is_correct:
                matched[available.argmax()] = True
            elif ious[crowds].max(initial=0) >= IOU_THRESHOLD:
                continue
            scores.append(record["score"])
            correct.append(is_correct)
    return np.array(scores), np.array(correct, bool)


def _iou_matrix(predicted: Sequence[Record], true: Sequence[Record]) -> Numbers:
    from faster_coco_eval.core import mask as coco_mask

    if not true:
        return np.zeros((len(predicted), 0))
    ious: Numbers = coco_mask.iou(
        [record["segmentation"] for record in predicted],
        [record["segmentation"] for record in true],
        [record["iscrowd"] for record in true],
    )
    return ious


def platt_scaling(scores: Numbers, correct: BoolMask) -> tuple[float, float]:
    """Return slope and offset of a logistic regression on the logits of scores.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> logits = random.normal(0, 2, 20_000)
    >>> correct = random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    >>> slope, offset = platt_scaling(1 / (1 + np.exp(-logits)), correct)
    >>> abs(slope - 0.5) < 0.03, abs(offset + 1) < 0.05
    (True, True)
    """
    clipped = scores.clip(1e-6, 1 - 1e-6)
    columns = np.stack([np.log(clipped / (1 - clipped)), np.ones_like(clipped)], 1)
    count = correct.sum()
    target = np.where(correct, (count + 1) / (count + 2), 1 / (len(correct) - count + 2))
    coefficients = np.array([1.0, 0.0])
    # Newton's method.
    for _ in range(50):
        probability = 1 / (1 + np.exp(-columns @ coefficients))
        weights = probability * (1 - probability)
        hessian = columns.T @ (weights[:, None] * columns) + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, columns.T @ (target - probability))
        coefficients = coefficients + step.clip(-1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(coefficients[0]), float(coefficients[1])
