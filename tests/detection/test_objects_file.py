"""COCO's JSON against pycocotools, there and back, and files that are none."""

import json
from pathlib import Path

import numpy as np
import pytest

from burnish.detection.objects_file import ObjectsFile, to_coco
from burnish.errors import PhotoError, UsageError

# pycocotools asks numpy for copies in a way that newer ones deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VAL = Path(__file__).parents[3] / "shared" / "coco"


def empty(found):
    return np.zeros((found.size[1], found.size[0], 3), np.float32)


def written(tmp_path, found, **changes):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(to_coco({"a.jpg": found}) | changes))
    return path


def test_there_and_back(three, tmp_path):
    again = ObjectsFile.open(written(tmp_path, three)).find(empty(three), Path("folder/a.jpg"))
    assert again.labels == three.labels
    np.testing.assert_allclose(again.scores, three.scores)
    np.testing.assert_array_equal(again.boxes, three.boxes)
    for index in range(3):
        np.testing.assert_array_equal(again.mask(index), three.mask(index))


def test_pycocotools_reads_it(three, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    theirs = coco.COCO(written(tmp_path, three))
    annotations = theirs.loadAnns(theirs.getAnnIds())
    for index, annotation in enumerate(annotations):
        mask = theirs.annToMask(annotation)
        np.testing.assert_array_equal(mask, three.mask(index))
        assert annotation["area"] == mask.sum()
        left, top, width, height = annotation["bbox"]
        assert [left, top, left + width, top + height] == three.boxes[index].tolist()
        assert theirs.cats[annotation["category_id"]]["name"] == three.labels[index]


def test_coco_s_own_file():
    file = VAL / "instances_val2017.json"
    if not file.exists():
        pytest.skip("COCO's photos are not here")
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    content = json.loads(file.read_text())
    coco = ObjectsFile.open(file)
    for image in content["images"][:5]:
        truth = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        pixels = np.zeros((image["height"], image["width"], 3), np.float32)
        found = coco.find(pixels, Path(image["file_name"]))
        masks = [theirs.decode(a["segmentation"]) for a in truth]
        assert len(found) == sum(bool(mask.any()) for mask in masks)
        for index, mask in enumerate(mask for mask in masks if mask.any()):
            np.testing.assert_array_equal(found.mask(index), mask)


def test_polygons_and_plain_runs(three, tmp_path):
    content = to_coco({"a.jpg": three})
    content["annotations"][0]["segmentation"] = [[10, 8, 16, 8, 16, 14, 10, 14]]
    mask = three.mask(1) > 0
    runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.ravel("F"), 2]))).tolist()
    content["annotations"][1]["segmentation"] = {"size": [30, 40], "counts": runs}
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    found = ObjectsFile.open(path).find(empty(three), Path("a.jpg"))
    for index in range(3):
        np.testing.assert_array_equal(found.mask(index), three.mask(index))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"images": 1, "annotations": [], "categories": []}', "null"]
)
def test_files_that_are_none(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="expected a file of instances in COCO's JSON"):
        ObjectsFile.open(path)


@pytest.mark.parametrize("path", ["no.json", "."])
def test_files_that_cannot_be_read(path):
    with pytest.raises(UsageError, match="expected a file of instances"):
        ObjectsFile.open(path)


@pytest.mark.parametrize(
    "broken",
    [
        {"counts": "PP", "size": [30, 40]},
        {"counts": [5]},
        {"counts": 5},
        {},
        [[1, 2, 3]],
        [[float("nan")] * 6],
        [[1e400] * 6],
        5,
    ],
)
def test_broken_annotations(three, tmp_path, broken):
    content = to_coco({"a.jpg": three})
    content["annotations"][0]["segmentation"] = broken
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"got a broken annotation of a\.jpg"):
        ObjectsFile.open(path).find(empty(three), Path("a.jpg"))


def test_a_photo_that_the_file_does_not_speak_of(three, tmp_path):
    coco = ObjectsFile.open(written(tmp_path, three))
    with pytest.raises(PhotoError, match=r"expected one of the 1 pictures .* got b\.jpg"):
        coco.find(empty(three), Path("b.jpg"))
    with pytest.raises(PhotoError, match=r"got a picture without a name"):
        coco.find(empty(three))
    with pytest.raises(PhotoError, match=r"expected 40 x 30, .* got 8 x 8"):
        coco.find(np.zeros((8, 8, 3), np.float32), Path("a.jpg"))


def test_two_pictures_of_one_name_cannot_be_told_apart(three, tmp_path):
    content = to_coco({"a.jpg": three})
    content["images"].append(content["images"][0] | {"id": 2, "file_name": "b/a.jpg"})
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"'a\.jpg' is the name of 2 pictures"):
        ObjectsFile.open(path)
