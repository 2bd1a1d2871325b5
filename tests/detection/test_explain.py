"""The page that explains a detector's detections."""

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
def render(detector_card):
    """A function that returns the page of one object with a label, one of two proposals."""
    anchors = np.array([[0, 0, 8, 8], [10, 10, 20, 20], [12, 4, 30, 18]], np.float32)
    proposals = np.array([[1, 1, 9, 9], [11, 5, 31, 17]], np.float32)
    trace = DetectionTrace(anchors, proposals, np.array([0.9, 0.4], np.float32), np.array([1]))

    def render(label="disc"):
        boxes = np.array([[12, 6, 30, 16]], np.float32)
        mask = np.ones((28, 28), np.float32)
        instances = Instances((40, 24), boxes, (label,), np.array([0.8], np.float32), (mask,))
        pixels = np.full((24, 40, 3), 0.5, np.float32)
        return render_page("a.png", pixels, instances, trace, detector_card(), 0.3)

    return render


def test_page_shows_every_stage(render):
    html = render()
    assert html.count("<h2>") == 5
    rectangles = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', html
    )
    boxes = [tuple(float(value) for value in values) for values in rectangles]
    assert (11, 5, 20, 12) in boxes  # the proposal
    assert (12, 6, 18, 10) in boxes  # the refined box
    assert (12, 4, 18, 14) in boxes  # the anchor nearest to the proposal
    assert "28 x 28" in html
    assert "disc 0.80" in html


def test_page_is_self_contained(render):
    html = render()
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    assert len(links) == 5
    assert all(link.startswith("data:image/") for link in links)
    assert "http" not in html
    assert "<script" not in html
    for figure in re.findall(r"<svg.*?</svg>", html):
        ElementTree.fromstring(figure)


def test_labels_are_escaped(render):
    assert "<script>" not in render("<script>alert(1)</script>")


def test_page_is_written_once(detector_file, tmp_path):
    Photo(np.random.default_rng(0).random((70, 90, 3))).save(tmp_path / "a.png")
    detector = MaskRCNN.open(detector_file)
    target = write_explanation(detector, tmp_path / "a.png", tmp_path / "a.html", threshold=0.0)
    assert target.read_text().startswith("<!doctype html>")
    with pytest.raises(OutputError):
        write_explanation(detector, tmp_path / "a.png", target)
