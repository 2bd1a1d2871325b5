"""Calibrate a detector's scores, so that a score is the probability of a correct detection."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.card import Calibration, DetectorCard
from burnish.detection.coco import CocoDataset
from burnish.detection.training.evaluate import Record, dataset_name, ground_truth_records
from burnish.types import BoolMask

Numbers = NDArray[np.float64]

# A detection is correct if its IoU with an object of its class is at least this.
IOU_THRESHOLD = 0.5
# Without this many correct and this many wrong detections, scores are left as they are.
_MIN_SAMPLES = 10


def fit_calibration(
    evaluations: Sequence[tuple[Sequence[Record], CocoDataset]], card: DetectorCard
) -> Calibration:
    """Fit slope and offset of the scores' logits by maximum likelihood.

    Platt: Probabilistic outputs for support vector machines, 1999, with his smoothed targets,
    which keep the fit finite.

    Parameters
    ----------
    evaluations : the detections on each dataset, see `evaluate.run_detector`
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

    An object makes one detection correct: the one with the highest score that overlaps it enough.
    Detections within a crowd are left out.
    """
    ground_truth = ground_truth_records(dataset, card)["annotations"]
    scores, correct = [], []
    keys = {(record["image_id"], record["category_id"]) for record in detections}
    for image_id, category_id in sorted(keys):
        predicted = [r for r in detections if _is_of(r, image_id, category_id)]
        true = [r for r in ground_truth if _is_of(r, image_id, category_id)]
        predicted.sort(key=lambda record: -record["score"])
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


def _is_of(record: Record, image_id: int, category_id: int) -> bool:
    return bool(record["image_id"] == image_id and record["category_id"] == category_id)


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
