"""Detectors as sources of objects: opened by file, recorded in XMP, looked up by name."""

import json

import numpy as np
import pytest

from burnish.detection import detector_file as detector_files
from burnish.detection.detect import MaskRCNN
from burnish.editing.history import read_photo_history
from burnish.errors import ModelError
from burnish.files import digest
from burnish.photo import Photo
from burnish.regions.object_sources import bundled_detector, open_detector


@pytest.fixture
def photo(tmp_path):
    """The path of a photo of a bright disc."""
    y, x = np.mgrid[:128, :128]
    disc = (x - 40) ** 2 + (y - 70) ** 2 < 20**2
    pixels = np.where(disc[..., None], np.float32([0.9, 0.6, 0.7]), np.float32(0.4))
    return Photo(pixels).save(tmp_path / "disc.png")


def test_open_detector_returns_the_objects_of_its_detector(detector_file, photo):
    source = open_detector(detector_file)
    assert (source.name, source.classes) == ("shapes", ("disc", "box"))
    assert source.sha256 == digest(detector_file)
    pixels = Photo.open(photo).pixels
    expected = MaskRCNN.open(detector_file).predict(pixels)
    instances = source.find(pixels, photo)
    np.testing.assert_array_equal(instances.boxes, expected.boxes)
    np.testing.assert_array_equal(instances.scores, expected.scores)


def test_detector_option_is_recorded_and_replayed(burnish, detector_file, photo, tmp_path):
    options = ["--detector", detector_file, "--min-score", "0", "--only", "disc"]
    code, out, err = burnish("regions", "list", photo, *options, "--json")
    assert (code, err) == (0, "")
    assert {json.loads(line)["class"] for line in out.splitlines()} <= {"disc"}
    target = tmp_path / "x.png"
    code, _, err = burnish("apply", "l0-smoothing", photo, *options, "-o", target)
    assert code == 0
    # The detector is untrained, so it may find nothing.
    assert ("no disc" in err) == (out == "")
    [record] = read_photo_history(target)
    assert record.region.sha256 == digest(detector_file)
    assert record.region.detector == "shapes"
    assert str(detector_file) not in record.model_dump_json()
    replay = ["replay", target, photo, "-o", tmp_path / "y.png"]
    code, _, err = burnish(*replay)
    assert code == 3
    assert "--detector" in err
    assert burnish(*replay, "--detector", detector_file)[0] == 0
    assert (tmp_path / "y.png").read_bytes() == target.read_bytes()


def test_unknown_class_fails_with_the_known_classes(burnish, detector_file, photo):
    code, out, err = burnish("regions", "blur", photo, "--detector", detector_file, "--only", "cat")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("burnish: cat: ")
    assert "disc, box" in err


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil.onnx", "evil\nline"])
def test_bundled_detector_never_opens_a_path(name):
    with pytest.raises(ModelError, match="--detector") as raised:
        bundled_detector(name, "0" * 64)
    assert "\n" not in str(raised.value)


def test_bundled_detector_is_identified_by_its_content(detector_file, tmp_path, monkeypatch):
    renamed = tmp_path / "renamed.onnx"
    renamed.write_bytes(detector_file.read_bytes())
    monkeypatch.setattr(detector_files, "BUNDLED", tmp_path)
    assert bundled_detector("shapes", digest(renamed)).sha256 == digest(renamed)
    with pytest.warns(UserWarning, match="another version of the detector renamed"):
        bundled_detector("renamed", "0" * 64)


@pytest.mark.slow
def test_bundled_detector_is_the_default(burnish, tmp_path):
    if not (detector_files.BUNDLED / f"{detector_files.DEFAULT}.onnx").exists():
        pytest.skip("no bundled detector")
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
    assert ("no person" in err) == (not people)
    for record in people:
        left, top, right, bottom = record["box"]
        assert covered[top:bottom, left:right].mean() > 0.3
