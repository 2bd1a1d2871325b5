from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, grid_sample

from burnish.errors import UsageError
from burnish.params import Param
from burnish.runtime.resize import area_resize
from burnish.training.pairs import Pair
from burnish.training.sampler import CropSampler

LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")


@pytest.fixture
def noise_pairs(write_pair):
    """Two pairs of noise and its negative."""
    images = [
        np.random.default_rng(index).random((height, width, 3))
        for index, (height, width) in enumerate([(24, 32), (48, 40)])
    ]
    return [write_pair(f"{index}.png", image, 1 - image) for index, image in enumerate(images)]


@pytest.fixture
def corner_pairs(write_pair):
    """Pairs of one colour each with a bright corner; their sliders determine the colour."""
    pairs = []
    for index, (height, width) in enumerate([(24, 32), (48, 40), (32, 32)]):
        image = np.full((height, width, 3), 0.1 * (index + 1))
        image[: height // 4, : width // 4] = 0.9
        values = {"lambda": 0.01 * (index + 1), "kappa": index + 2}
        pairs.append(write_pair(f"{index}.png", image, 1 - image, values))
    return pairs


def test_batch_has_crops_in_range(noise_pairs):
    batch = CropSampler(noise_pairs, batch=4, crop=16, seed=0).batch_at(0)
    assert batch.before.shape == batch.after.shape == (4, 3, 16, 16)
    assert batch.before.min() >= 0
    assert batch.before.max() <= 1
    assert (batch.context, batch.small_crops) == ((), ())


def test_before_and_after_are_rotated_alike(noise_pairs):
    sampler = CropSampler(noise_pairs, batch=4, crop=16, seed=0)
    for step in range(8):
        batch = sampler.batch_at(step)
        sums = batch.before + batch.after
        torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-4)


def test_every_crop_is_a_rotated_or_mirrored_part_of_a_photo(noise_pairs):
    before = CropSampler(noise_pairs, batch=2, crop=16, seed=1).batch_at(3).before
    photos = [pair.read()[0] for pair in noise_pairs]
    for crop in before.permute(0, 2, 3, 1).numpy():
        assert any(contains(photo, view) for photo in photos for view in orientations(crop))


def orientations(crop):
    for quarter_turns in range(4):
        rotated = np.rot90(crop, quarter_turns)
        yield from (rotated, rotated[:, ::-1])


def contains(photo, crop):
    height, width = crop.shape[:2]
    return any(
        np.array_equal(photo[top : top + height, left : left + width], crop)
        for top in range(photo.shape[0] - height + 1)
        for left in range(photo.shape[1] - width + 1)
    )


def test_batch_depends_on_its_step_only(noise_pairs):
    first, second = (CropSampler(noise_pairs, batch=2, crop=16, seed=5) for _ in range(2))
    first.batch_at(0)
    first.batch_at(1)
    torch.testing.assert_close(first.batch_at(7).before, second.batch_at(7).before, rtol=0, atol=0)


def test_batches_of_other_steps_ranks_and_seeds_differ(noise_pairs):
    batches = [
        CropSampler(noise_pairs, batch=2, crop=16, seed=seed, rank=rank).batch_at(step).before
        for seed, rank, step in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    ]
    for index, batch in enumerate(batches):
        assert all(not torch.equal(batch, other) for other in batches[:index])


def test_photos_smaller_than_a_crop_are_left_out(noise_pairs):
    sampler = CropSampler(noise_pairs, batch=4, crop=32, seed=0)
    assert [pair.digest for pair in sampler.groups[False][0].pairs] == ["1.png"]
    assert sampler.batch_at(0).before.shape == (4, 3, 32, 32)
    with pytest.raises(UsageError, match="64 pixels") as caught:
        CropSampler(noise_pairs, batch=1, crop=64, seed=0)
    assert caught.value.where == "--crop"


def test_pairs_are_drawn_in_proportion_to_the_root_of_their_pixels(noise_pairs):
    (group,) = CropSampler(noise_pairs, batch=1, crop=8, seed=0).groups[False]
    draws = [pair.digest for pair in group.draw(20_000, np.random.default_rng(0))]
    ratio = draws.count("1.png") / draws.count("0.png")
    assert ratio == pytest.approx(((48 * 40) / (24 * 32)) ** 0.5, rel=0.05)


@pytest.fixture
def lambda_pairs(noise_pairs):
    """The same photos, each at the default of lambda and at another value."""
    return [
        Pair(pair.digest, pair.path, {"lambda": value, "kappa": 2.0})
        for index, pair in enumerate(noise_pairs)
        for value in (0.02, 0.1 + index / 100)
    ]


