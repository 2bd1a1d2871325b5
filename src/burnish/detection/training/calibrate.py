"""Calibrate: from a detector's scores to how often detections of that score are right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.detection.card import Calibration, DetectorCard
from burnish.detection.coco import CocoSet
from burnish.detection.training.evaluate import Looked, found_records, name_of, true_records

Numbers = NDArray[np.float64]

# A detection is right that overlaps a true object of its class so much.
RIGHT = 0.5
# Fewer than these of either kind say nothing.
_ENOUGH = 10


def calibrate(seen: Sequence[tuple[Sequence[Looked], CocoSet]], card: DetectorCard) -> Calibration:
    """Fit a line through the logits of scores, by the likelihood of what was right.

    Platt: Probabilistic outputs for support vector machines, 1999, with his targets, which keep
    the fit finite.
    """
    parts = [judged(found, photos, card) for found, photos in seen]
    scores = np.concatenate([part[0] for part in parts])
    right = np.concatenate([part[1] for part in parts])
    names = ", ".join(name_of(photos) for _, photos in seen)
    if min(right.sum(), (~right).sum()) < _ENOUGH:
        return Calibration()
    slope, offset = fit_line(scores, right)
    if not 0 < slope <= 100 or abs(offset) > 100:
        return Calibration()
    return Calibration(slope=round(slope, 4), offset=round(offset, 4), photos=names[:1000])


def judged(
    found: Sequence[Looked], photos: CocoSet, card: DetectorCard
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the score of each detection, and whether it is right.

    Each true object makes one detection right, the most certain that fits it; detections within a
    crowd do not count.
    """
    from faster_coco_eval.core import mask as masks

    truth = true_records(photos, card)["annotations"]
    records = found_records(found, card)
    scores, right = [], []
    for image in range(1, len(photos.pictures) + 1):
        for category in range(1, len(card.classes) + 1):
            key = (image, category)
            true = [r for r in truth if (r["image_id"], r["category_id"]) == key]
            ours = [r for r in records if (r["image_id"], r["category_id"]) == key]
            ours.sort(key=lambda record: -record["score"])
            if not ours:
                continue
            crowds = np.array([record["iscrowd"] for record in true], bool)
            overlaps = np.zeros((len(ours), 0))
            if true:
                overlaps = masks.iou(
                    [record["segmentation"] for record in ours],
                    [record["segmentation"] for record in true],
                    crowds.astype(int).tolist(),
                )
            taken = np.zeros(len(true), bool)
            for record, row in zip(ours, overlaps, strict=True):
                free = np.where(taken | crowds, 0, row)
                hit = bool(free.size and free.max() >= RIGHT)
                if hit:
                    taken[free.argmax()] = True
                elif row[crowds].max(initial=0) >= RIGHT:
                    continue
                scores.append(record["score"])
                right.append(hit)
    return np.array(scores), np.array(right, bool)


def fit_line(scores: Numbers, right: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and offset of logistic regression on the logits of scores.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> logits = random.normal(0, 2, 20_000)
    >>> right = random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    >>> slope, offset = fit_line(1 / (1 + np.exp(-logits)), right)
    >>> abs(slope - 0.5) < 0.03, abs(offset + 1) < 0.05
    (True, True)
    """
    inside = scores.clip(1e-6, 1 - 1e-6)
    columns = np.stack([np.log(inside / (1 - inside)), np.ones_like(inside)], 1)
    count = right.sum()
    target = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    line = np.array([1.0, 0.0])
    for _ in range(50):  # Newton's steps
        likely = 1 / (1 + np.exp(-columns @ line))
        weights = likely * (1 - likely)
        curvature = columns.T @ (weights[:, None] * columns) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, columns.T @ (target - likely))
        line = line + step.clip(-1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(line[0]), float(line[1])
