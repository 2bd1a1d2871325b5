"""Calibrate: from a detector's scores to how often detections of that score are right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.card import Calibration, DetectorCard
from burnish.detection.coco import CocoDataset
from burnish.detection.training.evaluate import (
    CocoDetections,
    dataset_name,
    detection_records,
    ground_truth_records,
)

Numbers = NDArray[np.float64]

# A detection is right that overlaps a true object of its class so much.
IOU_THRESHOLD = 0.5
# Fewer than these of either kind say nothing.
_MIN_SAMPLES = 10


def fit_calibration(
    evaluations: Sequence[tuple[Sequence[CocoDetections], CocoDataset]], card: DetectorCard
) -> Calibration:
    """Fit a line through the logits of scores, by the likelihood of what was right.

    Platt: Probabilistic outputs for support vector machines, 1999, with his targets, which keep
    the fit finite.
    """
    parts = [match_detections(found, photos, card) for found, photos in evaluations]
    scores = np.concatenate([part[0] for part in parts])
    correct = np.concatenate([part[1] for part in parts])
    names = ", ".join(dataset_name(photos) for _, photos in evaluations)
    if min(correct.sum(), (~correct).sum()) < _MIN_SAMPLES:
        return Calibration()
    slope, offset = platt_scaling(scores, correct)
    if not 0 < slope <= 100 or abs(offset) > 100:
        return Calibration()
    return Calibration(slope=round(slope, 4), offset=round(offset, 4), dataset=names[:1000])


def match_detections(
    detections: Sequence[CocoDetections], dataset: CocoDataset, card: DetectorCard
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the score of each detection, and whether it is right.

    Each true object makes one detection right, the most certain that fits it; detections within a
    crowd do not count.
    """
    from faster_coco_eval.core import mask as masks

    ground_truth = ground_truth_records(dataset, card)["annotations"]
    records = detection_records(detections, card)
    scores, correct = [], []
    for image in range(1, len(dataset.images) + 1):
        for category in range(1, len(card.classes) + 1):
            key = (image, category)
            true = [r for r in ground_truth if (r["image_id"], r["category_id"]) == key]
            predicted = [r for r in records if (r["image_id"], r["category_id"]) == key]
            predicted.sort(key=lambda record: -record["score"])
            if not predicted:
                continue
            crowds = np.array([record["iscrowd"] for record in true], bool)
            ious = np.zeros((len(predicted), 0))
            if true:
                ious = masks.iou(
                    [record["segmentation"] for record in predicted],
                    [record["segmentation"] for record in true],
                    crowds.astype(int).tolist(),
                )
            matched = np.zeros(len(true), bool)
            for record, row in zip(predicted, ious, strict=True):
                available = np.where(matched | crowds, 0, row)
                is_correct = bool(available.size and available.max() >= IOU_THRESHOLD)
                if is_correct:
                    matched[available.argmax()] = True
                elif row[crowds].max(initial=0) >= IOU_THRESHOLD:
                    continue
                scores.append(record["score"])
                correct.append(is_correct)
    return np.array(scores), np.array(correct, bool)


def platt_scaling(scores: Numbers, correct: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset of logistic regression on the logits of scores.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> logits = random.normal(0, 2, 20_000)
    >>> correct = random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    >>> slope, offset = platt_scaling(1 / (1 + np.exp(-logits)), right)
    >>> abs(slope - 0.5) < 0.03, abs(offset + 1) < 0.05
    (True, True)
    """
    clipped = scores.clip(1e-6, 1 - 1e-6)
    columns = np.stack([np.log(clipped / (1 - clipped)), np.ones_like(clipped)], 1)
    count = correct.sum()
    target = np.where(correct, (count + 1) / (count + 2), 1 / (len(correct) - count + 2))
    coefficients = np.array([1.0, 0.0])
    for _ in range(50):  # Newton's steps
        probability = 1 / (1 + np.exp(-columns @ coefficients))
        weights = probability * (1 - probability)
        curvature = columns.T @ (weights[:, None] * columns) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, columns.T @ (target - probability))
        coefficients = coefficients + step.clip(-1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(coefficients[0]), float(coefficients[1])
