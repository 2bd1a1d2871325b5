"""Varied pictures: each change against its definition, and that a seed gives the same picture."""

import numpy as np
import pytest

from burnish.files import digest
from burnish.operators import luminance
from burnish.photo import Photo
from burnish.training import augment
from burnish.training.augment import CHANGES, random_crop, varied_photo, write_varied

GAMMA = 2.2


@pytest.fixture
def photo(make_image):
    return make_image(3, height=120, width=160) / np.float32(255)


@pytest.fixture(params=range(8))
def random(request):
    return np.random.default_rng(request.param)


def test_varied_photo_is_deterministic_and_in_range(photo):
    pictures = [varied_photo(photo, seed, side=48) for seed in range(40)]
    for seed, picture in enumerate(pictures):
        assert picture.dtype == np.float32
        assert min(picture.shape[:2]) == 48
        assert 0 <= picture.min() <= picture.max() <= 1
        np.testing.assert_array_equal(varied_photo(photo, seed, side=48), picture)
    assert len({picture.tobytes() for picture in pictures}) == 40


def test_photo_is_not_changed(photo):
    before = photo.copy()
    for seed in range(20):
        varied_photo(photo, seed, side=48)
    np.testing.assert_array_equal(photo, before)


def test_each_change_is_made_with_its_probability(photo, monkeypatch):
    def marking(index):
        def mark(picture, random):
            picture = picture.copy()
            picture[0, index] = 1
            return picture

        return mark

    marks = [(probability, marking(index)) for index, (probability, _) in enumerate(CHANGES)]
    monkeypatch.setattr(augment, "CHANGES", marks)
    pictures = [varied_photo(np.zeros((20, 30, 3), np.float32), s, side=16) for s in range(600)]
    made = np.mean([picture[0, : len(marks), 0] for picture in pictures], axis=0)
    np.testing.assert_allclose(made, [probability for probability, _ in CHANGES], atol=0.07)


def test_crop_covers_a_quarter_of_the_sides_to_all_of_them():
    # Values are positions, so that a crop's corners tell where it was.
    height, width = 400, 600
    y, x = np.mgrid[:height, :width].astype(np.float32)
    positions = np.stack([(y + 0.5) / height, (x + 0.5) / width, 0 * x], axis=2)
    spans, shapes = [], []
    for seed in range(200):
        crop = random_crop(positions, np.random.default_rng(seed), side=50)
        rows, columns, _ = crop.shape
        spans.append(
            np.ptp(crop[..., :2], axis=(0, 1)) * (rows / (rows - 1), columns / (columns - 1))
        )
        shapes.append((rows, columns))
        # Pixels are nearly square.
        ratio = spans[-1][0] * height / rows / (spans[-1][1] * width / columns)
        assert ratio == pytest.approx(1, abs=0.02)
    least, largest = np.min(spans, axis=0), np.max(spans, axis=0)
    assert (least >= 0.245).all()
    assert (least < 0.3).all()
    np.testing.assert_allclose(largest, 1, atol=1e-3)
    assert {min(shape) for shape in shapes} == {50}


def test_crop_of_a_small_photo_is_enlarged_at_most_twofold(photo, random):
    crop = random_crop(photo[:40, :50], random, side=64)
    assert min(crop.shape[:2]) == 64
    whole = random_crop(photo[:30, :30], random, side=64)  # the photo itself is smaller than half
    assert whole.shape == (64, 64, 3)


def test_haze_mixes_the_picture_with_one_colour(photo, random):
    hazy = augment.haze(photo, random)
    # The haze is the same for another scene, whose difference is dimmed by the transmission.
    state = np.random.default_rng(random.bit_generator.seed_seq.entropy)
    black = augment.haze(np.zeros_like(photo), state)
    state = np.random.default_rng(random.bit_generator.seed_seq.entropy)
    t = augment.haze(np.ones_like(photo), state) - black
    np.testing.assert_allclose(hazy, t * photo + black, atol=1e-5)
    np.testing.assert_allclose(t, t[..., :1].repeat(3, axis=2), atol=1e-5)
    assert t.max() == pytest.approx(1, abs=1e-5)
    assert 0.1 <= t.min() <= 0.8
    airlight = (black / np.maximum(1 - t, 1e-6))[t < 0.999].reshape(-1, 3)
    np.testing.assert_allclose(airlight, airlight[:1].repeat(len(airlight), axis=0), atol=1e-3)
    assert 0.4 < airlight.min() <= airlight.max() <= 1


