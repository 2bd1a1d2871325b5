import numpy as np
import pytest
import torch

from burnish.errors import UsageError
from burnish.params import Param
from burnish.training.pairs import Pair
from burnish.training.sampler import CropSampler, Prefetcher


@pytest.fixture
def stored(tmp_path):
    """Two pairs whose 'after' is one minus 'before', and whose values tell where they come from."""
    pairs = []
    for index, (height, width) in enumerate([(24, 32), (48, 40)]):
        before = np.random.default_rng(index).integers(0, 65536, (height, width, 3), np.uint16)
        path = tmp_path / f"{index}.npy"
        np.save(path, np.stack([before, 65535 - before]))
        pairs.append(Pair(f"{index}.png", path))
    return pairs


def test_shapes_and_range(stored):
    (batch,) = CropSampler(stored, batch=4, crop=16, seed=0).batch_at(0)
    before, after = batch.before, batch.after
    assert before.shape == after.shape == (4, 3, 16, 16)
    assert before.min() >= 0
    assert before.max() <= 1
    assert (batch.context, batch.weight) == ((), 1.0)


def test_before_and_after_are_turned_alike(stored):
    batches = CropSampler(stored, batch=4, crop=16, seed=0)
    for step in range(8):
        (batch,) = batches.batch_at(step)
        torch.testing.assert_close(batch.before + batch.after, torch.ones_like(batch.before))


def test_every_crop_is_a_flip_or_turn_of_a_part_of_a_photo(stored):
    before = CropSampler(stored, batch=2, crop=16, seed=1).batch_at(3)[0].before
    photos = [pair.read()[0] for pair in stored]
    for crop in before.permute(0, 2, 3, 1).numpy():
        assert any(occurs(turned, photo) for photo in photos for turned in turns(crop))


def turns(crop):
    for k in range(4):
        turned = np.rot90(crop, k)
        yield from (turned, turned[:, ::-1])


def occurs(crop, photo):
    for top in range(photo.shape[0] - crop.shape[0] + 1):
        for left in range(photo.shape[1] - crop.shape[1] + 1):
            part = photo[top : top + crop.shape[0], left : left + crop.shape[1]]
            if np.array_equal(part, crop):
                return True
    return False


def test_a_batch_follows_from_its_step_alone(stored):
    one, two = (CropSampler(stored, batch=2, crop=16, seed=5) for _ in range(2))
    one.batch_at(0)
    one.batch_at(1)
    torch.testing.assert_close(one.batch_at(7)[0].before, two.batch_at(7)[0].before, rtol=0, atol=0)


def test_steps_ranks_and_seeds_differ(stored):
    drawn = [
        CropSampler(stored, batch=2, crop=16, seed=seed, rank=rank).batch_at(step)[0].before
        for seed, rank, step in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    ]
    for index, batch in enumerate(drawn):
        assert all(not torch.equal(batch, other) for other in drawn[:index])


def test_photos_smaller_than_a_crop_are_left_out(stored):
    batches = CropSampler(stored, batch=4, crop=32, seed=0)
    assert [pair.digest for pair in batches.pairs] == ["1.png"]
    assert batches.batch_at(0)[0].before.shape == (4, 3, 32, 32)
    with pytest.raises(
        UsageError, match="photos of 64 pixels or more to each side, got 40 at most"
    ):
        CropSampler(stored, batch=1, crop=64, seed=0)


def test_chances_grow_with_the_root_of_the_pixels(stored):
    chances = CropSampler(stored, batch=1, crop=8, seed=0).sampling_weights[False]
    assert chances[1] / chances[0] == pytest.approx(((48 * 40) / (24 * 32)) ** 0.5)


LAMBDA = Param("lambda", "flattens more", default=0.02, low=0.002, high=0.2, scale="log")


@pytest.fixture
def at_values(stored):
    """The same photos, each at the value that holds unsaid and at another."""
    return [
        Pair(pair.digest, pair.path, {"lambda": value, "kappa": 2.0})
        for index, pair in enumerate(stored)
        for value in (0.02, 0.1 + index / 100)
    ]


def test_crops_come_at_the_value_that_holds_unsaid_or_at_drawn_ones(at_values):
    batches = CropSampler(at_values, batch=16, crop=16, seed=0, sliders=(LAMBDA,))
    (plain,) = batches.batch_at(0)
    assert plain.context[0].shape == (1, 1, 1, 1)
    assert float(plain.context[0]) == pytest.approx(0.02)
    assert (len(plain.before), plain.weight) == (16, 1)
    drawn = batches.batch_at(0, off_default=True)
    assert sorted(float(batch.context[0]) for batch in drawn) == pytest.approx([0.1, 0.11])
    assert all(batch.weight == len(batch.before) / 16 for batch in drawn)
    assert sum(batch.weight for batch in drawn) == 1


def test_values_belong_to_the_crops_photo(at_values):
    photos = {0.1: at_values[0].read()[0], 0.11: at_values[2].read()[0]}
    batches = CropSampler(at_values, batch=8, crop=16, seed=2, sliders=(LAMBDA,)).batch_at(
        0, off_default=True
    )
    assert len(batches) == 2
    for batch in batches:
        photo = photos[round(float(batch.context[0]), 6)]
        for crop in batch.before.permute(0, 2, 3, 1).numpy():
            assert any(occurs(turned, photo) for turned in turns(crop))


def test_drawing_ahead_gives_what_drawing_in_time_gives(at_values):
    batches = CropSampler(at_values, batch=4, crop=16, seed=0, sliders=(LAMBDA,))
    with Prefetcher(batches) as ahead:
        for step, away in [(5, False), (6, False), (7, True), (8, True), (3, True)]:
            taken, expected = (
                ahead.get(step, off_default=away),
                batches.batch_at(step, off_default=away),
            )
            for one, other in zip(taken, expected, strict=True):
                assert torch.equal(one.before, other.before)
                assert torch.equal(one.after, other.after)
                assert torch.equal(one.context[0], other.context[0])
