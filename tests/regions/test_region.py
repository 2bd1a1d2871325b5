"""Regions: the rules by which objects, masks and boxes go together, and mask files."""

import numpy as np
import pytest
from PIL import Image

from burnish.errors import OutputError, PhotoError, UsageError
from burnish.photo import Photo
from burnish.regions.blend import blend
from burnish.regions.edges import Edges
from burnish.regions.maskfile import MaskFile, open_mask_file, save_mask
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.regions.select import Selection

PIXELS = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
HARD = Edges(feather=0)


def test_everything_and_nothing():
    np.testing.assert_array_equal(Region().compute_mask(PIXELS), 1)
    np.testing.assert_array_equal(Region(invert=True).compute_mask(PIXELS), 0)


def test_a_mask_shows_as_it_is_painted():
    mask = np.random.default_rng(1).random((30, 40))
    np.testing.assert_array_equal(Region(mask=mask).compute_mask(PIXELS), mask.astype(np.float32))
    np.testing.assert_array_equal(Region(mask=mask > 0.5).compute_mask(PIXELS), mask > 0.5)


def test_a_mask_whose_edges_are_asked_for_is_cut_first():
    mask = np.zeros((30, 40), np.float32)
    mask[10:20, 10:20] = 0.6
    result = Region(mask=mask, edges=Edges(feather=1)).compute_mask(PIXELS)
    assert result[15, 15] == 1
    assert result[10, 15] == 0.5
    assert not Region(mask=mask, edges=Edges(threshold=0.7)).compute_mask(PIXELS).any()


def test_objects(three, fixed):
    finder = fixed(three)
    dog = Region(Selection(classes=("dog",)), HARD, finder).compute_mask(PIXELS)
    np.testing.assert_array_equal(dog, three.mask(1))
    both = Region(edges=HARD, object_source=finder).compute_mask(PIXELS)
    np.testing.assert_array_equal(both, np.maximum(three.mask(0), three.mask(1)))


def test_inverting_keeps_the_feather_inside_the_object(three, fixed):
    dog = Selection(classes=("dog",))
    inside = Region(dog, Edges(feather=3), fixed(three)).compute_mask(PIXELS)
    outside = Region(dog, Edges(feather=3), fixed(three), invert=True).compute_mask(PIXELS)
    np.testing.assert_array_equal(outside, 1 - inside)
    np.testing.assert_array_equal(outside[three.mask(1) == 0], 1)


def test_a_mask_narrows_objects(three, fixed):
    left = np.zeros((30, 40), bool)
    left[:, :20] = True
    dog = Selection(classes=("dog",))
    result = Region(dog, HARD, fixed(three), left).compute_mask(PIXELS)
    np.testing.assert_array_equal(result, three.mask(1) * left)


def test_a_box_is_a_rectangle_where_no_objects_are_asked_for(three, fixed):
    box = Selection(box=(3.4, 2, 9.6, 7))
    expected = np.zeros((30, 40), np.float32)
    expected[2:7, 3:10] = 1
    np.testing.assert_array_equal(Region(box).compute_mask(PIXELS), expected)
    mask = np.random.default_rng(1).random((30, 40)).astype(np.float32)
    np.testing.assert_array_equal(Region(box, mask=mask).compute_mask(PIXELS), mask * expected)
    around = Region(Selection(box=(9, 7, 17, 15)), HARD, fixed(three)).compute_mask(PIXELS)
    np.testing.assert_array_equal(around, three.mask(0))


def test_what_cannot_be():
    with pytest.raises(UsageError, match="expected a detector or a file of objects"):
        Region(Selection(classes=("cat",)))
    for mask in (np.zeros((3, 3)), np.full((30, 40), 2.0), np.zeros((30, 40), np.uint8)):
        with pytest.raises(UsageError, match=r"bool or floats in \[0, 1\] of shape"):
            Region(mask=mask).compute_mask(PIXELS)


def test_an_unknown_class_is_said_before_any_photo(three, fixed):
    with pytest.raises(UsageError, match=r"did you mean cat\?"):
        Region(Selection(classes=("cta",)), object_source=fixed(three))


