"""Networks with a thumbnail use one thumbnail per video, so that equal frames stay equal."""

import numpy as np
import pytest
from PIL import Image

import burnish
from burnish.editing.edit import Edit, load_edit
from burnish.editing.history import read_history
from burnish.editing.options import WriteOptions
from burnish.editing.replay import replay
from burnish.editing.video_file import edit_video
from burnish.errors import UsageError
from burnish.runtime.model import Model
from burnish.runtime.resize import area_resize
from burnish.runtime.session import _sessions
from burnish.video.decode import decode_frames, sample_frames
from burnish.video.formats import EncodingOptions
from burnish.video.probe import probe

# An operator whose start network uses a thumbnail.
THUMBNAIL_OPERATOR = "pencil-drawing"


@pytest.fixture
def lossless_frames(make_video):
    """The decoded frames of a lossless video."""

    def lossless_frames(**spec):
        video = probe(make_video("a.mkv", codec="ffv1", **spec))
        return [pixels for _, pixels in decode_frames(video)]

    return lossless_frames


@pytest.mark.parametrize("name", ["l0-smoothing", THUMBNAIL_OPERATOR])
def test_edit_video_of_equal_frames_gives_equal_frames(read_video, lossless_frames, tmp_path, name):
    frames = lossless_frames(frames=4, still=True)
    edit_frame = load_edit(name, {}).frame_edit(lambda: frames)
    edited = [edit_frame(frame, index, index / 25) for index, frame in enumerate(frames)]
    assert all((pixels == edited[0]).all() for pixels in edited)

    video = tmp_path / "a.mkv"
    edit_video(load_edit(name, {}), video, tmp_path / "b.mkv")
    frames = read_video(tmp_path / "b.mkv").frames
    assert len(frames) == 4
    assert all((a == b).all() for frame in frames for a, b in zip(frame, frames[0], strict=True))
    source = read_video(video).frames[0]
    assert any((a != b).any() for a, b in zip(frames[0], source, strict=True))


def test_frame_edit_of_local_change_changes_nothing_beyond_the_halo(lossless_frames, slider_model):
    model = Model.open(slider_model)
    frames = lossless_frames(size=(160, 64), frames=4)
    # Only the right part moves.
    edge, halo = 96, model.card.halo + model.card.size_multiple
    assert 0 < halo < edge - 16
    frames = [np.concatenate([frames[0][:, :edge], frame[:, edge:]], axis=1) for frame in frames]
    edit_frame = load_edit(slider_model, {}).frame_edit(lambda: frames)
    left = [edit_frame(pixels, n, n / 25)[:, : edge - halo] for n, pixels in enumerate(frames)]
    assert all((part == left[0]).all() for part in left)
    # With a thumbnail per frame, the left part would flicker.
    left = [model(pixels)[:, : edge - halo] for pixels in frames]
    assert any((part != left[0]).any() for part in left)


def mean_thumbnail(frames, side):
    return np.mean(
        [area_resize(frame, (side, side)).astype(float) for frame in frames], axis=0
    ).astype(np.float32)


def test_frame_edit_uses_the_mean_thumbnail_of_the_samples(make_video):
    model = Model.open(THUMBNAIL_OPERATOR)
    video = probe(make_video("a.mkv", codec="ffv1"))
    frames = list(sample_frames(video))
    edit = load_edit(THUMBNAIL_OPERATOR, {}, guide="network")
    edit_frame = edit.frame_edit(lambda: sample_frames(video))
    thumbnail = mean_thumbnail(frames, model.thumbnail_size)
    expected = model(frames[3], thumbnail=thumbnail)
    assert (edit_frame(frames[3], 3, 0.12) == expected).all()
    assert (model(frames[3]) != expected).any()


def test_model_with_the_image_s_own_thumbnail_gives_the_default(make_image):
    model = Model.open(THUMBNAIL_OPERATOR)
    pixels = make_image(3).astype(np.float32) / 255
    thumbnail = area_resize(pixels, (model.thumbnail_size, model.thumbnail_size))
    assert (model(pixels, thumbnail=thumbnail) == model(pixels)).all()


