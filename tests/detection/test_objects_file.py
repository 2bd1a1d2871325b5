"""COCO files in place of a detector: written, read by pycocotools, and read again."""

import json
from pathlib import Path

import numpy as np
import pytest

from burnish.detection.coco import to_coco
from burnish.detection.objects_file import ObjectsFile
from burnish.errors import PhotoError, UsageError

# pycocotools' arrays use an interface that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BLACK = np.zeros((30, 40, 3), np.float32)


def write(tmp_path, content):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    return path


def test_written_instances_read_back_equal(three_objects, tmp_path):
    path = write(tmp_path, to_coco({"a.jpg": three_objects}))
    instances = ObjectsFile.open(path).find(BLACK, Path("folder/a.jpg"))
    assert instances.labels == three_objects.labels
    np.testing.assert_allclose(instances.scores, three_objects.scores)
    np.testing.assert_array_equal(instances.boxes, three_objects.boxes)
    for index in range(3):
        np.testing.assert_array_equal(instances.mask(index), three_objects.mask(index))


def test_written_file_is_read_by_pycocotools(three_objects, tmp_path, capsys):
    pycocotools = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    file = pycocotools.COCO(write(tmp_path, to_coco({"a.jpg": three_objects})))
    for index, annotation in enumerate(file.loadAnns(file.getAnnIds())):
        mask = file.annToMask(annotation)
        np.testing.assert_array_equal(mask, three_objects.mask(index))
        assert annotation["area"] == mask.sum()
        left, top, width, height = annotation["bbox"]
        assert [left, top, left + width, top + height] == three_objects.boxes[index].tolist()
        assert file.cats[annotation["category_id"]]["name"] == three_objects.labels[index]


def test_find_reads_polygons_and_uncompressed_run_lengths(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][0]["segmentation"] = [[10, 8, 16, 8, 16, 14, 10, 14]]
    mask = three_objects.mask(1) > 0
    runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.ravel("F"), 2]))).tolist()
    content["annotations"][1]["segmentation"] = {"size": [30, 40], "counts": runs}
    instances = ObjectsFile.open(write(tmp_path, content)).find(BLACK, Path("a.jpg"))
    for index in range(3):
        np.testing.assert_array_equal(instances.mask(index), three_objects.mask(index))


def test_find_skips_empty_masks(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][1]["segmentation"] = {"size": [30, 40], "counts": [1200]}
    instances = ObjectsFile.open(write(tmp_path, content)).find(BLACK, Path("a.jpg"))
    assert instances.labels == ("cat", "cat")


def test_find_raises_for_malformed_run_lengths(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][0]["segmentation"] = {"size": [30, 40], "counts": "PP"}
    file = ObjectsFile.open(write(tmp_path, content))
    with pytest.raises(UsageError, match=r"a\.jpg"):
        file.find(BLACK, Path("a.jpg"))


def test_find_raises_for_other_photos(three_objects, tmp_path):
    file = ObjectsFile.open(write(tmp_path, to_coco({"a.jpg": three_objects})))
    with pytest.raises(PhotoError, match=r"b\.jpg"):
        file.find(BLACK, Path("b.jpg"))
    with pytest.raises(PhotoError, match="without a name"):
        file.find(BLACK)
    with pytest.raises(PhotoError, match="8 x 8"):
        file.find(np.zeros((8, 8, 3), np.float32), Path("a.jpg"))


def test_open_rejects_two_images_of_one_name(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["images"].append(content["images"][0] | {"id": 2, "file_name": "b/a.jpg"})
    with pytest.raises(UsageError, match=r"2 images are called a\.jpg"):
        ObjectsFile.open(write(tmp_path, content))
