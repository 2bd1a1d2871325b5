"""Objects of a region: selection by each condition, and detectors as their source."""

import json
from dataclasses import replace

import numpy as np
import pytest

from burnish.detection import detector_file as detector_files
from burnish.detection.detect import MaskRCNN
from burnish.editing.history import read_history
from burnish.errors import ModelError, PhotoError, UsageError
from burnish.files import digest
from burnish.photo import Photo
from burnish.regions.objects import (
    check_classes,
    mask_area,
    open_detector,
    recorded_detector,
    select_objects,
)
from burnish.regions.options import RegionOptions


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 2]),
        ({"min_score": 0.5}, [0, 1]),
        ({"min_score": 0.85}, [0]),
        ({"only": ("cat",)}, [0, 2]),
        ({"exclude": ("cat",)}, [0, 2]),
        ({"only": ("cat",), "min_score": 0.5}, [0]),
        ({"only": ("cat", "dog")}, [0, 1, 2]),
        ({"only": ("person",)}, []),
        ({"min_area": 10}, [1]),
        ({"max_area": 10}, [0, 2]),
        ({"min_area": 3, "max_area": 3}, [0]),
        ({"numbers": (2,)}, [1]),
        ({"numbers": (2, 1)}, [0, 1]),
        ({"numbers": (3,)}, [2]),
        ({"clicks": ((5.5, 5),)}, [1]),
        ({"clicks": ((12, 10),)}, [0]),
        ({"clicks": ((12, 10),), "only": ("dog",)}, [1]),
        ({"clicks": ((12, 10), (5, 5))}, [0, 1]),
        ({"clicks": ((31, 3),), "min_score": 0.3}, [2]),
        ({"box": (0, 0, 40, 30)}, [0, 1, 2]),
        ({"box": (9, 7, 17, 15)}, [0]),
        ({"box": (4, 4, 16, 26)}, [0, 1]),
        ({"box": (4, 4, 15, 26)}, [0]),
        ({"box": (30, 0, 40, 30)}, [2]),
        ({"box": (30, 0, 40, 30), "min_score": 0.5}, []),
    ],
)
def test_select_objects_combines_conditions(three_objects, conditions, expected):
    assert select_objects(RegionOptions(**conditions), three_objects) == expected


def test_select_objects_box_counts_pixels_of_the_mask(three_objects):
    """A box around the empty half of a triangle holds none of it."""
    triangle = np.triu(np.ones((22, 24), np.float32))
    instances = replace(three_objects.select([1]), masks=(triangle,))
    assert mask_area(instances, 0) == np.count_nonzero(triangle)
    assert select_objects(RegionOptions(box=(4, 15, 15, 26)), instances) == []
    assert select_objects(RegionOptions(box=(10, 4, 28, 20)), instances) == [0]


@pytest.mark.parametrize(
    ("conditions", "detail"),
    [
        ({"clicks": ((39, 29),)}, "39,29"),
        ({"clicks": ((31, 3),), "min_score": 0.5}, "31,3"),
        ({"clicks": ((12, 10), (39, 29))}, "39,29"),
        ({"clicks": ((40, 3),)}, "40 x 30"),
        ({"clicks": ((-1, 3),)}, "40 x 30"),
        ({"numbers": (4,)}, "no object 4 among 3 objects;"),
        ({"numbers": (0,)}, "no object 0 among 3"),
        ({"numbers": (-1,)}, "no object -1 among 3"),
        ({"numbers": (1, 4)}, "no object 4 among 3"),
        (
            {"numbers": (3,), "min_score": 0.5},
            r"no object 3 among 2 objects with a score of at least 0\.5; .* --min-score 0\.4",
        ),
        ({"numbers": (2,), "only": ("cat",)}, r"leave out object 2 \(dog\)"),
        ({"numbers": (1, 2), "max_area": 10}, r"leave out object 2 \(dog\)"),
    ],
)
def test_select_objects_without_a_match_raises_photo_error(three_objects, conditions, detail):
    with pytest.raises(PhotoError, match=detail) as raised:
        select_objects(RegionOptions(**conditions), three_objects, "a.jpg")
    assert raised.value.where == "a.jpg"


def test_select_objects_without_objects_returns_none(three_objects):
    assert select_objects(RegionOptions(only=("cat",)), three_objects.select([])) == []


def test_check_classes_unknown_class_raises_usage_error():
    check_classes(["cat"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"^dogg: .*did you mean dog\?"):
        check_classes(["cat", "dogg"], ["cat", "dog"])
    with pytest.raises(UsageError, match=r"^zebra: .*cat, dog$"):
        check_classes(["zebra"], ["cat", "dog"])


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
    assert code == 0
    # The detector is untrained, so it may find nothing.
    assert ("no object found" in err) == (out == "")
    assert {json.loads(line)["class"] for line in out.splitlines()} <= {"disc"}
    target = tmp_path / "x.png"
    code, _, err = burnish("apply", "l0-smoothing", photo, *options, "-o", target)
    assert code == 0
    assert ("no disc" in err) == (out == "")
    [record] = read_history(target)
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
        recorded_detector(name, "0" * 64)
    assert "\n" not in str(raised.value)


def test_bundled_detector_is_identified_by_its_content(detector_file, tmp_path, monkeypatch):
    renamed = tmp_path / "renamed.onnx"
    renamed.write_bytes(detector_file.read_bytes())
    monkeypatch.setattr(detector_files, "BUNDLED", tmp_path)
    assert recorded_detector("shapes", digest(renamed)).sha256 == digest(renamed)
    with pytest.warns(UserWarning, match="another version of the detector renamed"):
        recorded_detector("renamed", "0" * 64)


@pytest.mark.slow
def test_bundled_detector_is_the_default(burnish, tmp_path):
    if not (detector_files.BUNDLED / f"{detector_files.BUNDLED_DEFAULT}.onnx").exists():
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
