"""The bundled detectors: their size, their cards, and their metrics."""

from pathlib import Path

import numpy as np
import pytest

from burnish.detection import coco, detector_file
from burnish.detection.detect import MaskRCNN
from burnish.detection.instances import MASK_THRESHOLD

DETECTORS = sorted(detector_file.BUNDLED.glob("*.onnx"))
COCO = Path(__file__).parents[3] / "shared" / "coco"


def test_default_detector_is_bundled():
    assert detector_file.BUNDLED_DEFAULT in {path.stem for path in DETECTORS}
    assert MaskRCNN.open().card.name == detector_file.BUNDLED_DEFAULT


@pytest.mark.parametrize("path", DETECTORS, ids=lambda path: path.stem)
def test_bundled_detector_is_small_and_documented(path):
    assert path.stat().st_size < 15e6
    card = detector_file.read(path)[0]
    assert card.name == path.stem
    assert card.metrics
    assert card.calibration.dataset
    assert card.licence != "unstated"
    assert card.description != "Not stated."


@pytest.mark.parametrize("path", DETECTORS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["chelsea", "astronaut", "coffee"])
def test_object_in_the_centre_is_detected(path, name):
    """A cat, a person and a cup, each large and in the centre of its photo."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    pixels = getattr(data, name)().astype(np.float32) / 255
    instances = MaskRCNN.open(path).predict(pixels)
    height, width = pixels.shape[:2]
    centre = slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3)
    masks = [instances.mask(index) >= MASK_THRESHOLD for index in range(min(5, len(instances)))]
    assert max(mask[centre].mean() for mask in masks) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("path", DETECTORS, ids=lambda path: path.stem)
def test_metrics_equal_those_of_the_card(path):
    source = COCO / "instances_val2017.json"
    if not source.is_file():
        pytest.skip("COCO's photos are not here")
    from burnish.detection.training.evaluate import evaluate_detector

    detector = MaskRCNN.open(path, device="cpu")
    metrics = evaluate_detector(detector, coco.read_dataset(source, COCO / "val2017"))
    (expected,) = [m for m in detector.card.metrics if m.dataset == metrics.dataset]
    np.testing.assert_allclose(metrics.mask, expected.mask, atol=2e-3)
    np.testing.assert_allclose(metrics.box, expected.box, atol=2e-3)
