"""COCO files: masks against pycocotools, reading, errors, and writing."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from burnish.detection import coco
from burnish.detection.coco import RunLengths, decode_mask
from burnish.detection.coco_writer import CocoWriter, encode_mask, to_coco
from burnish.detection.objects_file import ObjectsFile
from burnish.errors import BurnishError, PhotoError, UsageError
from burnish.photo import Photo

pycocotools = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")

# pycocotools' arrays use an interface that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MASKS = {
    "empty": np.zeros((5, 7), bool),
    "full": np.ones((5, 7), bool),
    "first pixel": np.eye(1, 12, dtype=bool).reshape(3, 4),
    "last pixel": np.eye(1, 12, 11, dtype=bool).reshape(3, 4),
    "noise": np.random.default_rng(0).random((37, 61)) < 0.4,
    "long runs": np.pad(np.ones((300, 20), bool), ((40, 500), (30, 70))),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_run_lengths_equal_those_of_pycocotools(mask):
    expected = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))
    encoded = encode_mask(mask)
    assert encoded == {"size": [*mask.shape], "counts": expected["counts"].decode()}
    decoded = decode_mask(RunLengths(**encoded), mask.shape[::-1])
    np.testing.assert_array_equal(decoded, mask)


def test_uncompressed_run_lengths_are_columns():
    mask = decode_mask(RunLengths(size=(2, 3), counts=[3, 2, 1]), (3, 2))
    np.testing.assert_array_equal(mask, np.array([[0, 0, 1], [0, 1, 0]], bool))


@pytest.mark.parametrize(
    "counts",
    [[3, 2], [7], [2**62, 2**62, 2**63 - 1], "31", "a\x7f", "é", "", "o", "o" * 21],
    ids=repr,
)
def test_malformed_run_lengths_raise_value_error(counts):
    with pytest.raises(ValueError, match=r"."):
        decode_mask(RunLengths(size=(2, 3), counts=counts), (3, 2))


def test_random_run_lengths_never_give_a_wrong_shape():
    """The decoder is compiled code, and files may come from strangers."""
    random = np.random.default_rng(0)
    for _ in range(2000):
        text = "".join(chr(code) for code in random.integers(48, 112, random.integers(0, 12)))
        try:
            mask = decode_mask(RunLengths(size=(6, 5), counts=text), (5, 6))
        except ValueError:
            continue
        assert mask.shape == (6, 5)


def test_polygons_equal_those_of_pycocotools():
    random = np.random.default_rng(0)
    for _ in range(50):
        polygons = [
            random.uniform(-8, 36, 2 * random.integers(3, 9)).tolist()
            for _ in range(random.integers(1, 4))
        ]
        expected = pycocotools.decode(pycocotools.merge(pycocotools.frPyObjects(polygons, 20, 30)))
        np.testing.assert_array_equal(decode_mask(polygons, (30, 20)), expected.astype(bool))


@pytest.fixture
def content(tmp_path):
    """The content of a COCO file, of one photo with a polygon and with run lengths of a crowd."""
    Photo(np.full((20, 30, 3), 0.5)).save(tmp_path / "a.png")
    mask = np.zeros((20, 30), bool)
    mask[2:8, 3:9] = True
    polygon = [[5.3, 5, 15, 6.2, 14.8, 15, 5, 15]]
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": 30, "height": 20}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": polygon},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 18,
                "segmentation": encode_mask(mask),
                "iscrowd": 1,
            },
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 18, "name": "dog"}],
    }


def read_dataset(content, folder):
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return coco.read_dataset(path, folder)


def test_dataset_has_photos_and_annotations(content, tmp_path):
    dataset = read_dataset(content, tmp_path)
    assert dataset.categories == ("cat", "dog")
    (image,) = dataset.images
    assert (image.path, image.size) == (tmp_path / "a.png", (30, 20))
    cat, dog = image.annotations
    assert (cat.label, cat.is_crowd, dog.label, dog.is_crowd) == ("cat", False, "dog", True)
    assert dog.mask()[2:8, 3:9].all()
    assert dog.mask().sum() == 36


def test_training_and_editing_read_the_same_masks(content, tmp_path):
    """Training and evaluation use `read_dataset`; editing uses `ObjectsFile`."""
    dataset = read_dataset(content, tmp_path)
    photo = tmp_path / "a.png"
    instances = ObjectsFile.open(dataset.source).find(Photo.open(photo).pixels, photo)
    assert len(instances) == 2
    for index, annotation in enumerate(dataset.images[0].annotations):
        assert instances.labels[index] == annotation.label
        np.testing.assert_array_equal(instances.mask(index), annotation.mask())


def test_written_dataset_reads_back_equal(content, tmp_path):
    dataset = read_dataset(content, tmp_path)
    writer = CocoWriter(dataset.categories)
    for image in dataset.images:
        writer.add_image(image.path.name, image.size)
        for annotation in image.annotations:
            writer.add_object(annotation.label, annotation.mask(), is_crowd=annotation.is_crowd)
    reread = read_dataset(writer.to_json(), tmp_path)
    for before, after in zip(
        dataset.images[0].annotations, reread.images[0].annotations, strict=True
    ):
        assert (before.label, before.is_crowd) == (after.label, after.is_crowd)
        np.testing.assert_array_equal(before.mask(), after.mask())


MISSING = object()


@pytest.mark.parametrize(
    ("kind", "path", "value", "word"),
    [
        (PhotoError, ["images", 0, "file_name"], "b.png", "b.png"),
        (PhotoError, ["images", 0, "width"], 31, "a.png"),
        (UsageError, ["images", 0, "width"], -5, "images.0.width"),
        (UsageError, ["images", 0, "file_name"], "a\x1b.png", "images.0.file_name"),
        (UsageError, ["images"], [], "images"),
        (UsageError, ["annotations"], MISSING, "annotations"),
        (UsageError, ["annotations", 0, "category_id"], 99, "category_id 99"),
        (UsageError, ["annotations", 0, "image_id"], 99, "image_id 99"),
        (UsageError, ["annotations", 0, "score"], float("nan"), "annotations.0.score"),
        (UsageError, ["annotations", 0, "segmentation"], [], "annotations.0.segmentation"),
        (UsageError, ["annotations", 0, "segmentation"], 5, "annotations.0.segmentation"),
        (UsageError, ["annotations", 0, "segmentation"], {}, "annotations.0.segmentation"),
        (UsageError, ["annotations", 0, "segmentation", 0], [1, 2, 3, 4], "segmentation"),
        (UsageError, ["annotations", 0, "segmentation", 0], [1.0] * 7, "coordinate"),
        (UsageError, ["annotations", 0, "segmentation", 0], [1, 2, 3, 4, "x", 6], "segmentation"),
        (UsageError, ["annotations", 0, "segmentation", 0], [float("nan")] * 6, "segmentation"),
        (UsageError, ["annotations", 0, "segmentation", 0], [1e400] * 6, "segmentation"),
        (UsageError, ["annotations", 0, "segmentation", 0], [1e7] * 6, "segmentation"),
        (UsageError, ["annotations", 1, "segmentation", "size"], [30, 20], "a.png"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], [100, 10], "a.png"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], [-1, 601], "segmentation"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], "\x01\x02", "a.png"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], "PP", "a.png"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], 5, "segmentation"),
        (UsageError, ["annotations", 1, "segmentation", "counts"], MISSING, "segmentation"),
    ],
)
def test_invalid_content_raises_one_line(content, tmp_path, kind, path, value, word):
    changed = copy.deepcopy(content)
    target = changed
    for key in path[:-1]:
        target = target[key]
    if value is MISSING:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    if path[-1] == "width":  # run lengths of another size would be found first
        changed["annotations"].pop()
    with pytest.raises(kind) as caught:
        read_dataset(changed, tmp_path)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null", "[" * 100_000, "\xff"])
def test_files_in_other_formats_raise_usage_error(tmp_path, text):
    path = tmp_path / "instances.json"
    path.write_text(text, "latin-1")
    with pytest.raises(UsageError, match=r"instances\.json"):
        coco.read(path)


@pytest.mark.parametrize("name", ["none.json", "."])
def test_unreadable_files_raise_error(tmp_path, name):
    with pytest.raises(BurnishError, match="cannot be read"):
        coco.read(tmp_path / name)


def test_masks_of_coco_equal_those_of_pycocotools():
    path = Path(__file__).parents[3] / "shared" / "coco" / "instances_val2017.json"
    if not path.exists():
        pytest.skip("COCO's photos are not here")
    content = json.loads(path.read_text())
    dataset = coco.read(path)
    for image, entry in zip(dataset.images[:5], content["images"][:5], strict=True):
        entries = [a for a in content["annotations"] if a["image_id"] == entry["id"]]
        for annotation, expected in zip(image.annotations, entries, strict=True):
            mask = pycocotools.decode(expected["segmentation"])
            np.testing.assert_array_equal(annotation.mask(), mask)


def test_written_file_is_read_by_pycocotools(three_objects, tmp_path, capsys):
    from pycocotools.coco import COCO

    path = tmp_path / "objects.json"
    path.write_text(json.dumps(to_coco({"a.jpg": three_objects})))
    file = COCO(path)
    for index, annotation in enumerate(file.loadAnns(file.getAnnIds())):
        mask = file.annToMask(annotation)
        np.testing.assert_array_equal(mask, three_objects.mask(index))
        assert annotation["area"] == mask.sum()
        left, top, width, height = annotation["bbox"]
        assert [left, top, left + width, top + height] == three_objects.boxes[index].tolist()
        assert file.cats[annotation["category_id"]]["name"] == three_objects.labels[index]
