"""Coarse masks at the photo's edges; margins; and that a small object in a huge photo is cheap."""

import tracemalloc

import numpy as np
import pytest

from burnish.detection.instances import Instances, mask_crop
from burnish.detection.paste_mask import paste_mask
from burnish.errors import MissingLibraryError, UsageError
from burnish.regions import refine
from burnish.regions.distance import dilate
from burnish.regions.edges import Edges
from burnish.regions.refine import binary_mask, full_resolution, guided_refine, soften_edges

BOX = np.array([[40, 30, 152, 142]], np.float32)


def disc(size=(200, 180)):
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    return (x - 96) ** 2 + (y - 86) ** 2 < 50**2


def coarse(shift=0.0):
    """A disc as a detector sees it: 14 x 14, blurred, and off by `shift` pixels of the photo."""
    y, x = (np.mgrid[:14, :14] + 0.5) * 8
    distance = np.hypot(x - 56 - shift, y - 56)
    mask = np.clip((50 - distance) / 16 + 0.5, 0, 1).astype(np.float32)
    return Instances((200, 180), BOX, ("disc",), np.ones(1, np.float32), (mask,))


def photo():
    random = np.random.default_rng(0)
    colours = np.where(disc()[..., None], np.float32([0.8, 0.5, 0.2]), np.float32([0.3, 0.4, 0.7]))
    return (colours + random.normal(0, 0.02, colours.shape)).clip(0, 1).astype(np.float32)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_the_guided_filter_against_its_definition():
    """Fit the mask as an affine function of the colours in every window, and average the fits."""
    random = np.random.default_rng(0)
    guide = random.random((16, 17, 3)).astype(np.float32)
    mask = random.random((16, 17)).astype(np.float32)
    radius, sums, counts = 2, np.zeros((16, 17)), np.zeros((16, 17))
    # Away from the border, where libraries continue the picture differently.
    for row, column in np.ndindex(12, 13):
        window = slice(row, row + 5), slice(column, column + 5)
        colours, values = guide[window].reshape(-1, 3).astype(float), mask[window].ravel()
        covariance = np.cov(colours.T, bias=True) + refine._EPS * np.eye(3)
        shared = (colours * values[:, None]).mean(0) - colours.mean(0) * values.mean()
        slope = np.linalg.solve(covariance, shared)
        sums[window] += guide[window] @ slope + values.mean() - slope @ colours.mean(0)
        counts[window] += 1
    inner = slice(2 * radius, -2 * radius), slice(2 * radius, -2 * radius)
    expected = (sums / np.maximum(counts, 1)).clip(0, 1)
    np.testing.assert_allclose(
        guided_refine(mask, guide, radius)[inner], expected[inner], atol=1e-4
    )


@pytest.mark.parametrize("shift", [0, 3, -3])
def test_refined_masks_are_nearer_to_the_object(shift):
    before = binary_mask(coarse(shift), [0], photo(), Edges(refine=False))
    after = binary_mask(coarse(shift), [0], photo(), Edges())
    assert iou(after, disc()) > iou(before, disc())


def test_unrefined_is_the_pasted_mask():
    found = coarse()
    expected = paste_mask(found.masks[0], BOX[0], found.size) >= 0.3
    edges = Edges(refine=False, threshold=0.3)
    np.testing.assert_array_equal(binary_mask(found, [0], photo(), edges), expected)


def test_a_mask_in_full_is_left_alone_unless_asked_for(three):
    pixels = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    np.testing.assert_array_equal(binary_mask(three, [1], pixels, Edges()), three.mask(1) > 0)
    asked = binary_mask(three, [1], pixels, Edges(refine=True))
    assert not np.array_equal(asked, three.mask(1) > 0)


def test_objects_join(three):
    pixels = np.zeros((30, 40, 3), np.float32)
    both = (three.mask(0) + three.mask(2)) > 0
    np.testing.assert_array_equal(binary_mask(three, [0, 2], pixels, Edges()), both)
    assert not binary_mask(three, [], pixels, Edges()).any()


def test_a_margin_is_of_each_object_s_own_size(three):
    pixels = np.zeros((30, 40, 3), np.float32)
    expected = dilate(three.mask(0) > 0, 1.5) | dilate(three.mask(2) > 0, 0.25 * np.sqrt(48))
    result = binary_mask(three, [0, 2], pixels, Edges(margin=25))
    np.testing.assert_array_equal(result, expected)


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
def test_a_crop_holds_the_whole_mask(box, margin):
    mask = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    found = Instances((61, 47), np.array([box], np.float32), ("a",), np.ones(1), (mask,))
    part, left, top = mask_crop(found, 0, margin)
    whole = np.zeros((47, 61), np.float32)
    whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    np.testing.assert_allclose(whole, found.mask(0), atol=1e-5)


@pytest.mark.parametrize(
    "edges",
    [Edges(feather=0), Edges(feather=3), Edges(grow=4, feather=2), Edges(grow=2, shrink=5)],
)
def test_edged_works_where_the_mask_is_as_it_would_on_the_whole(edges):
    from burnish.regions.distance import erode, feather

    mask = disc()
    whole = feather(erode(dilate(mask, edges.grow), edges.shrink), edges.feather)
    np.testing.assert_array_equal(soften_edges(mask, edges), whole)


def test_edged_at_the_picture_s_border():
    mask = np.zeros((20, 30), bool)
    mask[:8, 22:] = True
    soft = soften_edges(mask, Edges(feather=2))
    np.testing.assert_array_equal(soft > 0, mask)
    assert soft[0, 29] == 1


def test_in_full_is_what_is_shown():
    found = full_resolution(coarse(), [0], photo(), Edges(grow=2, feather=5))
    hard = soften_edges(binary_mask(coarse(), [0], photo(), Edges()), Edges(grow=2, feather=0))
    np.testing.assert_array_equal(found.mask(0), hard)
    nothing = full_resolution(coarse(), [0], photo(), Edges(shrink=200))
    assert not nothing.mask(0).any()


def test_without_opencv_it_is_said_and_nothing_is_left_out(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    monkeypatch.setitem(__import__("sys").modules, "cv2.ximgproc", None)
    with pytest.raises(MissingLibraryError, match=r"extra 'retouch'.* or leave masks coarse"):
        binary_mask(coarse(), [0], photo(), Edges())
    assert binary_mask(coarse(), [0], photo(), Edges(refine=False)).any()


@pytest.mark.parametrize("name", ["threshold", "margin", "grow", "shrink", "feather"])
def test_values_outside_their_ranges(name):
    with pytest.raises(UsageError, match=f"{name}: expected .*, got -1"):
        Edges(**{name: -1})


def test_a_small_object_in_a_huge_photo_takes_little_memory():
    height, width = 6000, 8000
    pixels = np.broadcast_to(np.float32([0.2, 0.5, 0.7]), (height, width, 3))
    found = coarse()
    box = BOX + np.float32([7000, 5000, 7000, 5000])
    found = Instances((width, height), box, found.labels, found.scores, found.masks)
    tracemalloc.start()
    mask = binary_mask(found, [0], pixels, Edges())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask[5086, 7096]
    # The mask itself is one byte a pixel.
    assert most < height * width + 5e6
