"""Regions of images and videos: objects, masks and boxes combined, opened, tracked, blended."""

import numpy as np
import pytest
from PIL import Image

from burnish.detection.instances import Instances
from burnish.errors import UsageError
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region, VideoRegion, blend, open_region

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
    union = compute_mask(source, feather=0, min_score=0.5)
    np.testing.assert_array_equal(union, np.maximum(three_objects.mask(0), three_objects.mask(1)))


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
    monkeypatch.setattr("burnish.regions.region.open_object_source", lambda *args, **kwargs: source)
    defaults = {"only": ("cat",), "grow": 9}
    assert open_region("dog").options == RegionOptions(only=("dog",))
    assert open_region(exclude=["dog", "cat"]).options == RegionOptions(exclude=("dog", "cat"))
    assert open_region(defaults=defaults).options == RegionOptions(only=("cat",), grow=9)
    numbered = open_region(RegionOptions(numbers=(1,), grow=0), defaults=defaults)
    assert numbered.options == RegionOptions(numbers=(1,), grow=0)
    assert numbered.object_source is source


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"exclude": ("cat",)}, "--exclude"),
        ({"exclude": ("dog",), "mask": "m.png"}, "--exclude"),
        ({"invert": True}, "--invert"),
    ],
)
def test_open_region_never_inverts_the_default_objects(options, where):
    """`anonymise --exclude person` would show people, and cover everything else."""
    with pytest.raises(UsageError, match=r"everything except (cat|dog) would") as raised:
        open_region(RegionOptions(**options), defaults={"only": ("cat",)})
    assert raised.value.where == where


def test_open_region_inverts_objects_that_are_named(monkeypatch, three_objects, fixed_source):
    source = fixed_source(three_objects)
    monkeypatch.setattr("burnish.regions.region.open_object_source", lambda *args, **kwargs: source)
    options = RegionOptions(only=("dog",), invert=True)
    assert open_region(options, defaults={"only": ("cat",)}).options == options


def test_blend_is_exact_where_the_mask_is_0_or_1():
    random = np.random.default_rng(0)
    before, after = (random.random((150, 20, 3)).astype(np.float32) for _ in range(2))
    mask = random.choice(np.float32([0, 0.25, 0.7, 1]), (150, 20))
    blended = blend(before, after, mask)
    np.testing.assert_array_equal(blended[mask == 0], before[mask == 0])
    np.testing.assert_array_equal(blended[mask == 1], after[mask == 1])
    weight = mask[..., None].astype(float)
    np.testing.assert_allclose(blended, before * (1 - weight) + after * weight, atol=1e-6)


FRAME = np.zeros((60, 100, 3), np.float32)


class ScriptedSource:
    """Returns objects given for each frame: squares of 20 px as (class, left, score)."""

    name, sha256, classes = "script", None, ("cat", "dog")

    def __init__(self, frames):
        self.frames = iter(frames)

    def find(self, pixels, source=None):
        objects = next(self.frames)
        boxes = np.array([[left, 10, left + 20, 30] for _, left, *_ in objects], np.float32)
        scores = np.array([score[0] if score else 0.9 for _, _, *score in objects], np.float32)
        labels = tuple(label for label, *_ in objects)
        masks = (np.ones((4, 4), np.float32),) * len(objects)
        return Instances((100, 60), boxes.reshape(-1, 4), labels, scores, masks)


def compute_masks(frames, **options):
    region = VideoRegion(Region(RegionOptions(feather=0, **options), ScriptedSource(frames)))
    return [region.compute_mask(FRAME, index) for index in range(len(frames))]


def left_edge(mask):
    return int(np.flatnonzero(mask.any(axis=0))[0])


def test_mask_of_a_missed_object_is_kept_for_a_few_frames():
    masks = compute_masks([[("cat", 5)], [], [("cat", 5)], [], []])
    assert all(mask.any() for mask in masks)


def test_tracked_object_is_kept_at_half_the_score_that_starts_a_track():
    masks = compute_masks([[("cat", 5, score)] for score in (0.2, 0.4, 0.2, 0.2, 0.2, 0.2)])
    assert [bool(mask.any()) for mask in masks] == [False] + [True] * 5


def test_only_selects_classes():
    masks = compute_masks([[("cat", 5), ("dog", 60)]] * 2, only=("dog",))
    assert left_edge(masks[1]) == 60


def test_click_selects_an_object_of_the_first_frame_and_follows_it():
    frames = [[("cat", 5 + 5 * t), ("cat", 70)] for t in range(6)]
    masks = compute_masks(frames, clicks=((10, 15),))
    assert left_edge(masks[0]) == 5
    assert 25 < left_edge(masks[-1]) <= 30


def test_click_without_the_first_frame_raises_usage_error():
    options = RegionOptions(clicks=((10, 15),))
    region = VideoRegion(Region(options, ScriptedSource([[("cat", 5)]])))
    with pytest.raises(UsageError, match="240"):
        region.compute_mask(FRAME, 240)


def test_mask_is_used_for_every_frame():
    mask = np.zeros((60, 100), bool)
    mask[5:9] = True
    region = VideoRegion(Region(mask=mask))
    for index in range(2):
        np.testing.assert_array_equal(region.compute_mask(FRAME, index), mask)