def test_exposure_multiplies_the_light(photo, random):
    gains = augment.exposure(photo, random)[photo > 0] ** GAMMA / photo[photo > 0] ** GAMMA
    np.testing.assert_allclose(gains, gains[0], rtol=1e-4)
    assert 0.25 <= gains[0] <= 3


def test_white_balance_multiplies_the_light_of_red_and_blue(photo, random):
    safe = np.maximum(photo, 0.01)
    gains = augment.white_balance(safe, random) ** GAMMA / safe**GAMMA
    np.testing.assert_allclose(gains, gains[:1, :1].repeat(120, 0).repeat(160, 1), rtol=1e-4)
    red, green, blue = gains[0, 0]
    assert green == pytest.approx(1)
    assert 0.7 <= red <= 1.4
    assert 0.7 <= blue <= 1.4


def test_tone_curve_increases(random):
    ramp = np.linspace(0, 1, 256)[None, :, None].repeat(3, axis=2)
    curve = augment.tone_curve(ramp, random)[0]
    assert (np.diff(curve, axis=0) >= 0).all()
    assert -0.05 <= curve[0, 0] <= 0.1
    assert 0.85 <= curve[-1, 0] <= 1.05
    np.testing.assert_array_equal(curve[:, 0], curve[:, 2])


def test_saturation_keeps_luminance_and_hue(photo, random):
    changed = augment.saturation(photo, random)
    np.testing.assert_allclose(luminance(changed), luminance(photo), atol=1e-5)
    before, after = (image - luminance(image)[..., None] for image in (photo, changed))
    factor = (after * before).sum() / (before * before).sum()
    np.testing.assert_allclose(after, factor * before, atol=1e-5)
    assert 0 <= factor <= 2


def test_noise_is_independent_of_the_picture(photo, random):
    difference = augment.noise(photo, random) - photo
    assert 0.9 / 255 < difference.std() < 13 / 255
    assert abs(difference.mean()) < 0.1 * difference.std()
    assert abs(np.corrcoef(difference.ravel(), photo.ravel())[0, 1]) < 0.05


def test_jpeg_is_close_to_the_picture(photo, random):
    difference = augment.jpeg(photo, random) - photo
    assert 0 < np.sqrt((difference**2).mean()) < 0.05


def test_write_varied_writes_each_picture_once(photo_folder, tmp_path):
    photos = sorted(photo_folder.glob("*.png"))
    copy = tmp_path / "copy.png"
    copy.write_bytes(photos[0].read_bytes())
    paths = write_varied([*photos, copy], 9, tmp_path / "varied", processes=1)
    assert len(set(paths)) == 9
    by_photo = [path.stem.rpartition("-")[0] for path in paths]
    assert sorted(map(by_photo.count, set(by_photo))) == [1, 1, 1, 2, 2, 2]
    times = [path.stat().st_mtime_ns for path in paths]
    assert write_varied(photos, 9, tmp_path / "varied", processes=1) == paths
    assert [path.stat().st_mtime_ns for path in paths] == times


def test_written_picture_is_that_of_the_photo_s_content_and_number(photo_folder, tmp_path):
    (photo,) = photo_folder.glob("4.png")
    paths = write_varied([photo], 3, tmp_path, processes=1)
    for index, path in enumerate(paths):
        seed = int(f"{digest(photo)[:16]}{index:03d}", 16)
        picture = varied_photo(Photo.open(photo).pixels, seed)
        np.testing.assert_allclose(Photo.open(path).pixels, picture, atol=1 / 65535)


def test_write_varied_of_no_photos_or_no_pictures_writes_nothing(photo_folder, tmp_path):
    assert write_varied([], 5, tmp_path, processes=1) == []
    assert write_varied(sorted(photo_folder.glob("*.png")), 0, tmp_path, processes=1) == []


def test_write_varied_leaves_out_a_photo_that_cannot_be_decoded(photo_folder, tmp_path):
    broken = photo_folder / "0.png"
    broken.write_bytes(broken.read_bytes()[:300])
    photos = [broken, photo_folder / "1.png"]
    with pytest.warns(UserWarning, match=r"left out: .*0\.png"):
        paths = write_varied(photos, 4, tmp_path, processes=1)
    assert len(paths) == 2
