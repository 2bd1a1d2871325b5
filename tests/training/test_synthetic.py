"""Drawn pictures: what they are for is in them, and they are the same for everybody."""

import numpy as np
import pytest

from burnish.photo import Photo
from burnish.training.synthetic import SIDE, synthetic_image, write_synthetic


@pytest.mark.parametrize("index", range(24))
def test_a_picture_is_one_and_always_the_same(index):
    picture = synthetic_image(index)
    assert (picture.shape, picture.dtype) == ((SIDE, SIDE, 3), np.float32)
    assert 0 <= picture.min() <= picture.max() <= 1
    np.testing.assert_array_equal(synthetic_image(index), picture)


def test_every_fourth_is_flat_black_and_white_among_them():
    colours = [synthetic_image(index) for index in range(0, 48, 4)]
    assert all(np.ptp(picture.reshape(-1, 3), axis=0).max() == 0 for picture in colours)
    assert {(0, 0, 0), (1, 1, 1)} <= {tuple(picture[0, 0].tolist()) for picture in colours}
    assert len({tuple(picture[0, 0].tolist()) for picture in colours}) == 12


def test_slopes_are_even():
    for index in range(1, 24, 4):
        picture = synthetic_image(index).astype(np.float64)
        for axis in (0, 1):
            steps = np.diff(picture, axis=axis)
            np.testing.assert_allclose(
                steps, np.broadcast_to(steps[:1, :1], steps.shape), atol=1e-6
            )


def test_shapes_are_flat_with_edges_between_them():
    for index in range(2, 24, 4):
        steps = np.abs(np.diff(synthetic_image(index), axis=1)).max(axis=2)
        assert 0 < (steps > 0).mean() < 0.1


def test_files_hold_the_pictures_and_are_drawn_once(tmp_path):
    paths = write_synthetic(6, tmp_path)
    for index, path in enumerate(paths):
        np.testing.assert_allclose(Photo.open(path).pixels, synthetic_image(index), atol=1 / 65535)
    before = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in write_synthetic(6, tmp_path)] == before
