"""Objects that COCO files list: photos found by their paths, outlines, and boxes instead."""

import json
from pathlib import Path

import numpy as np
import pytest

from burnish.detection.coco_writer import to_coco
from burnish.detection.objects_file import ObjectsFile
from burnish.errors import PhotoError, UsageError

BLACK = np.zeros((30, 40, 3), np.float32)


def write_objects(tmp_path, content):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps(content))
    return path


def test_written_instances_read_back_equal(three_objects, tmp_path):
    path = write_objects(tmp_path, to_coco({"a.jpg": three_objects}))
    instances = ObjectsFile.open(path).find(BLACK, Path("folder/a.jpg"))
    assert instances.labels == three_objects.labels
    np.testing.assert_allclose(instances.scores, three_objects.scores)
    np.testing.assert_array_equal(instances.boxes, three_objects.boxes)
    for index in range(3):
        np.testing.assert_array_equal(instances.mask(index), three_objects.mask(index))


def test_find_reads_polygons_and_uncompressed_run_lengths(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][0]["segmentation"] = [[10, 8, 16, 8, 16, 14, 10, 14]]
    mask = three_objects.mask(1) > 0
    runs = np.diff(np.flatnonzero(np.diff(np.r_[2, mask.ravel("F"), 2]))).tolist()
    content["annotations"][1]["segmentation"] = {"size": [30, 40], "counts": runs}
    instances = ObjectsFile.open(write_objects(tmp_path, content)).find(BLACK, Path("a.jpg"))
    for index in range(3):
        np.testing.assert_array_equal(instances.mask(index), three_objects.mask(index))


def test_find_raises_for_other_photos(three_objects, tmp_path):
    file = ObjectsFile.open(write_objects(tmp_path, to_coco({"a.jpg": three_objects})))
    with pytest.raises(PhotoError, match=r"b\.jpg"):
        file.find(BLACK, Path("b.jpg"))
    with pytest.raises(PhotoError, match="without a name"):
        file.find(BLACK)
    with pytest.raises(PhotoError, match="8 x 8"):
        file.find(np.zeros((8, 8, 3), np.float32), Path("a.jpg"))


# Boxes are left, top, width and height; the cat's is that of its mask in `three_objects`.
BOX = [10, 8, 6, 6]
MISSING = "no such key"


@pytest.mark.parametrize(
    "segmentation",
    [
        *(MISSING, None, [], {}, [[]], [[10, 8]], [[10, 8, 16, 14]], [10, 8, 16, 14], 5, "0,8"),
        *([[10, 8, 16, 8, 16]], [[10, 8, float("nan"), 8, 16, 14]], [[10, 8, "x", 8, 16, 14]]),
        *([[10, 8, 16, 14, 10, 8]], [[50, 8, 60, 8, 60, 14]], [[0.25, 0.2, 0.4, 0.2, 0.4, 0.4]]),
        *({"size": [30, 40], "counts": [1200]}, {"size": [30, 40], "counts": []}),
        *({"size": [40, 30], "counts": [0, 1200]}, {"size": [30, 40], "counts": "PP"}),
        {"size": [30, 40]},
    ],
    ids=repr,
)
def test_box_stands_for_an_unusable_outline_with_a_warning(three_objects, tmp_path, segmentation):
    content = to_coco({"a.jpg": three_objects})
    cat = content["annotations"][0]
    assert cat["bbox"] == BOX
    if segmentation is MISSING:
        del cat["segmentation"]
    else:
        cat["segmentation"] = segmentation
    file = ObjectsFile.open(write_objects(tmp_path, content))
    with pytest.warns(UserWarning, match=r"^a\.jpg: 1 object has no usable outline .*\(cat\)"):
        instances = file.find(BLACK, Path("a.jpg"))
    assert instances.labels == three_objects.labels
    for index in range(3):
        np.testing.assert_array_equal(instances.mask(index), three_objects.mask(index))


def test_box_covers_every_pixel_that_it_touches(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects.select([0])})
    content["annotations"][0] |= {"segmentation": [], "bbox": [-3, 27.5, 5.1, 9]}
    file = ObjectsFile.open(write_objects(tmp_path, content))
    with pytest.warns(UserWarning, match="outline"):
        mask = file.find(BLACK, Path("a.jpg")).mask(0)
    assert mask[27:, :3].all()
    assert mask.sum() == 9


