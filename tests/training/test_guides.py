"""Guides of crops against the enlargement of the whole smaller copy by torch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from burnish.params import Param
from burnish.training.guides import Enlargement, read_guide, read_small_crop, start_file
from burnish.training.pairs import FULL_SCALE, Pair
from burnish.training.sampler import CropSampler
from burnish.training.transform import Transform
from burnish.types import Rectangle

SIZES = [(90, 120), (70, 100), (26, 37)]
CROP = 32
CORNERS = [(0, 0), (0, 88), (58, 0), (58, 88), (29, 41)]
IDENTITY = Transform()


@pytest.fixture
def pair(tmp_path):
    """A pair with two smaller copies, all of noise, and slider values."""
    return write_levels(tmp_path, "pair", SIZES)


def write_levels(folder, name, sizes, seed=0):
    random = np.random.default_rng(seed)
    for level, size in enumerate(sizes):
        codes = random.integers(0, FULL_SCALE + 1, (2, *size, 3), np.uint16)
        np.save(folder / f"{name}{'-small' * level}.npy", codes)
    return Pair(name, folder / f"{name}.npy", {"sigma": 4.0})


@pytest.fixture
def start_outputs(pair, tmp_path):
    """A folder of start outputs for both smaller copies, of other noise."""
    folder = tmp_path / "start"
    folder.mkdir()
    random = np.random.default_rng(9)
    for small in (pair.smaller, pair.smaller.smaller):
        codes = random.integers(0, FULL_SCALE + 1, (*small.size, 3), np.uint16)
        np.save(start_file(folder, small), codes)
    return folder


def enlarge_whole(pixels, size):
    """Enlarge an image with torch, in double precision."""
    tensor = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
    enlarged = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False)
    return enlarged[0].permute(1, 2, 0).numpy()


def read_start(folder, small):
    return np.load(start_file(folder, small)).astype(np.float32) / FULL_SCALE


def region_at(top, left, side=CROP):
    return Rectangle(top, top + side, left, left + side)


@pytest.mark.parametrize("corner", CORNERS)
def test_guide_is_the_crop_of_the_enlarged_operators_output(pair, corner):
    region = region_at(*corner)
    expected = enlarge_whole(pair.smaller.read()[1], pair.size)[region.slices]
    np.testing.assert_allclose(read_guide(pair, region), expected, atol=1e-6)


@pytest.mark.parametrize("corner", CORNERS)
def test_guide_is_the_crop_of_the_enlarged_start_networks_output(pair, start_outputs, corner):
    region = region_at(*corner)
    expected = enlarge_whole(read_start(start_outputs, pair.smaller), pair.size)[region.slices]
    np.testing.assert_allclose(read_guide(pair, region, start_outputs), expected, atol=1e-6)


def test_guide_of_a_tiny_photo_is_the_operators_output_for_it(tmp_path):
    tiny = write_levels(tmp_path, "tiny", [(20, 24)])
    region = region_at(2, 3, 16)
    np.testing.assert_array_equal(read_guide(tiny, region), tiny.read()[1][region.slices])


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("transform", [IDENTITY, Transform((1, 2, 0), True, 3, True)])
def test_small_crop_with_the_operators_output_gives_the_operators_guide(pair, corner, transform):
    """Bit for bit, at the borders of the photo, too."""
    region, small = region_at(*corner), pair.smaller
    crop = read_small_crop(pair, region, index=0, transform=transform)
    assert crop.window.size == (CROP, CROP)
    before, after = small.read(*crop.window.slices)
    np.testing.assert_array_equal(crop.before, before)
    expected = transform.of_image(read_guide(pair, region))
    np.testing.assert_array_equal(crop.to_guide(after), expected)


def test_output_is_clipped_before_it_becomes_a_guide(pair):
    crop = read_small_crop(pair, region_at(0, 0), index=0, transform=IDENTITY)
    output = np.random.default_rng(0).uniform(-1, 2, (CROP, CROP, 3)).astype(np.float32)
    np.testing.assert_array_equal(crop.to_guide(output), crop.to_guide(output.clip(0, 1)))


@pytest.mark.parametrize("from_start", [False, True])
def test_guide_of_a_small_crop_comes_from_the_smallest_copy(pair, start_outputs, from_start):
    folder = start_outputs if from_start else None
    crop = read_small_crop(
        pair, region_at(29, 41), index=0, transform=IDENTITY, start_outputs=folder
    )
    smallest = pair.smaller.smaller
    output = read_start(start_outputs, smallest) if from_start else smallest.read()[1]
    expected = enlarge_whole(output, pair.smaller.size)[crop.window.slices]
    np.testing.assert_allclose(crop.guide, expected, atol=1e-6)


@pytest.mark.parametrize(
    "sizes", [[(90, 120)], [(90, 120), (70, 100)], [(90, 120), (31, 41), (24, 32)]]
)
def test_photo_with_too_small_copies_has_no_small_crop(tmp_path, sizes):
    other = write_levels(tmp_path, "other", sizes)
    assert read_small_crop(other, region_at(0, 0), index=0, transform=IDENTITY) is None


@pytest.mark.parametrize("ratio", [1.15, 1.7, 4.5])
@pytest.mark.parametrize("side", [16, 64])
def test_window_contains_the_source_of_the_region(ratio, side):
    """The source is found by brute force, as the pixels whose change changes the region."""
    length = 150
    small_length = max(side, round(length / ratio))
    for start in (0, 1, 40, length - side - 1, length - side):
        region = Rectangle(0, 1, start, start + side)
        enlargement = Enlargement(region, (1, length), (1, small_length))
        identity = np.eye(small_length, dtype=np.float32)[None]
        influence = F.interpolate(
            torch.from_numpy(identity), size=length, mode="linear", align_corners=False
        )
        sources = np.flatnonzero(influence[0, :, start : start + side].numpy().any(axis=1))
        source = enlargement.source
        assert (source.left, source.right - 1) == (sources[0], sources[-1])
        window = Enlargement(
            Rectangle(start, start + side, start, start + side),
            (length, length),
            (small_length, small_length),
        ).window(side)
        assert 0 <= window.left <= sources[0]
        assert sources[-1] < window.right <= small_length
        assert window.size == (side, side)
        assert (window.top, window.bottom) == (window.left, window.right)


@pytest.fixture
def negative_pair(tmp_path):
    """A gradient; its result is its negative, and so are the results of its smaller copies."""
    for level, (height, width) in enumerate([(64, 96), (40, 60), (20, 30)]):
        y, x = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
        before = np.stack([x, y, x * y], axis=2)
        codes = np.rint(FULL_SCALE * np.stack([before, 1 - before])).astype(np.uint16)
        np.save(tmp_path / f"negative{'-small' * level}.npy", codes)
    return Pair("negative", tmp_path / "negative.npy", {"sigma": 4.0})


def test_guides_in_a_batch_are_transformed_as_before_and_after(negative_pair):
    """A gradient keeps its values when it is made smaller, except at its ends."""
    sampler = CropSampler(
        [negative_pair],
        batch=8,
        crop=16,
        seed=0,
        guided=True,
        symmetries=("channel permutation", "inversion"),
    )
    for step in range(8):
        batch = sampler.batch_at(step)
        (guides,) = batch.context
        for crop in batch.small_crops:
            output = np.ascontiguousarray(1 - crop.before)
            guides[crop.index] = torch.from_numpy(crop.to_guide(output).copy()).permute(2, 0, 1)
        np.testing.assert_allclose(guides, batch.after, atol=0.03)
        np.testing.assert_allclose(batch.after, 1 - batch.before, atol=1e-4)


def test_guides_come_from_the_operator_the_start_network_and_the_network_itself(pair, tmp_path):
    """The operator's output is 0.5 here, and the start network's 1."""
    folder = tmp_path / "constant"
    folder.mkdir()
    for level in (pair.smaller, pair.smaller.smaller):
        np.save(level.path, np.full((2, *level.size, 3), FULL_SCALE // 2, np.uint16))
        np.save(start_file(folder, level), np.full((*level.size, 3), FULL_SCALE, np.uint16))
    sigma = Param("sigma", "", default=4, low=1, high=8, unit="px")

    def count(start_outputs):
        sampler = CropSampler(
            [pair],
            batch=200,
            crop=CROP,
            seed=0,
            sliders=(sigma,),
            guided=True,
            start_outputs=start_outputs,
        )
        batch = sampler.batch_at(0)
        values = [round(guide.max().item(), 1) for guide in batch.context[0]]
        small_values = [round(float(crop.guide.max()), 1) for crop in batch.small_crops]
        assert batch.context[1].shape == (1, 1, 1, 1)
        return [values.count(v) for v in (0.5, 1, 0)], [small_values.count(v) for v in (0.5, 1)]

    counts, small_counts = count(folder)
    assert sum(counts) == 200
    assert sum(small_counts) == counts[2]
    assert all(45 < n < 90 for n in counts)
    assert all(18 < n < 48 for n in small_counts)
    counts, small_counts = count(None)
    assert counts[1] == small_counts[1] == 0
