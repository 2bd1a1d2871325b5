"""What would be lost is refused, in one line that says what to do."""

import av
import numpy as np
import pytest

from burnish.editing.video_file import edit_video
from burnish.errors import BurnishError, OutputError, UsageError, VideoError
from burnish.video.formats import EncodingOptions


def refusal(edit, film, target, **how):
    with pytest.raises(BurnishError) as caught:
        edit_video(edit, film, target, **how)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return caught.value


@pytest.mark.parametrize(("transfer", "words"), [(16, "HDR (PQ)"), (18, "HDR (HLG)")])
def test_high_dynamic_range(clip, unchanged, tmp_path, transfer, words):
    film = clip(
        "a.mkv",
        codec="libx265",
        format="yuv420p10le",
        colours=(9, transfer, 9, 1),
        options={"x265-params": "log-level=none"},
    )
    error = refusal(unchanged(), film, tmp_path / "b.mkv")
    assert words in str(error)
    assert "convert it to standard range" in error.remedy


@pytest.mark.parametrize(
    ("codec", "format"), [("ffv1", "yuva420p"), ("qtrle", "argb"), ("libvpx-vp9", "yuva420p")]
)
def test_transparency(clip, unchanged, tmp_path, codec, format):
    name = "a.mov" if codec == "qtrle" else "a.mkv"
    error = refusal(unchanged(), clip(name, codec=codec, format=format), tmp_path / "b.mkv")
    assert error.expected == "a film without transparency"


