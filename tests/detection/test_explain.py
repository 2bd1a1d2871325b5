"""The page that shows how a detector came to what it found."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from burnish.detection.detect import DetectionTrace, MaskRCNN
from burnish.detection.instances import Instances
from burnish.detection.training.explain import render_page, write_explanation
from burnish.errors import OutputError
from burnish.photo import Photo


@pytest.fixture
def steps():
    anchors = np.array([[0, 0, 8, 8], [10, 10, 20, 20], [12, 4, 30, 18]], np.float32)
    proposals = np.array([[1, 1, 9, 9], [11, 5, 31, 17]], np.float32)
    return DetectionTrace(anchors, proposals, np.array([0.9, 0.4], np.float32), np.array([1]))


def found(label):
    boxes = np.array([[12, 6, 30, 16]], np.float32)
    mask = np.ones((28, 28), np.float32)
    return Instances((40, 24), boxes, (label,), np.array([0.8], np.float32), (mask,))


def drawn(steps, detector_card, label="disc"):
    pixels = np.full((24, 40, 3), 0.5, np.float32)
    return render_page("a.png", pixels, found(label), steps, [0], detector_card(), 0.3)


def test_shows_every_step(steps, detector_card):
    text = drawn(steps, detector_card)
    assert text.count("<h2>") == 5
    rectangles = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', text
    )
    boxes = [tuple(float(value) for value in each) for each in rectangles]
    # Before and after refinement, and the anchor that lies nearest to the proposal.
    assert (11, 5, 20, 12) in boxes
    assert (12, 6, 18, 10) in boxes
    assert (12, 4, 18, 14) in boxes
    assert "28 x 28" in text
    assert "disc 0.80" in text


def test_needs_no_other_file(steps, detector_card):
    text = drawn(steps, detector_card)
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert len(links) == 5
    assert all(link.startswith("data:image/") for link in links)
    assert "http" not in text
    assert "<script" not in text
    for figure in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(figure)


def test_names_cannot_break_out(steps, detector_card):
    assert "<script>" not in drawn(steps, detector_card, "<script>alert(1)</script>")


def test_from_photo_to_page(detector_file, tmp_path):
    random = np.random.default_rng(0)
    Photo(random.random((70, 90, 3))).save(tmp_path / "a.png")
    detector = MaskRCNN.open(detector_file)
    target = write_explanation(detector, tmp_path / "a.png", tmp_path / "a.html", threshold=0.0)
    assert target.read_text().startswith("<!doctype html>")
    with pytest.raises(OutputError):
        write_explanation(detector, tmp_path / "a.png", target)
