"""COCO files: what they tell, and the one line that each fault meets."""

import json

import numpy as np
import pytest

from burnish.detection import coco, rle
from burnish.errors import BurnishError
from burnish.photo import Photo


@pytest.fixture
def record(tmp_path):
    """A COCO file of one photo with a polygon and a mask in run lengths, and a way to write it."""
    Photo(np.full((20, 30, 3), 0.5)).save(tmp_path / "a.png")
    mask = np.zeros((20, 30), bool)
    mask[2:8, 3:9] = True
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 3,
                "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]],
            },
            {
                "id": 2,
                "image_id": 7,
                "category_id": 18,
                "segmentation": {"size": [20, 30], "counts": rle.encode(mask)},
                "iscrowd": 1,
            },
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 18, "name": "dog"}],
    }


def read(record, folder):
    path = folder / "instances.json"
    path.write_text(json.dumps(record))
    return coco.read_dataset(path, folder)


def test_photos_and_outlines(record, tmp_path):
    found = read(record, tmp_path)
    assert found.categories == ("cat", "dog")
    (picture,) = found.images
    assert (picture.path, picture.size) == (tmp_path / "a.png", (30, 20))
    cat, dog = picture.annotations
    assert (cat.label, cat.is_crowd, dog.label, dog.is_crowd) == ("cat", False, "dog", True)
    assert dog.mask()[2:8, 3:9].all()
    assert dog.mask().sum() == 36


# pycocotools' own arrays are of an older kind than numpy's.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_polygons_as_pycocotools_fills_them(record, tmp_path):
    theirs = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    random = np.random.default_rng(0)
    for _ in range(20):
        polygons = [(random.random(2 * random.integers(3, 9)) * 20).tolist() for _ in range(2)]
        record["annotations"][0]["segmentation"] = polygons
        ours = read(record, tmp_path).images[0].annotations[0].mask()
        expected = theirs.decode(theirs.merge(theirs.frPyObjects(polygons, 20, 30))).astype(bool)
        np.testing.assert_array_equal(ours, expected)


def missing_photo(record):
    record["images"][0]["file_name"] = "b.png"


def other_size(record):
    record["images"][0]["width"] = 31
    record["annotations"].pop()


def unknown_category(record):
    record["annotations"][0]["category_id"] = 99


def unknown_image(record):
    record["annotations"][0]["image_id"] = 99


def no_polygon(record):
    record["annotations"][0]["segmentation"] = []


def short_polygon(record):
    record["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]


def no_numbers(record):
    record["annotations"][0]["segmentation"] = [[1, 2, 3, 4, "five", 6]]


def size_of_another(record):
    record["annotations"][1]["segmentation"]["size"] = [30, 20]


def too_few_counts(record):
    record["annotations"][1]["segmentation"]["counts"] = [100, 10]


def broken_counts(record):
    record["annotations"][1]["segmentation"]["counts"] = "\x01\x02"


def no_counts(record):
    del record["annotations"][1]["segmentation"]["counts"]


def no_images(record):
    record["images"], record["annotations"] = [], []


def no_annotations(record):
    del record["annotations"]


def huge_size(record):
    record["images"][0]["width"] = -5


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (missing_photo, "b.png: expected a photo that the COCO file names, got no such file"),
        (other_size, "a.png: expected 31 x 20 px, as the COCO file says, got 30 x 20 px"),
        (unknown_category, "entry with id 1: expected a known category, got category_id 99"),
        (unknown_image, "entry with id 1: expected the id of an image, got image_id 99"),
        (no_polygon, "entry with id 1: expected polygons or run lengths, got an empty"),
        (short_polygon, "entry with id 1: expected polygons of at least 3 points x, y"),
        (no_numbers, "entry with id 1: expected polygons of at least 3 points x, y"),
        (size_of_another, "entry with id 2: expected the image's height and width, 20, 30"),
        (too_few_counts, "got run lengths for 110 pixels"),
        (broken_counts, "entry with id 2: expected run lengths of the image"),
        (no_counts, "entry with id 2: expected run lengths of the image"),
        (no_images, "images: expected at least one, got none"),
        (no_annotations, "annotations: expected a list of records, got none"),
        (huge_size, "image 7: expected a width and a height"),
    ],
)
def test_a_fault_is_one_line(record, tmp_path, fault, words):
    fault(record)
    with pytest.raises(BurnishError) as caught:
        read(record, tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, "\xff"])
def test_files_of_something_else(tmp_path, text):
    path = tmp_path / "instances.json"
    path.write_text(text, "latin-1")
    with pytest.raises(BurnishError, match=r"instances\.json"):
        coco.read_dataset(path, tmp_path)
    with pytest.raises(BurnishError, match="no such file"):
        coco.read_dataset(tmp_path / "none.json", tmp_path)
