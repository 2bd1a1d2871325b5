"""The twelve numbers, against pycocotools; and calibration."""

import contextlib
import io
import json

import numpy as np
import pytest

from burnish.detection import coco
from burnish.detection.instances import Instances
from burnish.detection.training.calibrate import fit_calibration, match_detections
from burnish.detection.training.evaluate import (
    coco_metrics,
    detection_records,
    evaluate_detections,
    ground_truth_records,
    run_detector,
)
from burnish.errors import UsageError
from burnish.photo import Photo

pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")


class Oracle:
    """Finds what a COCO file says, moved and scored at random as it is told."""

    def __init__(self, photos, wrong, seed=0):
        self.pictures = iter(photos.pictures)
        self.random = np.random.default_rng(seed)
        self.wrong = wrong

    def predict(self, pixels):
        picture = next(self.pictures)
        size = pixels.shape[1], pixels.shape[0]
        boxes, labels, scores, masks = [], [], [], []
        for found in picture.objects:
            mask = found.mask()
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
            part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            boxes.append(box + self.random.normal(0, self.wrong, 4).astype(np.float32))
            flip = self.wrong and self.random.random() < 0.2
            labels.append({"disc": "box", "box": "disc"}[found.label] if flip else found.label)
            scores.append(self.random.uniform(0.1, 1))
            masks.append(part.astype(np.float32))
        order = np.argsort(scores)[::-1]
        return Instances(
            size,
            np.array(boxes, np.float32).reshape(-1, 4)[order],
            tuple(labels[index] for index in order),
            np.array(scores, np.float32)[order],
            tuple(masks[index] for index in order),
        )


@pytest.fixture
def photos(shapes):
    return coco.read_dataset(shapes / "instances.json", shapes)


def test_finding_all_of_it_is_all_there_is(photos, detector_card):
    measured = evaluate_detections(run_detector(Oracle(photos, 0), photos), photos, detector_card())
    assert measured.box[0] == pytest.approx(1)
    # Pasting widens masks by a pixel in part, as Mask R-CNN's published implementations do.
    assert measured.mask[1] == pytest.approx(1)
    assert measured.mask[0] > 0.8
    assert measured.object_count == 8
    assert set(measured.mask_ap_by_class) == {"disc", "box"}


def test_finding_nothing(photos, detector_card):
    class Blind:
        def predict(self, pixels):
            nothing = np.zeros((0, 4), np.float32)
            return Instances((1, 1), nothing, (), np.zeros(0, np.float32), ())

    measured = evaluate_detections(run_detector(Blind(), photos), photos, detector_card())
    assert measured.mask[0] == 0
    assert measured.box[8] == 0


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("wrong", [1.0, 4.0])
# pycocotools' own arrays are of an older kind than numpy's.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_as_pycocotools_does(photos, detector_card, kind, wrong):
    reference = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    card = detector_card()
    truth = ground_truth_records(photos, card)
    truth["annotations"][3]["iscrowd"] = 1
    records = detection_records(run_detector(Oracle(photos, wrong), photos), card)
    ours, by_class = coco_metrics(
        json.loads(json.dumps(truth)), json.loads(json.dumps(records)), kind
    )
    with contextlib.redirect_stdout(io.StringIO()):
        true = reference.COCO()
        true.dataset = truth | {"info": {}}
        true.createIndex()
        judge = COCOeval(true, true.loadRes(records), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    np.testing.assert_allclose(ours, judge.stats, atol=1e-9)
    assert 0 < ours[0] < 1
    assert np.mean(by_class) == pytest.approx(ours[0])


def test_other_categories_count_as_the_rest(photos, detector_card):
    def objects(**changes):
        return ground_truth_records(photos, detector_card(**changes))["annotations"]

    assert [
        record["category_id"] for record in objects(classes=("disc", "thing"), rest="thing")
    ] == [
        1 if found.label == "disc" else 2
        for picture in photos.pictures
        for found in picture.objects
    ]
    assert len(objects(classes=("disc",))) == 4
    with pytest.raises(UsageError, match="objects of the classes cat"):
        evaluate_detections(
            run_detector(Oracle(photos, 0), photos), photos, detector_card(classes=("cat",))
        )


def test_each_object_makes_one_detection_right(photos, detector_card):
    scores, right = match_detections(
        run_detector(Oracle(photos, 0), photos), photos, detector_card()
    )
    assert len(scores) == 8
    assert right.all()
    found = run_detector(Oracle(photos, 0), photos)
    twice = [type(each)(*(part * 2 for part in vars(each).values())) for each in found]
    scores, right = match_detections(twice, photos, detector_card())
    assert len(scores) == 16
    assert right.sum() == 8


def test_too_little_is_not_calibrated_on(photos, detector_card):
    seen = [(run_detector(Oracle(photos, 0), photos), photos)]
    assert fit_calibration(seen, detector_card()).slope == 1
    assert Photo.size_of(photos.pictures[0].path) == (128, 128)
