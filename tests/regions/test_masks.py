"""Masks: distances, refinement at edges, margins, soft edges, memory, and mask files."""

import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from burnish.detection.instances import Instances, mask_crop, paste_mask
from burnish.errors import MissingLibraryError, OutputError, PhotoError, UsageError
from burnish.regions import masks
from burnish.regions.masks import (
    MaskFile,
    binary_mask,
    dilate,
    distance_transform,
    erode,
    feather,
    full_resolution,
    guided_refine,
    save_mask,
    soften_edges,
)
from burnish.regions.options import RegionOptions

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
RADII = st.sampled_from([0, 0.5, 1, 1.5, 2, 3.7, 9, 40])


@pytest.mark.parametrize("tile_side", [8, 256])
@pytest.mark.parametrize("density", [0.6, 0.95, 0.999])
@pytest.mark.parametrize("limit", [1, 2.5, 7, 100])
def test_distance_transform_equals_scipy_up_to_its_limit(monkeypatch, tile_side, density, limit):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    monkeypatch.setattr(masks, "_TILE", tile_side)
    mask = np.random.default_rng(0).random((53, 61)) < density
    mask[20, 20] = False
    expected = ndimage.distance_transform_edt(mask)
    near = expected <= limit
    distances = distance_transform(mask, limit)
    np.testing.assert_allclose(distances[near], expected[near], rtol=1e-6)
    assert (distances[~near] > limit).all()


@given(MASKS, RADII)
def test_dilate_adds_discs(mask, radius):
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    expected = mask.copy()
    for row, column in np.argwhere(mask):
        expected |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    np.testing.assert_array_equal(dilate(mask, radius), expected)


@given(MASKS, RADII)
def test_erode_is_dilation_of_the_complement(mask, radius):
    np.testing.assert_array_equal(erode(mask, radius), ~dilate(~mask, radius))


@given(MASKS, RADII)
def test_closing_keeps_the_mask_and_is_idempotent(mask, radius):
    closed = erode(dilate(mask, radius), radius)
    assert (closed >= mask).all()
    np.testing.assert_array_equal(erode(dilate(closed, radius), radius), closed)


@given(MASKS, RADII)
def test_feather_lies_inside_the_mask(mask, width):
    soft = feather(mask, width)
    assert soft.dtype == np.float32
    np.testing.assert_array_equal(soft > 0, mask)
    assert soft.max(initial=0) <= 1
    np.testing.assert_array_equal(soft[erode(mask, width + 1)], 1)


@given(MASKS, RADII)
def test_feather_with_a_larger_width_is_softer(mask, width):
    assert (feather(mask, width + 1) <= feather(mask, width)).all()


def test_feather_leaves_the_border_of_the_image_sharp():
    np.testing.assert_array_equal(feather(np.ones((5, 6), bool), 3), 1)


BOX = np.array([[40, 30, 152, 142]], np.float32)
DEFAULTS = RegionOptions()


def make_disc():
    y, x = np.mgrid[:180, :200] + 0.5
    return (x - 96) ** 2 + (y - 86) ** 2 < 50**2


def make_photo():
    random = np.random.default_rng(0)
    disc = make_disc()[..., None]
    colours = np.where(disc, np.float32([0.8, 0.5, 0.2]), np.float32([0.3, 0.4, 0.7]))
    return (colours + random.normal(0, 0.02, colours.shape)).clip(0, 1).astype(np.float32)


