"""Synthetic images, whose index determines their content, and the images beside the photos."""

import numpy as np

from burnish.operators.registry import OPERATORS
from burnish.photo import Photo
from burnish.training.config import TrainConfig
from burnish.training.data import SIDE, prepare_data, synthetic_image, write_synthetic


def test_synthetic_image_is_deterministic_and_in_range():
    for index in range(24):
        image = synthetic_image(index)
        assert (image.shape, image.dtype) == ((SIDE, SIDE, 3), np.float32)
        assert 0 <= image.min() <= image.max() <= 1
        np.testing.assert_array_equal(synthetic_image(index), image)


def test_every_fourth_image_is_flat_and_some_are_black_or_white():
    images = [synthetic_image(index) for index in range(0, 48, 4)]
    assert all(np.ptp(image.reshape(-1, 3), axis=0).max() == 0 for image in images)
    colours = {tuple(image[0, 0].tolist()) for image in images}
    assert {(0, 0, 0), (1, 1, 1)} <= colours
    assert len(colours) == 12


def test_gradients_have_equal_differences_everywhere():
    for index in range(1, 24, 4):
        image = synthetic_image(index).astype(np.float64)
        for axis in (0, 1):
            steps = np.diff(image, axis=axis)
            np.testing.assert_allclose(
                steps, np.broadcast_to(steps[:1, :1], steps.shape), atol=1e-6
            )


def test_shapes_are_flat_with_few_edges():
    for index in range(2, 24, 4):
        steps = np.abs(np.diff(synthetic_image(index), axis=1)).max(axis=2)
        assert 0 < (steps > 0).mean() < 0.1


def test_write_synthetic_writes_each_image_once(tmp_path):
    paths = write_synthetic(6, tmp_path)
    for index, path in enumerate(paths):
        np.testing.assert_allclose(Photo.open(path).pixels, synthetic_image(index), atol=1 / 65535)
    times = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in write_synthetic(6, tmp_path)] == times


def test_extra_pairs_are_synthetic_images_and_varied_pictures_of_training_photos(
    photo_folder, cache
):
    config = TrainConfig(
        "bilateral",
        "fast",
        params=OPERATORS["bilateral"].resolve_params({}),
        steps=1,
        short_sides=(),
        synthetic_fraction=0.5,
        varied_fraction=1.5,
    )
    data = prepare_data(config, photo_folder, None)
    names = {pair.name for pair in data.extra}
    count = len({pair.digest for pair in data.train})
    assert len({name for name in names if name.startswith("synthetic-")}) == int(0.5 * count)
    varied = {name for name in names if name.startswith("varied-")}
    assert len(varied) == int(1.5 * count)
    train_digests = {pair.digest[:16] for pair in data.train}
    assert {name.split("-")[2] for name in varied} <= train_digests
