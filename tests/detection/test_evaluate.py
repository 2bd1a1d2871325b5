"""COCO's metrics against pycocotools, and calibration."""

import contextlib
import io
import json

import numpy as np
import pytest

from burnish.detection.instances import Instances, mask_box
from burnish.detection.training.evaluate import (
    coco_metrics,
    evaluate_detections,
    evaluate_detector,
    fit_calibration,
    ground_truth_records,
    match_detections,
    run_detector,
)
from burnish.errors import UsageError


class AnnotationDetector:
    """Predicts a dataset's annotations, with random scores.

    With `noise` in px, boxes are moved at random and a fifth of the labels is wrong.
    """

    def __init__(self, dataset, card, noise=0.0):
        self.card = card
        self.images = iter(dataset.images)
        self.random = np.random.default_rng(0)
        self.noise = noise

    def predict(self, pixels):
        objects = []
        for annotation in next(self.images).annotations:
            mask = annotation.mask()
            left, top, right, bottom = box = mask_box(mask)
            is_wrong = self.noise and self.random.random() < 0.2
            objects.append(
                (
                    self.random.uniform(0.1, 1),
                    np.array(box) + self.random.normal(0, self.noise, 4),
                    {"disc": "box", "box": "disc"}[annotation.label]
                    if is_wrong
                    else annotation.label,
                    mask[top:bottom, left:right].astype(np.float32),
                )
            )
        objects.sort(key=lambda entry: -entry[0])
        scores, boxes, labels, masks = zip(*objects, strict=True)
        size = pixels.shape[1::-1]
        return Instances(size, np.float32(boxes), labels, np.float32(scores), masks)


class EmptyDetector:
    """Predicts no objects."""

    def __init__(self, card):
        self.card = card

    def predict(self, pixels):
        return Instances((1, 1), np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32), ())


def test_perfect_detections_have_full_precision(shapes, detector_card):
    metrics = evaluate_detector(AnnotationDetector(shapes, detector_card()), shapes)
    assert metrics.box[0] == pytest.approx(1)
    assert metrics.mask[0] == pytest.approx(1)
    assert (metrics.photo_count, metrics.object_count) == (4, 8)
    assert metrics.mask_ap_by_class == {"disc": pytest.approx(1), "box": pytest.approx(1)}


def test_no_detections_have_no_precision(shapes, detector_card):
    metrics = evaluate_detector(EmptyDetector(detector_card()), shapes)
    assert metrics.mask[0] == 0
    assert metrics.box[8] == 0


# pycocotools' arrays use an interface that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_metrics_equal_those_of_pycocotools(shapes, detector_card, iou_type, noise):
    pycocotools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    card = detector_card()
    ground_truth = ground_truth_records(shapes, card)
    ground_truth["annotations"][3]["iscrowd"] = 1
    detections = run_detector(AnnotationDetector(shapes, card, noise), shapes)
    # Both libraries change the records that they are given.
    copies = json.loads(json.dumps([ground_truth, detections]))
    metrics, ap_by_class = coco_metrics(*copies, iou_type)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = pycocotools.COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(detections), iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    np.testing.assert_allclose(metrics, evaluator.stats, atol=1e-9)
    assert 0 < metrics[0] < 1
    assert np.mean(ap_by_class) == pytest.approx(metrics[0])


def test_other_categories_count_as_other_class(shapes, detector_card):
    def category_ids(**changes):
        records = ground_truth_records(shapes, detector_card(**changes))["annotations"]
        return [record["category_id"] for record in records]

    labels = [annotation.label for image in shapes.images for annotation in image.annotations]
    ids = category_ids(classes=("disc", "thing"), other_class="thing")
    assert ids == [1 if label == "disc" else 2 for label in labels]
    assert len(category_ids(classes=("disc",))) == 4


def test_dataset_without_the_classes_raises(shapes, detector_card):
    with pytest.raises(UsageError, match="cat"):
        evaluate_detections([], shapes, detector_card(classes=("cat",)))


def test_each_object_makes_one_detection_correct(shapes, detector_card):
    card = detector_card()
    detections = run_detector(AnnotationDetector(shapes, card), shapes)
    scores, correct = match_detections(detections, shapes, card)
    assert len(scores) == 8
    assert correct.all()
    scores, correct = match_detections(detections * 2, shapes, card)
    assert len(scores) == 16
    assert correct.sum() == 8


def test_few_detections_are_not_calibrated(shapes, detector_card):
    card = detector_card()
    detections = run_detector(AnnotationDetector(shapes, card), shapes)
    assert fit_calibration([(detections, shapes)], card).slope == 1
