"""A video that would lose data is rejected with a one-line error, and nothing is written."""

import av
import numpy as np
import pytest

from burnish.editing.options import WriteOptions
from burnish.editing.video_file import edit_video
from burnish.errors import BurnishError, OutputError, UsageError, VideoError
from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions


@pytest.fixture
def edit_error(function_edit, tmp_path):
    """Edits a video, and returns the error."""

    def edit_error(source, target, encoding=SAME_AS_SOURCE, function=lambda pixels: pixels):
        target = tmp_path / target
        with pytest.raises(BurnishError) as caught:
            edit_video(function_edit(function), source, target, WriteOptions(encoding=encoding))
        assert "\n" not in str(caught.value)
        assert not target.exists()
        return caught.value

    return edit_error


@pytest.mark.parametrize(("transfer", "word"), [(16, "HDR (PQ)"), (18, "HDR (HLG)")])
def test_edit_video_of_high_dynamic_range_raises(make_video, edit_error, transfer, word):
    video = make_video(
        "a.mkv", codec="ffv1", format="yuv420p10le", colours=(9, transfer, 9, 1), frames=2
    )
    error = edit_error(video, "b.mkv")
    assert word in error.problem
    assert "standard dynamic range" in error.remedy


@pytest.mark.parametrize(
    ("name", "codec", "format"),
    [
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.mov", "qtrle", "argb"),
        ("a.mkv", "libvpx-vp9", "yuva420p"),
    ],
)
def test_edit_video_with_transparency_raises(make_video, edit_error, name, codec, format):
    error = edit_error(make_video(name, codec=codec, format=format, frames=2), "b.mkv")
    assert "transparency" in error.problem


def test_edit_video_with_interlaced_frames_raises(make_video, edit_error):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    error = edit_error(make_video("a.mp4", options=options), "b.mp4")
    assert "interlaced" in error.problem
    assert "bwdif" in error.remedy


def test_edit_video_with_two_video_streams_raises(make_video, edit_error):
    assert "2 video streams" in edit_error(make_video("a.mkv", videos=2), "b.mkv").problem


def test_edit_video_without_video_stream_raises(edit_error, tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48000, 0
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    assert "no video stream" in edit_error(tmp_path / "a.mp4", "b.mp4").problem


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 5000])
def test_edit_video_of_another_file_raises(edit_error, tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    assert "cannot be read" in edit_error(tmp_path / "a.mp4", "b.mp4").problem


def test_edit_video_of_missing_file_raises(edit_error, tmp_path):
    assert "no such file" in edit_error(tmp_path / "a.mp4", "b.mp4").problem


def test_edit_video_of_truncated_file_raises(make_video, edit_error):
    video = make_video("a.mp4")
    video.write_bytes(video.read_bytes()[:-400])
    assert isinstance(edit_error(video, "b.mp4"), VideoError)


@pytest.mark.parametrize(
    ("target", "encoding", "stream", "word"),
    [
        ("b.webm", EncodingOptions("av1"), {"sound": "aac"}, "sound (aac)"),
        ("b.webm", EncodingOptions("av1"), {"sound": "pcm_s24be"}, "sound (pcm_s24be)"),
        ("b.mp4", SAME_AS_SOURCE, {"subtitles": "subrip"}, "subtitles"),
    ],
)
def test_edit_video_to_container_without_its_streams_raises(
    make_video, edit_error, target, encoding, stream, word
):
    error = edit_error(make_video("a.mkv", **stream), target, encoding)
    assert word in error.problem
    assert ".mkv" in error.remedy


@pytest.mark.parametrize(
    ("format", "codec", "encoding", "remedy"),
    [
        ("yuv422p10le", "libx265", EncodingOptions("av1"), "h264 or hevc"),
        ("yuv420p10le", "libx264", EncodingOptions("vp9"), "h264 or hevc or av1"),
        ("yuv444p", "libx264", EncodingOptions("av1"), "h264 or hevc or vp9"),
    ],
)
def test_edit_video_to_codec_without_its_format_suggests_others(
    make_video, edit_error, format, codec, encoding, remedy
):
    error = edit_error(make_video("a.mp4", codec=codec, format=format), "b.mp4", encoding)
    assert format in error.problem
    assert error.remedy == f"choose --codec {remedy}"


def test_edit_video_of_unsupported_format_raises(make_video, edit_error):
    assert (
        "yuv411p"
        in edit_error(make_video("a.mkv", codec="ffv1", format="yuv411p"), "b.mkv").problem
    )


@pytest.mark.parametrize(
    ("encoding", "where"),
    [
        (EncodingOptions("mpeg2"), "--codec mpeg2"),
        (EncodingOptions("prores"), "--codec prores"),
        (EncodingOptions(None, 52), "--crf 52"),
        (EncodingOptions("av1", 64), "--crf 64"),
        (EncodingOptions("h264", -1), "--crf -1"),
    ],
)
def test_edit_video_with_impossible_encoding_names_the_option(
    make_video, edit_error, encoding, where
):
    error = edit_error(make_video("a.mp4"), "b.mp4", encoding)
    assert isinstance(error, UsageError)
    assert error.where == where


def test_edit_video_with_quality_for_lossless_codec_raises(make_video, edit_error):
    error = edit_error(make_video("a.mkv", codec="ffv1"), "b.mkv", EncodingOptions(None, 3))
    assert error.where == "--crf 3"


def test_edit_video_to_unwritten_container_suggests_another(
    make_video, edit_error, function_edit, tmp_path
):
    video = make_video("a.avi", codec="mpeg4")
    assert "--format mkv" in edit_error(video, "a.same.avi").remedy
    with pytest.warns(UserWarning, match="encoded as h264"):
        assert edit_video(function_edit(), video, tmp_path / "a.same.mkv").finished


def test_edit_video_whose_frames_change_size_raises(make_video, edit_error, tmp_path):
    first = make_video("a.m2ts")
    second = make_video("b.m2ts", size=(64, 64), pts=list(range(8, 16)))
    (tmp_path / "c.m2ts").write_bytes(first.read_bytes() + second.read_bytes())
    assert "64 x 48 yuv420p to 64 x 64" in edit_error(tmp_path / "c.m2ts", "d.mp4").problem


def test_edit_video_replaces_an_output_only_with_overwrite(make_video, function_edit, tmp_path):
    video, target = make_video("a.mp4"), tmp_path / "b.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError):
        edit_video(function_edit(), video, target)
    assert target.read_bytes() == b"precious"
    edit_video(function_edit(), video, target, WriteOptions(overwrite=True))
    assert target.stat().st_size > 1000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_edit_video_with_failing_edit_raises_its_error(make_video, edit_error):
    def fail(pixels):
        raise OutputError("edit", "fails", "fix it")

    assert edit_error(make_video("a.mp4"), "b.mp4", function=fail).where == "edit"


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx-vp9", {}),
    ],
)
def test_edit_video_that_ends_early_warns_and_keeps_its_frames(
    make_video, function_edit, read_video, tmp_path, name, codec, container
):
    video = make_video(name, frames=100, codec=codec, container=container)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    target = (tmp_path / "b").with_suffix(video.suffix)
    with pytest.warns(UserWarning, match=r"declared 4\.0 s"):
        outcome = edit_video(function_edit(), video, target)
    assert 5 < outcome.frames < 90
    assert len(read_video(target).frames) == outcome.frames