def test_model_without_thumbnail_ignores_one(make_image):
    model = Model.open("l0-smoothing")
    pixels = make_image(3).astype(np.float32) / 255
    assert (model(pixels, thumbnail=np.zeros((64, 64, 3), np.float32)) == model(pixels)).all()


@pytest.mark.parametrize(
    "thumbnail", [np.zeros((32, 64, 3), np.float32), np.zeros((64, 64, 3), np.float64)]
)
def test_model_with_wrong_thumbnail_raises(make_image, thumbnail):
    pixels = make_image(3).astype(np.float32) / 255
    with pytest.raises(UsageError, match=r"^thumbnail: "):
        Model.open(THUMBNAIL_OPERATOR)(pixels, thumbnail=thumbnail)


@pytest.mark.parametrize(("pix_fmt", "bits"), [("yuv420p", 8), ("yuv420p10le", 10)])
def test_edit_follows_the_depth_of_the_video(make_video, tmp_path, function_edit, pix_fmt, bits):
    calls, edit = [], function_edit()
    edit.for_output = lambda bits, *, video=False: calls.append((bits, video)) or edit
    video = make_video("a.mkv", frames=2, codec="ffv1", format=pix_fmt)
    edit_video(edit, video, tmp_path / "b.mkv")
    assert calls == [(bits, True)]


def test_edit_video_uses_one_session(make_video, tmp_path):
    edit = load_edit(THUMBNAIL_OPERATOR, {})
    before = set(_sessions)
    edit_video(edit, make_video("a.mp4", frames=6), tmp_path / "b.mp4")
    assert len(set(_sessions) - before) <= 1


def test_sample_frames_are_spread_evenly(make_video):
    video = probe(make_video("a.mp4", frames=100, options={"g": "30"}))
    frames = [pixels for _, pixels in decode_frames(video)]
    indices = [
        next(n for n, pixels in enumerate(frames) if (pixels == sample).all())
        for sample in sample_frames(video)
    ]
    # The middles of 16 equal parts.
    expected = [100 * (n + 0.5) / 16 for n in range(16)]
    assert len(indices) == 16
    assert np.abs(np.subtract(indices, expected)).max() <= 1


def test_sample_frames_of_short_video_are_all_frames(make_video):
    assert len(list(sample_frames(probe(make_video("a.mp4", frames=3))))) == 3


def test_edit_video_calls_a_frame_edit_once_per_frame_in_order(make_video, read_video, tmp_path):
    sample_counts, calls = [], []

    class DelayByOne(Edit):
        """Replaces each frame by the one before it."""

        def frame_edit(self, samples):
            sample_counts.append(len(list(samples())))
            previous = None

            def edit_frame(pixels, index, seconds):
                nonlocal previous
                calls.append((index, seconds))
                output = pixels if previous is None else previous
                previous = pixels
                return output

            return edit_frame

    video = make_video("a.mkv", codec="ffv1", frames=7)
    write = WriteOptions(encoding=EncodingOptions("ffv1"))
    edit_video(DelayByOne("delay"), video, tmp_path / "b.mkv", write)
    assert sample_counts == [7]
    assert calls == [(n, pytest.approx(n / 25)) for n in range(7)]
    before, after = read_video(video).frames, read_video(tmp_path / "b.mkv").frames
    assert all((before[max(n - 1, 0)][0] == after[n][0]).all() for n in range(7))


def test_replayed_frame_edit_gives_later_networks_edited_samples(
    lossless_frames, tmp_path, make_image
):
    photo = tmp_path / "p.png"
    Image.fromarray(make_image(1)).save(photo)
    once = burnish.apply(photo, "l0-smoothing", guide="network")
    edit = replay(read_history(burnish.apply(once, THUMBNAIL_OPERATOR, guide="network")))
    frames = lossless_frames(frames=3)
    edit_frame = edit.frame_edit(lambda: frames)
    first, second = Model.open("l0-smoothing"), Model.open(THUMBNAIL_OPERATOR)
    thumbnail = mean_thumbnail([first(frame) for frame in frames], second.thumbnail_size)
    for index, frame in enumerate(frames):
        expected = second(first(frame), thumbnail=thumbnail)
        assert (edit_frame(frame, index, index / 25) == expected).all()
