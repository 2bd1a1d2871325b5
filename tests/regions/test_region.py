"""Regions: objects, masks and boxes combined, opened from options, and blended."""

import numpy as np
import pytest
from PIL import Image

from burnish.errors import UsageError
from burnish.regions import object_sources
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region, blend, open_region

PIXELS = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)


def compute_mask(source=None, mask=None, **options):
    return Region(RegionOptions(**options), source, mask).compute_mask(PIXELS)


def test_region_without_options_is_the_whole_image():
    np.testing.assert_array_equal(compute_mask(), 1)
    np.testing.assert_array_equal(compute_mask(invert=True), 0)


def test_mask_without_edge_options_is_used_unchanged():
    mask = np.random.default_rng(1).random((30, 40))
    np.testing.assert_array_equal(compute_mask(mask=mask), mask.astype(np.float32))
    np.testing.assert_array_equal(compute_mask(mask=mask > 0.5), mask > 0.5)


def test_mask_with_edge_options_is_cut_at_the_threshold():
    mask = np.zeros((30, 40), np.float32)
    mask[10:20, 10:20] = 0.6
    soft = compute_mask(mask=mask, feather=1)
    assert soft[15, 15] == 1
    assert soft[10, 15] == 0.5
    assert not compute_mask(mask=mask, threshold=0.7).any()


def test_objects_are_united(three_objects, fixed_source):
    source = fixed_source(three_objects)
    dog = compute_mask(source, only=("dog",), feather=0)
    np.testing.assert_array_equal(dog, three_objects.mask(1))
    both = compute_mask(source, feather=0)
    np.testing.assert_array_equal(both, np.maximum(three_objects.mask(0), three_objects.mask(1)))


def test_inverted_region_keeps_the_feather_inside_the_object(three_objects, fixed_source):
    source = fixed_source(three_objects)
    inside = compute_mask(source, only=("dog",), feather=3)
    for options in ({"only": ("dog",), "invert": True}, {"exclude": ("dog",)}):
        outside = compute_mask(source, feather=3, **options)
        np.testing.assert_array_equal(outside, 1 - inside)
        np.testing.assert_array_equal(outside[three_objects.mask(1) == 0], 1)


def test_mask_with_objects_is_intersected(three_objects, fixed_source):
    left = np.zeros((30, 40), bool)
    left[:, :20] = True
    mask = compute_mask(fixed_source(three_objects), left, only=("dog",), feather=0)
    np.testing.assert_array_equal(mask, three_objects.mask(1) * left)


def test_box_without_objects_is_a_rectangle(three_objects, fixed_source):
    expected = np.zeros((30, 40), np.float32)
    expected[2:7, 3:10] = 1
    np.testing.assert_array_equal(compute_mask(box=(3.4, 2, 9.6, 7)), expected)
    mask = np.random.default_rng(1).random((30, 40)).astype(np.float32)
    combined = compute_mask(mask=mask, box=(3.4, 2, 9.6, 7))
    np.testing.assert_array_equal(combined, mask * expected)
    cat = compute_mask(fixed_source(three_objects), box=(9, 7, 17, 15), feather=0)
    np.testing.assert_array_equal(cat, three_objects.mask(0))


def test_region_of_objects_without_a_source_raises_usage_error():
    with pytest.raises(UsageError, match="detector"):
        Region(RegionOptions(only=("cat",)))


def test_region_with_an_unknown_class_raises_usage_error(three_objects, fixed_source):
    with pytest.raises(UsageError, match=r"did you mean cat\?"):
        Region(RegionOptions(only=("cta",)), fixed_source(three_objects))


@pytest.mark.parametrize(
    "mask", [np.zeros((3, 3)), np.full((30, 40), 2.0), np.zeros((30, 40), np.uint8)]
)
def test_invalid_mask_array_raises_usage_error(mask):
    with pytest.raises(UsageError) as raised:
        compute_mask(mask=mask)
    assert raised.value.where == "mask"


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (RegionOptions(), "region"),
        (RegionOptions(invert=True), "region"),
        (RegionOptions(feather=3), "region"),
        (RegionOptions(mask="no.png"), "mask"),
    ],
)
def test_open_region_without_a_region_raises_usage_error(options, where):
    with pytest.raises(UsageError) as raised:
        open_region(options)
    assert raised.value.where == where


def test_open_region_only_and_exclude_raises_usage_error():
    with pytest.raises(UsageError):
        open_region("cat", exclude="dog")


def test_open_region_applies_defaults_to_objects_only(tmp_path):
    Image.fromarray((PIXELS[..., 0] * 255).astype(np.uint8)).save(tmp_path / "m.png")
    defaults = {"only": ("person",), "min_score": 0.1, "grow": 9}
    region = open_region(RegionOptions(mask=tmp_path / "m.png"), defaults=defaults)
    assert region.object_source is None
    assert region.options == RegionOptions(mask=tmp_path / "m.png")


def test_open_region_reads_class_names_and_defaults(monkeypatch, three_objects, fixed_source):
    source = fixed_source(three_objects)
    monkeypatch.setattr(object_sources, "open_object_source", lambda *args, **kwargs: source)
    defaults = {"only": ("cat",), "grow": 9}
    assert open_region("dog").options == RegionOptions(only=("dog",))
    assert open_region(exclude=["dog", "cat"]).options == RegionOptions(exclude=("dog", "cat"))
    assert open_region(defaults=defaults).options == RegionOptions(only=("cat",), grow=9)
    numbered = open_region(RegionOptions(numbers=(1,), grow=0), defaults=defaults)
    assert numbered.options == RegionOptions(only=("cat",), numbers=(1,), grow=0)
    assert numbered.object_source is source


def test_blend_is_exact_where_the_mask_is_0_or_1():
    random = np.random.default_rng(0)
    before, after = (random.random((150, 20, 3)).astype(np.float32) for _ in range(2))
    mask = random.choice(np.float32([0, 0.25, 0.7, 1]), (150, 20))
    blended = blend(before, after, mask)
    np.testing.assert_array_equal(blended[mask == 0], before[mask == 0])
    np.testing.assert_array_equal(blended[mask == 1], after[mask == 1])
    weight = mask[..., None].astype(float)
    np.testing.assert_allclose(blended, before * (1 - weight) + after * weight, atol=1e-6)