def test_fields(clip, unchanged, tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    error = refusal(unchanged(), clip("a.mp4", options=options), tmp_path / "b.mp4")
    assert error.got == "two fields (interlaced)"
    assert "bwdif" in error.remedy


def test_several_streams_of_pictures(clip, unchanged, tmp_path):
    error = refusal(unchanged(), clip("a.mkv", videos=2), tmp_path / "b.mkv")
    assert error.got == "2 streams of them"


def test_sound_without_pictures(clip, unchanged, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as film:
        sound = film.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48000, 0
        film.mux(sound.encode(frame))
        film.mux(sound.encode(None))
    assert refusal(unchanged(), tmp_path / "a.mp4", tmp_path / "b.mp4").got == "none"


@pytest.mark.parametrize("content", [b"", b"no film", b"\0" * 5000])
def test_no_film_at_all(unchanged, tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    error = refusal(unchanged(), tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert error.expected == "a film that can be read"


def test_no_file(unchanged, tmp_path):
    assert "no such file" in str(refusal(unchanged(), tmp_path / "a.mp4", tmp_path / "b.mp4"))


def test_a_film_cut_off(clip, unchanged, tmp_path):
    film = clip("a.mp4")
    film.write_bytes(film.read_bytes()[:-400])
    assert isinstance(refusal(unchanged(), film, tmp_path / "b.mp4"), VideoError)


@pytest.mark.parametrize(
    ("name", "codec", "sound", "target", "words"),
    [
        ("a.mp4", "libx264", "aac", "b.webm", "sound (aac)"),
        ("a.mkv", "libx264", "pcm_s24be", "b.webm", "sound (pcm_s24be)"),
    ],
)
def test_sound_that_the_container_does_not_hold(
    clip, unchanged, tmp_path, name, codec, sound, target, words
):
    film = clip(name, codec=codec, sound=sound)
    error = refusal(unchanged(), film, tmp_path / target, coding=EncodingOptions("av1"))
    assert words in error.expected
    assert ".mkv" in error.remedy


def test_subtitles_that_the_container_does_not_hold(clip, unchanged, tmp_path):
    error = refusal(unchanged(), clip("a.mkv", subtitles="subrip"), tmp_path / "b.mp4")
    assert "subtitles" in error.expected


@pytest.mark.parametrize(
    ("format", "codec", "coding", "remedy"),
    [
        ("yuv422p10le", "libx265", EncodingOptions("av1"), "h264 or hevc"),
        ("yuv420p10le", "libx264", EncodingOptions("vp9"), "h264 or hevc or av1"),
        ("yuv444p", "libx264", EncodingOptions("av1"), "h264 or hevc or vp9"),
    ],
)
def test_depth_and_chroma_that_the_codec_does_not_hold(
    clip, unchanged, tmp_path, format, codec, coding, remedy
):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    film = clip("a.mp4", codec=codec, format=format, options=options)
    error = refusal(unchanged(), film, tmp_path / "b.mp4", coding=coding)
    assert f"holds {format}" in error.expected
    assert error.remedy == f"choose --codec {remedy}"


def test_a_layout_that_burnish_takes_not(clip, unchanged, tmp_path):
    error = refusal(unchanged(), clip("a.mkv", codec="ffv1", format="yuv411p"), tmp_path / "b.mkv")
    assert error.got == "yuv411p"


@pytest.mark.parametrize(
    ("coding", "got"),
    [
        (EncodingOptions("mpeg2"), "'mpeg2'"),
        (EncodingOptions("prores"), "prores"),
        (EncodingOptions(None, 52), "52"),
        (EncodingOptions("av1", 64), "64"),
        (EncodingOptions("h264", -1), "-1"),
    ],
)
def test_codecs_and_numbers_that_there_are_not(clip, unchanged, tmp_path, coding, got):
    error = refusal(unchanged(), clip("a.mp4"), tmp_path / "b.mp4", coding=coding)
    assert isinstance(error, UsageError)
    assert error.got == got


def test_a_lossless_codec_has_no_number(clip, unchanged, tmp_path):
    film = clip("a.mkv", codec="ffv1")
    assert (
        refusal(unchanged(), film, tmp_path / "b.mkv", coding=EncodingOptions(None, 3)).got == "3"
    )


def test_a_container_that_is_only_read(clip, unchanged, tmp_path):
    film = clip("a.avi", codec="mpeg4")
    error = refusal(unchanged(), film, tmp_path / "a.same.avi")
    assert "--format mkv" in error.remedy
    with pytest.warns(UserWarning, match="encoded as h264"):
        assert edit_video(unchanged(), film, tmp_path / "a.same.mkv").finished


def test_a_size_that_changes(clip, unchanged, tmp_path):
    one = clip("a.m2ts", frames=10)
    other = clip("b.m2ts", frames=10, size=(64, 64), stamps=list(range(10, 20)))
    (tmp_path / "c.m2ts").write_bytes(one.read_bytes() + other.read_bytes())
    error = refusal(unchanged(), tmp_path / "c.m2ts", tmp_path / "d.mp4")
    assert error.expected == "frames of 96 x 64 yuv420p throughout"


def test_the_output_stays(clip, unchanged, tmp_path):
    film = clip("a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"precious")
    with pytest.raises(OutputError):
        edit_video(unchanged(), film, tmp_path / "b.mp4")
    assert (tmp_path / "b.mp4").read_bytes() == b"precious"
    edit_video(unchanged(), film, tmp_path / "b.mp4", overwrite=True)
    assert (tmp_path / "b.mp4").stat().st_size > 1000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_an_edit_that_fails_leaves_the_output_alone(clip, unchanged, tmp_path):
    def fail(pixels, progress=None):
        raise OutputError("edit", expected="sense", got="none", remedy="mend it")

    assert refusal(unchanged(fail), clip("a.mp4"), tmp_path / "b.mp4").got == "none"


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("a.mp4", {"movflags": "faststart"}),
        ("a.mkv", {}),
        ("a.webm", {}),
    ],
)
def test_a_film_that_ends_before_it_says_is_said_to(
    clip, unchanged, tmp_path, seen, name, container
):
    codec = {"codec": "libvpx-vp9"} if name.endswith("webm") else {}
    film = clip(name, frames=100, container=container, **codec)
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    target = (tmp_path / "b").with_suffix(film.suffix)
    with pytest.warns(UserWarning, match=r"of the 4.0 s that it says it has; it may be cut off"):
        done = edit_video(unchanged(), film, target)
    assert 10 < done.frames < 90
    assert len(seen(target).frames) == done.frames
