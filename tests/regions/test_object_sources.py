"""Detectors where objects are asked for: opened by file, told in XMP, found again by name only."""

import json

import numpy as np
import pytest

from burnish.detection import detector_file as files
from burnish.detection.detect import MaskRCNN
from burnish.editing.history import read_photo_history
from burnish.errors import ModelError
from burnish.files import digest
from burnish.photo import Photo
from burnish.regions.object_sources import bundled_detector, open_detector


@pytest.fixture
def photo(shapes):
    return shapes / "1.png"


def test_a_finder_is_its_detector(detector_file, photo):
    finder = open_detector(detector_file)
    assert (finder.name, finder.classes) == ("shapes", ("disc", "box"))
    assert finder.sha256 == digest(detector_file)
    pixels = Photo.open(photo).pixels
    ours, theirs = finder.find(pixels, photo), MaskRCNN.open(detector_file).predict(pixels)
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_from_the_command_line(burnish, detector_file, photo, tmp_path):
    where = ["--detector", detector_file, "--min-score", "0", "--only", "disc"]
    code, out, err = burnish("regions", "list", photo, *where, "--json")
    assert (code, err) == (0, "")
    assert {json.loads(line)["class"] for line in out.splitlines()} <= {"disc"}
    target = tmp_path / "x.png"
    code, _, err = burnish("apply", "l0-smoothing", photo, *where, "-o", target)
    assert code == 0
    # It has learnt nothing, so it may find nothing; that is said, and the photo kept.
    assert ("no disc is found" in err) == (out == "")
    [step] = read_photo_history(target)
    assert (step.region.detector, step.region.sha256) == ("shapes", digest(detector_file))
    assert str(detector_file) not in step.model_dump_json()
    again = ["again", target, photo, "-o", tmp_path / "y.png"]
    code, _, err = burnish(*again)
    assert code == 3
    assert "expected a detector that comes with burnish, got another; name its file" in err
    assert burnish(*again, "--detector", detector_file)[0] == 0
    assert (tmp_path / "y.png").read_bytes() == target.read_bytes()


def test_a_class_that_it_does_not_know(burnish, detector_file, photo):
    code, out, err = burnish("regions", "blur", photo, "--detector", detector_file, "--only", "cat")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cat: expected a class that the detector knows, got another; there are disc, box" in err


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil.onnx", "evil\nline"])
def test_a_detector_that_a_photo_names_is_looked_up_and_not_opened(name):
    with pytest.raises(ModelError, match=r"name its file with --detector") as told:
        bundled_detector(name, "0" * 64)
    assert "\n" not in str(told.value)


def test_shipped_ones_are_told_by_their_content(detector_file, tmp_path, monkeypatch):
    own = tmp_path / "renamed.onnx"
    own.write_bytes(detector_file.read_bytes())
    monkeypatch.setattr(files, "BUNDLED", tmp_path)
    assert bundled_detector("shapes", digest(own)).sha256 == digest(own)
    with pytest.warns(UserWarning, match="renamed is another version than the photo was made"):
        bundled_detector("renamed", "0" * 64)


def test_the_one_that_ships_serves_where_none_is_named(burnish, tmp_path):
    if not (files.BUNDLED / f"{files.DEFAULT}.onnx").exists():
        pytest.skip("no detector ships")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    photo = Photo(data.astronaut() / np.float32(255)).save(tmp_path / "a.png")
    expected = MaskRCNN.open().predict(Photo.open(photo).pixels)
    code, out, err = burnish("regions", "list", photo, "--json", "--min-score", "0.1")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == int((expected.scores >= 0.1).sum())
    people = [record for record in records if record["class"] == "person"]
    code, _, err = burnish("regions", "anonymise", photo, "-o", tmp_path / "x.png")
    assert code == 0
    covered = (Photo.open(tmp_path / "x.png").pixels == 0).all(axis=2)
    assert ("no person is found" in err) == (not people)
    for record in people:
        left, top, right, bottom = record["box"]
        assert covered[top:bottom, left:right].mean() > 0.3