def test_batch_is_at_the_default_or_else_at_one_other_value(lambda_pairs):
    sampler = CropSampler(lambda_pairs, batch=4, crop=16, seed=0, sliders=(LAMBDA,))
    for off_default, expected in ((False, {0.02}), (True, {0.1, 0.11})):
        batches = [sampler.batch_at(step, off_default=off_default) for step in range(12)]
        assert {(len(b.before), b.context[0].shape) for b in batches} == {(4, (1, 1, 1, 1))}
        assert {round(float(batch.context[0]), 6) for batch in batches} == expected


def test_all_crops_of_a_batch_are_from_pairs_of_its_slider_values(corner_pairs):
    kappa = Param("kappa", "", default=1, low=1, high=9)
    sampler = CropSampler(corner_pairs, batch=6, crop=16, seed=0, sliders=(kappa, LAMBDA))
    colours = set()
    for step in range(16):
        batch = sampler.batch_at(step, off_default=True)
        (values,) = batch.context
        assert (values.shape, values.dtype) == ((1, 2, 1, 1), torch.float32)
        kappa_value, lambda_value = values.flatten().tolist()
        (colour,) = {round(crop.min().item() * 10) for crop in batch.before}
        assert (kappa_value, lambda_value) == (colour + 1, pytest.approx(0.01 * colour))
        colours.add(colour)
    assert colours == {1, 2, 3}


def test_thumbnail_is_rotated_as_its_crop(corner_pairs):
    """Each crop is as large as its photo, so that the thumbnail is the resized crop."""
    sampler = CropSampler(corner_pairs[2:], batch=8, crop=32, seed=0, coords_block=8)
    corners = set()
    for step in range(4):
        batch = sampler.batch_at(step)
        thumbnails, _ = batch.context
        assert thumbnails.shape == (8, 3, 64, 64)
        for crop, thumbnail in zip(batch.before, thumbnails, strict=True):
            expected = area_resize(crop.permute(1, 2, 0).numpy(), (64, 64))
            np.testing.assert_allclose(thumbnail.permute(1, 2, 0).numpy(), expected, atol=1e-6)
            corners.add(thumbnail[0, [0, 0, -1, -1], [0, -1, 0, -1]].argmax().item())
    assert corners == {0, 1, 2, 3}


def test_coords_address_the_crops_blocks_in_the_thumbnail(write_pair):
    """The photo is a gradient: the thumbnail at a block's coordinates has the block's colour."""
    x, y = np.meshgrid(np.linspace(0, 0.9, 96), np.linspace(0, 0.9, 64))
    gradient = np.stack([x, y, x + y / 2], axis=2).clip(0, 1)
    pair = write_pair("gradient", gradient, gradient)
    sampler = CropSampler([pair], batch=8, crop=16, seed=1, coords_block=8)
    for step in range(8):
        batch = sampler.batch_at(step)
        thumbnails, coords = batch.context
        assert coords.shape == (8, 2, 2, 2)
        sampled = grid_sample(thumbnails, coords, align_corners=False)
        np.testing.assert_allclose(sampled[:, :2], avg_pool2d(batch.before, 8)[:, :2], atol=0.01)


def test_thumbnail_of_a_pair_is_the_resized_photo(corner_pairs):
    before, _ = corner_pairs[1].read()
    np.testing.assert_allclose(corner_pairs[1].thumbnail, area_resize(before, (64, 64)), atol=1e-6)


def test_coords_block_changes_no_crop(corner_pairs):
    without = CropSampler(corner_pairs, batch=4, crop=16, seed=3).batch_at(5)
    batch = CropSampler(corner_pairs, batch=4, crop=16, seed=3, coords_block=8).batch_at(5)
    assert torch.equal(batch.before, without.before)
    assert torch.equal(batch.after, without.after)
    assert [tensor.shape for tensor in batch.context] == [(4, 3, 64, 64), (4, 2, 2, 2)]


def test_symmetries_change_the_colours_of_crops_only(noise_pairs):
    """Colours come in every order, half of them inverted; after remains the negative of before."""
    plain = CropSampler(noise_pairs, batch=4, crop=16, seed=0)
    changed = CropSampler(
        noise_pairs, batch=4, crop=16, seed=0, symmetries=("channel permutation", "inversion")
    )
    changes = set()
    for step in range(40):
        first, second = plain.batch_at(step), changed.batch_at(step)
        for before, crop in zip(first.before.numpy(), second.before.numpy(), strict=True):
            (change,) = colour_changes(before, crop)
            changes.add(change)
        torch.testing.assert_close(second.after, 1 - second.before, rtol=0, atol=1e-4)
    assert changes == {(p, i) for p in permutations(range(3)) for i in (False, True)}


def colour_changes(before, after):
    """Yield the permutations and inversions of the colours that map one image to the other."""
    for order in permutations(range(3)):
        for inverted in (False, True):
            expected = before[list(order)]
            if np.allclose(1 - expected if inverted else expected, after, atol=1e-6):
                yield order, inverted