@pytest.fixture
def masks(tmp_path):
    """One mask in every form that a mask may have."""
    mask = (np.random.default_rng(3).random((30, 40)) * 255).astype(np.uint8)
    rgba = np.dstack([PIXELS * 255, mask]).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "rgb.tif")
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    Image.fromarray(mask.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    return tmp_path, mask / np.float32(255)


@pytest.mark.parametrize("name", ["grey.png", "rgb.tif", "alpha.png", "deep.png"])
def test_mask_files(masks, name):
    folder, mask = masks
    np.testing.assert_allclose(MaskFile(folder / name).read((40, 30)), mask, atol=1e-6)


def test_saved_masks_are_read_again(masks):
    folder, mask = masks
    save_mask(mask, folder / "new" / "saved.png", overwrite=False)
    np.testing.assert_array_equal(MaskFile(folder / "new" / "saved.png").read((40, 30)), mask)
    with Image.open(folder / "new" / "saved.png") as image:
        assert image.mode == "L"
    with pytest.raises(OutputError, match="got one that exists"):
        save_mask(mask, folder / "new" / "saved.png", overwrite=False)


def test_a_folder_has_a_mask_for_each_photo(masks):
    folder, mask = masks
    found = MaskFile(folder).read((40, 30), folder / "elsewhere" / "grey.jpg")
    np.testing.assert_array_equal(found, mask)
    with pytest.raises(PhotoError, match=r"expected one mask in .*, got none; such as other\.png"):
        MaskFile(folder).read((40, 30), folder / "other.jpg")
    (folder / "grey.jpg").write_bytes(b"")
    with pytest.raises(PhotoError, match=r"got grey\.jpg and grey\.png"):
        MaskFile(folder).read((40, 30), folder / "grey.tif")


def test_files_that_are_no_masks(masks):
    folder, _ = masks
    with pytest.raises(PhotoError, match="expected a mask of its photo's size, 41 x 30"):
        MaskFile(folder / "grey.png").read((41, 30))
    Image.fromarray((PIXELS * 255).astype(np.uint8)).save(folder / "photo.png")
    with pytest.raises(PhotoError, match="got a picture with colours"):
        MaskFile(folder / "photo.png").read((40, 30))
    with pytest.raises(UsageError, match="which is not there"):
        open_mask_file(folder / "none.png")


def test_blending_is_exact_at_both_ends():
    random = np.random.default_rng(0)
    before, after = (random.random((150, 20, 3)).astype(np.float32) for _ in "12")
    mask = random.choice(np.float32([0, 0.25, 0.7, 1]), (150, 20))
    result = blend(before, after, mask)
    np.testing.assert_array_equal(result[mask == 0], before[mask == 0])
    np.testing.assert_array_equal(result[mask == 1], after[mask == 1])
    share = mask[..., None].astype(float)
    np.testing.assert_allclose(result, before * (1 - share) + after * share, atol=1e-6)


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (RegionOptions(), "expected objects, a mask or a box, got none"),
        (RegionOptions(invert=True), "expected objects, a mask or a box, got none"),
        (RegionOptions(feather=3), "expected objects, a mask or a box, got none"),
        (RegionOptions(excepted=("cat",), invert=True), "--except, --invert"),
        (RegionOptions(detector="x", objects="y"), "--detector, --objects"),
        (RegionOptions(box=(3, 3, 1, 9)), "left before right"),
        (RegionOptions(mask="no.png"), "which is not there"),
    ],
)
def test_wishes_that_cannot_be(wish, complaint):
    with pytest.raises(UsageError, match=complaint):
        wish.to_region()


def test_a_wish_takes_the_command_s_defaults_for_objects_only(masks):
    folder, mask = masks
    region = RegionOptions(mask=folder / "grey.png").to_region({"min_score": 0.1}, {"grow": 9})
    np.testing.assert_array_equal(region.compute_mask(PIXELS), mask)
    assert Photo.open(folder / "grey.png").size == (40, 30)
