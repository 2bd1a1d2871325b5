"""Metrics against scikit-learn and against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.keywords.metrics import average_precision, calibration_error, measure


def random_case(seed, photos=12, labels=5):
    random = np.random.default_rng(seed)
    truth = random.random((photos, labels)) < 0.4
    truth[0] = True
    # Few different values, so that some photos have equal scores.
    return truth, random.integers(0, 9, truth.shape) / 10 + 0.05


@given(st.integers(0, 2**32))
def test_average_precision_equals_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    truth, scores = random_case(seed)
    for column in range(truth.shape[1]):
        expected = metrics.average_precision_score(truth[:, column], scores[:, column])
        assert average_precision(truth[:, column], scores[:, column]) == pytest.approx(expected)


@given(st.integers(0, 2**32))
def test_f1_equals_loops(seed):
    truth, scores = random_case(seed)
    result = measure(truth, scores)
    chosen = scores >= 0.5
    precisions, recalls = [], []
    for actual, suggested in zip(truth.T, chosen.T, strict=True):
        correct = sum(a and s for a, s in zip(actual, suggested, strict=True))
        precisions.append(correct / suggested.sum() if suggested.any() else 0)
        recalls.append(correct / actual.sum())
    precision, recall = np.mean(precisions), np.mean(recalls)
    cf1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    assert result.cf1 == pytest.approx(100 * cf1)
    correct = (truth & chosen).sum()
    of1 = 2 * correct / (chosen.sum() + truth.sum())
    assert result.of1 == pytest.approx(100 * of1)


@given(st.integers(0, 2**32))
def test_order_of_photos_and_labels_does_not_matter(seed):
    truth, _ = random_case(seed)
    random = np.random.default_rng(seed)
    scores = random.random(truth.shape)
    rows, columns = random.permutation(len(truth)), random.permutation(truth.shape[1])
    expected = vars(measure(truth, scores))
    permuted = measure(truth[rows][:, columns], scores[rows][:, columns])
    assert vars(permuted) == pytest.approx(expected)


def test_labels_without_photos_do_not_count():
    truth, scores = random_case(0)
    more_truth = np.hstack([truth, np.zeros((len(truth), 1), bool)])
    more_scores = np.hstack([scores, np.zeros((len(truth), 1))])
    assert measure(more_truth, more_scores) == measure(truth, scores)


def test_calibration_error_equals_loop():
    random = np.random.default_rng(0)
    probabilities = random.random(500)
    truth = random.random(500) < probabilities**2
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (probabilities >= low) & (probabilities < low + 0.1)
        if inside.any():
            gap = abs(probabilities[inside].mean() - truth[inside].mean())
            expected += inside.mean() * gap
    assert calibration_error(truth, probabilities) == pytest.approx(expected)
