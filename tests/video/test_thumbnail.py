"""A network looks at a film once: equal pixels give equal results, in all of its frames."""

import numpy as np
import pytest
from PIL import Image

from burnish.editing.edit import load_edit
from burnish.editing.video_file import edit_video
from burnish.errors import UsageError
from burnish.runtime.area_resize import area_resize
from burnish.runtime.model import Model
from burnish.runtime.session_cache import _sessions
from burnish.video.decode import decode_frames, sample_frames
from burnish.video.formats import EncodingOptions
from burnish.video.probe import probe

GLOBAL = "photographic-style"


def watched(edit, told):
    """The same edit, that also tells what comes out of it."""
    from dataclasses import replace

    def film(given):
        run = edit.on_film(given)

        def watch(pixels, number, seconds):
            told.append(run(pixels, number, seconds))
            return told[-1]

        return watch

    return replace(edit, prepare_video=film)


@pytest.mark.parametrize("name", ["l0-smoothing", GLOBAL])
def test_a_film_that_stands_still_still_stands_still(clip, seen, tmp_path, name):
    film = clip("a.mkv", codec="ffv1", frames=6, still=True)
    told = []
    edit_video(watched(load_edit(name, {}), told), film, tmp_path / "b.mkv")
    assert len(told) == 6
    assert all((pixels == told[0]).all() for pixels in told)
    frames = seen(tmp_path / "b.mkv").frames
    assert all((a == b).all() for frame in frames for a, b in zip(frame, frames[0], strict=True))
    assert any((a != b).any() for a, b in zip(frames[0], seen(film).frames[0], strict=True))


def test_what_changes_in_one_place_changes_nothing_far_away(clip, tmp_path, slider_model, seen):
    model = Model.open(slider_model)
    film = clip("a.mkv", codec="ffv1", frames=8, size=(160, 64))
    shots = [pixels for _, pixels in decode_frames(probe(film))]
    # The right part moves, the left one stands still.
    edge, halo = 96, model.card.halo + model.card.size_multiple
    assert 0 < halo < edge - 16
    still = [np.concatenate([shots[0][:, :edge], shot[:, edge:]], axis=1) for shot in shots]
    run = load_edit(slider_model, {}).frame_edit(lambda: still)
    far = [run(pixels, n, n / 25)[:, : edge - halo] for n, pixels in enumerate(still)]
    assert all((part == far[0]).all() for part in far)
    # With a thumbnail for each frame, all of it would flicker.
    apart = [model(pixels)[:, : edge - halo] for pixels in still]
    assert any((part != apart[0]).any() for part in apart)


def test_the_one_thumbnail_is_the_mean_of_the_samples(clip, tmp_path):
    model = Model.open(GLOBAL)
    side = model.card.thumbnail_size
    film = probe(clip("a.mkv", codec="ffv1", frames=8))
    shots = list(sample_frames(film))
    mean = np.mean([area_resize(pixels, side).astype(float) for pixels in shots], axis=0)
    run = load_edit(GLOBAL, {}).frame_edit(lambda: sample_frames(film))
    pixels = shots[3]
    wanted = model(pixels, thumbnail=mean.astype(np.float32))
    assert (run(pixels, 3, 0.12) == wanted).all()
    assert (model(pixels) != wanted).any()


def test_a_picture_s_own_thumbnail_is_what_a_model_makes_itself(picture):
    model = Model.open(GLOBAL)
    pixels = picture(3).astype(np.float32) / 255
    given = model(pixels, thumbnail=area_resize(pixels, model.card.thumbnail_size))
    assert (given == model(pixels)).all()


def test_a_model_without_thumbnails_leaves_one_alone(picture):
    model = Model.open("l0-smoothing")
    pixels = picture(3).astype(np.float32) / 255
    assert (model(pixels, thumbnail=np.zeros((64, 64, 3), np.float32)) == model(pixels)).all()


@pytest.mark.parametrize(
    "thumbnail", [np.zeros((32, 64, 3), np.float32), np.zeros((64, 64, 3), np.float64)]
)
def test_what_is_no_thumbnail_is_refused(picture, thumbnail):
    pixels = picture(3).astype(np.float32) / 255
    with pytest.raises(UsageError, match="thumbnail: expected shape"):
        Model.open(GLOBAL)(pixels, thumbnail=thumbnail)


def test_one_session_serves_the_whole_film(clip, tmp_path):
    film = clip("a.mp4", frames=6)
    edit = load_edit(GLOBAL, {})
    before = set(_sessions)
    edit_video(edit, film, tmp_path / "b.mp4")
    assert len(set(_sessions) - before) <= 1


def test_samples_lie_all_over_the_film(clip):
    film = probe(clip("a.mp4", frames=100, options={"g": "30"}))
    frames = [pixels for _, pixels in decode_frames(film)]
    found = [
        next(n for n, pixels in enumerate(frames) if (pixels == sample).all())
        for sample in sample_frames(film)
    ]
    # 16 stretches of 4 s have their middles here.
    middles = [100 * (n + 0.5) / 16 for n in range(16)]
    assert len(found) == 16
    assert np.abs(np.subtract(found, middles)).max() <= 1


def test_a_short_film_has_fewer_samples(clip):
    film = probe(clip("a.mp4", frames=3))
    assert len(list(sample_frames(film))) == 3


def test_an_edit_that_follows_frames_is_made_once_and_given_them_in_order(
    clip, seen, unchanged, tmp_path
):
    film = clip("a.mkv", codec="ffv1", frames=7)
    made, calls = [], []

    def following(given):
        made.append(len(list(given())))
        state = {"before": None}

        def run(pixels, number, seconds):
            calls.append((number, seconds))
            shown = pixels if state["before"] is None else state["before"]
            state["before"] = pixels
            return shown

        return run

    edit_video(
        unchanged(film=following),
        film,
        tmp_path / "b.mkv",
        encoding_options=EncodingOptions("ffv1"),
    )
    assert made == [7]
    assert calls == [(n, pytest.approx(n / 25)) for n in range(7)]
    before, after = seen(film).frames, seen(tmp_path / "b.mkv").frames
    assert all((before[max(n - 1, 0)][0] == after[n][0]).all() for n in range(7))


def test_of_two_networks_the_second_sees_what_the_first_makes(clip, tmp_path, picture):
    import burnish
    from burnish.editing.history import read_photo_history
    from burnish.editing.replay import replay

    photo = tmp_path / "p.png"
    Image.fromarray(picture(1)).save(photo)
    once = burnish.apply(photo, "l0-smoothing")
    edit = replay(read_photo_history(burnish.apply(once, GLOBAL)))
    shots = [pixels for _, pixels in decode_frames(probe(clip("a.mkv", codec="ffv1", frames=3)))]
    run = edit.frame_edit(lambda: shots)
    first, second = Model.open("l0-smoothing"), Model.open(GLOBAL)
    side = second.card.thumbnail_size
    mean = np.mean([area_resize(first(pixels), side).astype(float) for pixels in shots], axis=0)
    for number, pixels in enumerate(shots):
        wanted = second(first(pixels), thumbnail=mean.astype(np.float32))
        assert (run(pixels, number, number / 25) == wanted).all()