@pytest.mark.parametrize(
    "box",
    [
        *(MISSING, None, [], 5, [10, 8, 6], [10, 8, 0, 6], [10, 8, 6, -6], [10, 8, 6, None]),
        *([10, 8, float("nan"), 6], [40, 8, 6, 6], [-9, 8, 6, 6]),
    ],
    ids=repr,
)
def test_object_without_outline_and_box_is_refused(three_objects, tmp_path, box):
    content = to_coco({"a.jpg": three_objects, "b.jpg": three_objects})
    content["annotations"][1] |= {"segmentation": [], "bbox": box}
    if box is MISSING:
        del content["annotations"][1]["bbox"]
    file = ObjectsFile.open(write_objects(tmp_path, content))
    with pytest.raises(
        PhotoError, match=r"has a dog that cannot be used: neither .* bbox"
    ) as raised:
        file.find(BLACK, Path("a.jpg"))
    assert raised.value.where == "a.jpg"
    assert len(file.find(BLACK, Path("b.jpg"))) == 3


@pytest.mark.parametrize("box", [None, [1, 2, 3]], ids=repr)
def test_outline_is_used_if_the_box_is_invalid(three_objects, tmp_path, box):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][0]["bbox"] = box
    instances = ObjectsFile.open(write_objects(tmp_path, content)).find(BLACK, Path("a.jpg"))
    np.testing.assert_array_equal(instances.mask(0), three_objects.mask(0))


def test_objects_of_images_that_are_not_listed_are_left_out_with_a_warning(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][1]["image_id"] = 99
    path = write_objects(tmp_path, content)
    with pytest.warns(UserWarning, match="1 of its objects are left out.* 99"):
        file = ObjectsFile.open(path)
    assert file.find(BLACK, Path("a.jpg")).labels == ("cat", "cat")


def test_object_of_an_unknown_category_is_refused(three_objects, tmp_path):
    content = to_coco({"a.jpg": three_objects})
    content["annotations"][1]["category_id"] = 99
    with pytest.raises(UsageError, match=r"annotations\.1 has category_id 99"):
        ObjectsFile.open(write_objects(tmp_path, content))


def find_label(tmp_path, names, source):
    """Return the class that the entry found for `source` has: the position of its name."""
    path = tmp_path / "objects.json"
    images = [
        {"id": number, "file_name": name, "width": 40, "height": 30}
        for number, name in enumerate(names)
    ]
    annotations = [
        {"image_id": number, "category_id": number, "bbox": [1, 2, 3, 4]}
        | {"segmentation": [[1, 2, 4, 2, 4, 6, 1, 6]]}
        for number in range(len(names))
    ]
    categories = [{"id": number, "name": f"{number}"} for number in range(len(names))]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return ObjectsFile.open(path).find(BLACK, Path(source)).labels[0]


@pytest.mark.parametrize(
    ("names", "source", "expected"),
    [
        (["a.jpg"], "job1/a.jpg", "0"),
        (["job1/a.jpg"], "a.jpg", "0"),
        (["job1/a.jpg", "job2/a.jpg"], "job2/a.jpg", "1"),
        (["job1/a.jpg", "job2/a.jpg"], "/photos/job1/a.jpg", "0"),
        (["job1/a.jpg", "job2/a.jpg", "job2/b.jpg"], "elsewhere/b.jpg", "2"),
        (["a.jpg", "job1/a.jpg"], "job1/a.jpg", "1"),
        (["job1/a.jpg", "a.jpg"], "job2/a.jpg", "1"),
        (["x/job1/a.jpg", "x/job2/a.jpg"], "y/job2/a.jpg", "1"),
        (["/old/disk/job1/a.jpg", "/old/disk/job2/a.jpg"], "job2/a.jpg", "1"),
        ([r"C:\job1\a.jpg", r"C:\job2\a.jpg"], "job2/a.jpg", "1"),
        (["https://host/job1/a.jpg", "https://host/job2/a.jpg"], "job1/a.jpg", "0"),
        (["./job1/a.jpg", "./job2/a.jpg"], "job2/a.jpg", "1"),
        (["a.jpg/a.jpg", "b/a.jpg"], "b/a.jpg", "1"),
    ],
)
def test_photos_of_one_name_are_told_apart_by_their_folders(tmp_path, names, source, expected):
    assert find_label(tmp_path, names, source) == expected


def test_folder_of_the_command_counts(tmp_path, monkeypatch):
    (tmp_path / "job2").mkdir()
    monkeypatch.chdir(tmp_path / "job2")
    assert find_label(tmp_path, ["job1/a.jpg", "job2/a.jpg"], "a.jpg") == "1"


def test_photo_that_folders_do_not_tell_apart_is_refused(tmp_path):
    with pytest.raises(PhotoError, match=r"2 photos of this name, such as job1/a\.jpg"):
        find_label(tmp_path, ["job1/a.jpg", "job2/a.jpg"], "job3/a.jpg")


def test_open_rejects_two_images_of_one_path(tmp_path):
    with pytest.raises(UsageError, match=r"2 images are called job1/a\.jpg"):
        find_label(tmp_path, ["job1/a.jpg", r"job1\a.jpg"], "a.jpg")
