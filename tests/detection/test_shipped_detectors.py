"""The detectors that ship: small, and what their cards say is true."""

from pathlib import Path

import numpy as np
import pytest

from burnish.detection import coco, detector_file
from burnish.detection.detect import MaskRCNN
from burnish.photo import Photo
from burnish.runtime import model_registry as shelf

SHIPPED = sorted(detector_file.BUNDLED.glob("*.onnx"))
COCO = Path(__file__).parents[3] / "shared" / "coco"


def test_the_default_is_there():
    assert detector_file.DEFAULT in {path.stem for path in SHIPPED}
    assert MaskRCNN.open().card.name == detector_file.DEFAULT


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_small_and_with_a_full_card(path):
    assert path.stat().st_size < 15e6
    card = detector_file.read(path).card
    assert card.name == path.stem
    assert card.metrics
    assert card.calibration.dataset
    assert card.licence != "unstated"
    assert card.description != "Not stated."
    assert path.stem not in shelf.model_names()


def photographs():
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    for name in ("chelsea", "astronaut", "coffee"):
        yield name, getattr(data, name)().astype(np.float32) / 255


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_finds_what_fills_a_photo(path):
    """A cat, a person and a cup: each in the middle of its photo, and large."""
    detector = MaskRCNN.open(path)
    for name, pixels in photographs():
        found = detector.predict(pixels)
        height, width = pixels.shape[:2]
        middle = (slice(height // 3, 2 * height // 3), slice(width // 3, 2 * width // 3))
        covered = max((found.mask(i) >= 0.5)[middle].mean() for i in range(min(5, len(found))))
        assert covered > 0.5, name


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_measured_as_the_card_says(path):
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    source = COCO / "instances_val2017.json"
    if not source.is_file():
        pytest.skip("the photos that it was judged on are not here")
    from burnish.detection.training.evaluate import evaluate_detections, run_detector

    detector = MaskRCNN.open(path, device="cpu")
    photos = coco.read_dataset(source, COCO / "val2017")
    measured = evaluate_detections(run_detector(detector, photos), photos, detector.card)
    said = [each for each in detector.card.metrics if each.dataset == measured.dataset]
    assert len(said) == 1
    np.testing.assert_allclose(measured.mask, said[0].mask, atol=2e-3)
    np.testing.assert_allclose(measured.box, said[0].box, atol=2e-3)
    assert Photo.size_of(photos.images[0].path) == photos.images[0].size