def detect_disc(shift=0.0, offset=(0, 0), size=(200, 180)):
    """Return the disc with the mask of a detector: 14 x 14, blurred, and shifted by some px."""
    y, x = (np.mgrid[:14, :14] + 0.5) * 8
    distance = np.hypot(x - 56 - shift, y - 56)
    mask = np.clip((50 - distance) / 16 + 0.5, 0, 1).astype(np.float32)
    box = BOX + np.float32([*offset, *offset])
    return Instances(size, box, ("disc",), np.ones(1, np.float32), (mask,))


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_guided_refine_equals_its_definition():
    """Fit the mask as an affine function of the colours in every window, and average the fits."""
    random = np.random.default_rng(0)
    guide = random.random((16, 17, 3)).astype(np.float32)
    mask = random.random((16, 17)).astype(np.float32)
    radius, sums, counts = 2, np.zeros((16, 17)), np.zeros((16, 17))
    # Without the border, where libraries extend the image differently.
    for row, column in np.ndindex(12, 13):
        window = slice(row, row + 5), slice(column, column + 5)
        colours, values = guide[window].reshape(-1, 3).astype(float), mask[window].ravel()
        covariance = np.cov(colours.T, bias=True) + masks._EPS * np.eye(3)
        cross = (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean()
        slope = np.linalg.solve(covariance, cross)
        sums[window] += guide[window] @ slope + values.mean() - slope @ colours.mean(0)
        counts[window] += 1
    inner = slice(2 * radius, -2 * radius), slice(2 * radius, -2 * radius)
    expected = (sums / np.maximum(counts, 1)).clip(0, 1)
    refined = guided_refine(mask, guide, radius)
    np.testing.assert_allclose(refined[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("shift", [0, 3, -3])
def test_binary_mask_refined_is_closer_to_the_object(shift):
    instances, photo, disc = detect_disc(shift), make_photo(), make_disc()
    before = binary_mask(instances, [0], photo, RegionOptions(refine=False))
    after = binary_mask(instances, [0], photo, DEFAULTS)
    assert iou(after, disc) > iou(before, disc)


def test_binary_mask_without_refinement_is_the_pasted_mask():
    instances = detect_disc()
    expected = paste_mask(instances.masks[0], BOX[0], instances.size) >= 0.3
    options = RegionOptions(refine=False, threshold=0.3)
    np.testing.assert_array_equal(binary_mask(instances, [0], make_photo(), options), expected)


def detect_cut_disc(turns):
    """Return the disc and its photo, turned, with a box that cuts off a fifth of the disc."""
    photo, disc = make_photo(), make_disc()
    box = np.array([40, 52, 152, 142], np.float32)
    y, x = np.mgrid[:28, :28]
    distance = np.hypot((x + 0.5) * 4 + box[0] - 96, (y + 0.5) * 90 / 28 + box[1] - 86)
    mask = np.clip((50 - distance) / 16 + 0.5, 0, 1).astype(np.float32)
    for _ in range(turns):
        width = photo.shape[1]
        box = np.float32([box[1], width - box[2], box[3], width - box[0]])
        photo, disc, mask = np.rot90(photo), np.rot90(disc), np.rot90(mask)
    size = photo.shape[1], photo.shape[0]
    instances = Instances(size, box[None], ("disc",), np.ones(1, np.float32), (mask,))
    return instances, np.ascontiguousarray(photo), disc


@pytest.mark.parametrize("turns", range(4))
def test_binary_mask_refined_reaches_beyond_a_box_that_cuts_the_object(turns):
    instances, photo, disc = detect_cut_disc(turns)
    before = binary_mask(instances, [0], photo, RegionOptions(refine=False))
    after = binary_mask(instances, [0], photo, DEFAULTS)
    assert iou(before, disc) < 0.9
    assert iou(after, disc) > 0.95
    np.testing.assert_array_equal(binary_mask(instances, [0], photo, DEFAULTS), after)


def test_binary_mask_refined_stays_in_the_box_if_nothing_continues_the_object():
    """The upper part of the disc has the colour of the surroundings."""
    instances, photo, disc = detect_cut_disc(0)
    photo[:52] = photo[100:152, :52].mean((0, 1))
    after = binary_mask(instances, [0], photo, DEFAULTS)
    assert after[:46].sum() < 0.02 * disc.sum()


def test_binary_mask_at_full_resolution_is_refined_on_request_only(three_objects):
    pixels = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    dog = three_objects.mask(1) > 0
    np.testing.assert_array_equal(binary_mask(three_objects, [1], pixels, DEFAULTS), dog)
    refined = binary_mask(three_objects, [1], pixels, RegionOptions(refine=True))
    assert not np.array_equal(refined, dog)


def test_binary_mask_is_the_union_of_objects(three_objects):
    pixels = np.zeros((30, 40, 3), np.float32)
    cats = (three_objects.mask(0) + three_objects.mask(2)) > 0
    np.testing.assert_array_equal(binary_mask(three_objects, [0, 2], pixels, DEFAULTS), cats)
    assert not binary_mask(three_objects, [], pixels, DEFAULTS).any()


def test_binary_mask_margin_is_relative_to_each_object(three_objects):
    pixels = np.zeros((30, 40, 3), np.float32)
    small, large = (three_objects.mask(index) > 0 for index in (0, 2))
    expected = dilate(small, 1.5) | dilate(large, 0.25 * np.sqrt(48))
    grown = binary_mask(three_objects, [0, 2], pixels, RegionOptions(margin=25))
    np.testing.assert_array_equal(grown, expected)


@pytest.mark.parametrize(
    "box",
    [
        (10.3, 7.8, 40.2, 30.1),
        (20.1, 20.2, 20.9, 21.4),
        (-12.5, -3.2, 80.4, 60.7),
        (-5.0, 3.0, 9.5, 20.0),
        (3, 4, 31, 32),
        (70, 3, 90, 20),
    ],
)
@pytest.mark.parametrize("margin", [0, 5])
def test_mask_crop_holds_the_whole_mask(box, margin):
    mask = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    boxes = np.array([box], np.float32)
    instances = Instances((61, 47), boxes, ("a",), np.ones(1), (mask,))
    crop, left, top = mask_crop(instances, 0, margin)
    pasted = np.zeros((47, 61), np.float32)
    pasted[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    np.testing.assert_allclose(pasted, instances.mask(0), atol=1e-5)


@pytest.mark.parametrize(("grow", "shrink", "width"), [(0, 0, 0), (0, 0, 3), (4, 0, 2), (2, 5, 1)])
def test_soften_edges_in_a_window_equals_the_whole_image(grow, shrink, width):
    mask = make_disc()
    expected = feather(erode(dilate(mask, grow), shrink), width)
    options = RegionOptions(grow=grow, shrink=shrink, feather=width)
    np.testing.assert_array_equal(soften_edges(mask, options), expected)


def test_soften_edges_leaves_the_border_of_the_image_sharp():
    mask = np.zeros((20, 30), bool)
    mask[:8, 22:] = True
    soft = soften_edges(mask, RegionOptions(feather=2))
    np.testing.assert_array_equal(soft > 0, mask)
    assert soft[0, 29] == 1


def test_full_resolution_has_the_masks_that_edits_use():
    instances, photo = detect_disc(), make_photo()
    options = RegionOptions(grow=2, feather=5)
    binary = binary_mask(instances, [0], photo, DEFAULTS)
    expected = soften_edges(binary, RegionOptions(grow=2, feather=0))
    np.testing.assert_array_equal(full_resolution(instances, [0], photo, options).mask(0), expected)
    empty = full_resolution(instances, [0], photo, RegionOptions(shrink=200))
    assert not empty.mask(0).any()


def test_binary_mask_without_opencv_is_not_refined_which_is_stated(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(sys.modules, "cv2.ximgproc", None)
    instances, photo = detect_disc(), make_photo()
    coarse = binary_mask(instances, [0], photo, RegionOptions(refine=False))
    with pytest.warns(UserWarning, match=r"OpenCV.*retouch"):
        mask = binary_mask(instances, [0], photo, DEFAULTS)
    np.testing.assert_array_equal(mask, coarse)
    with pytest.raises(MissingLibraryError, match="retouch"):
        binary_mask(instances, [0], photo, RegionOptions(refine=True))


def test_binary_mask_of_a_small_object_in_a_large_photo_takes_little_memory():
    height, width = 6000, 8000
    pixels = np.broadcast_to(np.float32([0.2, 0.5, 0.7]), (height, width, 3))
    instances = detect_disc(offset=(7000, 5000), size=(width, height))
    tracemalloc.start()
    mask = binary_mask(instances, [0], pixels, DEFAULTS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask[5086, 7096]
    # The mask itself takes one byte per pixel.
    assert peak < height * width + 5e6


COLOURS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture
def mask_folder(tmp_path):
    """A folder with the same mask in several formats, and the mask."""
    mask = (np.random.default_rng(3).random((30, 40)) * 255).astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([mask] * 3)).save(tmp_path / "rgb.tif")
    Image.fromarray(np.dstack([COLOURS, mask])).save(tmp_path / "alpha.png")
    Image.fromarray(mask.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    return tmp_path, mask / np.float32(255)


@pytest.mark.parametrize("name", ["grey.png", "rgb.tif", "alpha.png", "deep.png"])
def test_read_returns_grey_values_or_alpha(mask_folder, name):
    folder, mask = mask_folder
    np.testing.assert_allclose(MaskFile(folder / name).read((40, 30)), mask, atol=1e-6)


def test_save_mask_is_read_back_equal(mask_folder):
    folder, mask = mask_folder
    path = folder / "new" / "saved.png"
    save_mask(mask, path, overwrite=False)
    np.testing.assert_array_equal(MaskFile(path).read((40, 30)), mask)
    with Image.open(path) as image:
        assert image.mode == "L"
    with pytest.raises(OutputError) as raised:
        save_mask(mask, path, overwrite=False)
    assert raised.value.where == str(path)


def test_read_folder_returns_the_mask_with_the_name_of_the_photo(mask_folder):
    folder, mask = mask_folder
    read = MaskFile(folder).read((40, 30), folder / "elsewhere" / "grey.jpg")
    np.testing.assert_array_equal(read, mask)


def test_read_folder_without_exactly_one_mask_raises_photo_error(mask_folder):
    folder, _ = mask_folder
    with pytest.raises(PhotoError, match=r"none.*other\.png"):
        MaskFile(folder).read((40, 30), folder / "other.jpg")
    (folder / "grey.jpg").write_bytes(b"")
    with pytest.raises(PhotoError, match=r"grey\.jpg and grey\.png"):
        MaskFile(folder).read((40, 30), folder / "grey.tif")


def test_read_other_size_raises_photo_error(mask_folder):
    folder, _ = mask_folder
    with pytest.raises(PhotoError, match="41 x 30"):
        MaskFile(folder / "grey.png").read((41, 30))


def test_read_colours_raises_photo_error(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "photo.png")
    with pytest.raises(PhotoError, match="colour"):
        MaskFile(tmp_path / "photo.png").read((40, 30))


def test_mask_file_missing_file_raises_usage_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        MaskFile(tmp_path / "none.png")
