"""Metrics of multi-label classification: mAP, CF1, OF1, their top-3 forms, and calibration error.

Chen, Wei, Wang, Guo: Multi-label image recognition with graph convolutional networks, CVPR 2019,
doi:10.1109/CVPR.2019.00532, section 4.1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.types import BoolMask

Numbers = NDArray[np.float64]
_TOP = 3


@dataclass(frozen=True)
class LabelMetrics:
    """Metrics in percent, over all labels with at least one photo.

    Parameters
    ----------
    mean_ap : mean over the labels of average precision
    cf1, of1 : F1 of the suggestions with a probability of at least a half: from precision and
        recall averaged over labels, and from those of all suggestions together
    top3_cf1, top3_of1 : the same for the three most probable labels of each photo
    calibration_error : expected calibration error over ten bins
    """

    mean_ap: float
    cf1: float
    of1: float
    top3_cf1: float
    top3_of1: float
    calibration_error: float


def measure(truth: BoolMask, probabilities: Numbers) -> LabelMetrics:
    """Return the metrics of probabilities; both arguments are (photos, labels).

    Examples
    --------
    >>> truth = np.eye(4, dtype=bool)
    >>> measure(truth, truth * 0.98 + 0.01).mean_ap
    100.0
    """
    used = truth.any(axis=0)
    truth, probabilities = truth[:, used], probabilities[:, used]
    columns = zip(truth.T, probabilities.T, strict=True)
    mean_ap = np.mean([average_precision(*column) for column in columns])
    cf1, of1 = _f1(truth, probabilities >= 0.5)
    top3 = _f1(truth, _top(probabilities))
    error = calibration_error(truth.ravel(), probabilities.ravel())
    values = (mean_ap, cf1, of1, *top3, error)
    return LabelMetrics(*(100 * float(value) for value in values))


def average_precision(truth: BoolMask, scores: Numbers) -> float:
    """Return the mean of the precision at each step of recall; photos of equal score are one step.

    Examples
    --------
    >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))
    0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    found, ranks = hits[last], np.flatnonzero(last) + 1
    return float(np.sum(np.diff(found, prepend=0) / hits[-1] * (found / ranks)))


def calibration_error(truth: BoolMask, probabilities: Numbers, bins: int = 10) -> float:
    """Return the mean distance of probability and frequency in bins of equal width.

    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017.
    """
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    difference = np.bincount(index, probabilities - truth, bins)
    return float(np.abs(difference).sum() / len(truth))


def _top(probabilities: Numbers) -> BoolMask:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :_TOP]
    chosen = np.zeros(probabilities.shape, bool)
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen


def _f1(truth: BoolMask, chosen: BoolMask) -> tuple[float, float]:
    """Return CF1 and OF1 of suggestions."""
    correct = (truth & chosen).sum(axis=0)
    per_label = (
        _ratio(correct, chosen.sum(axis=0)).mean(),
        _ratio(correct, truth.sum(axis=0)).mean(),
    )
    overall = _ratio(correct.sum(), chosen.sum()), _ratio(correct.sum(), truth.sum())
    cf1, of1 = (_harmonic_mean(*pair) for pair in (per_label, overall))
    return cf1, of1


def _ratio(part: Numbers, whole: Numbers) -> Numbers:
    return np.asarray(part / np.maximum(whole, 1))


def _harmonic_mean(precision: Numbers, recall: Numbers) -> float:
    return float(2 * precision * recall / max(float(precision + recall), 1e-12))
