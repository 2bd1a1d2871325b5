"""Videos of other programs and after crashes: old sound codecs, AVI, and files that are cut off."""

import shutil
import subprocess
import warnings

import av
import numpy as np
import pytest

from burnish.editing.video_file import edit_video
from burnish.errors import BurnishError, OutputError, VideoError
from burnish.video.cut_off import is_cut_off

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def ffmpeg(*arguments) -> bytes:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wmv", "wmav2"),
        ("a.avi", "adpcm_ima_wav"),
        ("a.avi", "adpcm_ms"),
        ("a.mov", "pcm_mulaw"),
        ("a.avi", "pcm_alaw"),
    ],
)
def test_sound_that_matroska_holds_is_copied(tmp_path, function_edit, name, codec):
    """The target's name has the characters that FFmpeg's tee would read otherwise."""
    video, target = tmp_path / name, tmp_path / "it's [a] b|c:\\.mkv"
    sources = ["-f", "lavfi", "-i", "testsrc=s=64x48:d=0.3", "-f", "lavfi", "-i", "sine=d=0.3"]
    ffmpeg(*sources, "-c:v", "mpeg4", "-c:a", codec, video)
    with pytest.warns(UserWarning, match="encoded as h264"):
        edit_video(function_edit(), video, target)
    with av.open(str(target)) as output:
        assert [stream.codec_context.name for stream in output.streams] == ["h264", codec]
    decoded = [
        ffmpeg("-i", f"file:{path}", "-map", "0:a", "-f", "s16le", "-") for path in (video, target)
    ]
    assert decoded[0] == decoded[1]


@needs_ffmpeg
def test_sound_that_matroska_does_not_hold_names_a_remedy_that_works(tmp_path, function_edit):
    video, target = tmp_path / "a.mov", tmp_path / "b.mkv"
    sources = ["-f", "lavfi", "-i", "testsrc=s=64x48:d=0.3", "-f", "lavfi", "-i", "sine=d=0.3"]
    ffmpeg(*sources, "-c:v", "libx264", "-c:a", "adpcm_ima_qt", video)
    with pytest.raises(VideoError, match="does not support the video's sound") as caught:
        edit_video(function_edit(), video, target)
    command = caught.value.remedy.partition("ffmpeg ")[2]
    paths = {"IN": str(video), "OUT.mkv": str(tmp_path / "converted.mkv")}
    ffmpeg(*(paths.get(word, word) for word in command.split()))
    assert edit_video(function_edit(), tmp_path / "converted.mkv", target).finished


def test_avi_with_frames_that_depend_on_later_ones(make_video, function_edit, read_video, tmp_path):
    """AVI stores no presentation times, and FFmpeg guesses them in the wrong order."""
    options = {"bf": "2", "b_strategy": "0"}
    video = make_video("a.avi", frames=12, options=options)
    same = make_video("a.mkv", frames=12, options=options)
    edit_video(function_edit(), video, tmp_path / "b.mkv")
    result, expected = read_video(tmp_path / "b.mkv"), read_video(same)
    assert len(result.frames) == 12
    steps = np.diff([float(time) for time in result.times])
    np.testing.assert_allclose(steps, 1 / 25, atol=0.002)
    for frame, other in zip(result.frames, expected.frames, strict=True):
        assert abs(frame[0] - other[0]).mean() < 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_video_cut_anywhere_keeps_the_frames_before_the_cut(
    make_video, function_edit, read_video, tmp_path, name
):
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    video = make_video(
        name, frames=10, sound="mp2", container=container, options={"g": "5", "bf": "0"}
    )
    whole = read_video(video).frames
    data = video.read_bytes()
    counts = set()
    for size in range(1, len(data), len(data) // 12):
        cut, target = tmp_path / f"cut{video.suffix}", tmp_path / "b.mkv"
        cut.write_bytes(data[:size])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                edit_video(function_edit(), cut, target)
            except BurnishError:  # too little of it is left
                counts.add(0)
                continue
        frames = read_video(target).frames
        counts.add(len(frames))
        for frame, expected in zip(frames, whole, strict=False):
            assert abs(frame[0] - expected[0]).mean() < 3  # no frame has a grey part
        target.unlink()
        assert sorted(tmp_path.iterdir()) == sorted([video, cut])
    assert len(counts) > 3
    assert max(counts) >= 8


def test_packet_cut_in_its_middle_ends_the_video_with_a_warning(
    make_video, function_edit, read_video, tmp_path
):
    """Whatever the threads of the decoder do: all frames before the packet are kept."""
    options = {"bf": "0", "g": "4"}
    video = make_video("a.mp4", frames=12, options=options, container={"movflags": "faststart"})
    with av.open(str(video)) as source:
        packets = [(packet.pos, packet.size) for packet in source.demux(video=0) if packet.size]
    data = video.read_bytes()
    for number in (5, 8, 11):
        position, size = packets[number]
        video.write_bytes(data[: position + size // 2])
        with pytest.warns(UserWarning, match="its frames end after .* may be cut off"):
            outcome = edit_video(function_edit(), video, tmp_path / "b.mkv")
        assert outcome.frames == number
        assert len(read_video(tmp_path / "b.mkv").frames) == number
        (tmp_path / "b.mkv").unlink()


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi"])
def test_file_that_is_shorter_than_its_headers_is_recognised(make_video, tmp_path, name):
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    container = {"movflags": "faststart"} if name in ("a.mp4", "a.mov") else {}
    video = make_video(name, frames=3, codec=codec, container=container)
    assert not is_cut_off(video)
    video.write_bytes(video.read_bytes()[:-40])
    assert is_cut_off(video)


def test_transport_stream_that_ends_within_one_of_its_parts_is_recognised(make_video, tmp_path):
    video = make_video("a.ts", frames=3)
    data = video.read_bytes()
    m2ts = b"".join(bytes(4) + data[start : start + 188] for start in range(0, len(data), 188))
    for content in (data, m2ts):
        video.write_bytes(content)
        assert not is_cut_off(video)
        video.write_bytes(content[:-40])
        assert is_cut_off(video)


def test_sound_that_is_cut_off_ends_with_its_last_whole_packet(
    make_video, function_edit, read_video, tmp_path
):
    # FFmpeg puts sound of up to this time, in microseconds, into one packet of a transport stream.
    together = {"max_delay": "700000"}
    video = make_video("a.ts", frames=8, sound="aac", options={"bf": "0"}, container=together)
    data = video.read_bytes()
    assert edit_video(function_edit(), video, tmp_path / "whole.mkv").finished
    whole = read_video(tmp_path / "whole.mkv").packets[1]
    for parts in range(1, 6):
        video.write_bytes(data[: -188 * parts - 40])
        with pytest.warns(UserWarning, match="may be cut off"):
            edit_video(function_edit(), video, tmp_path / "b.mkv")
        sound = read_video(tmp_path / "b.mkv").packets[1]
        assert 4 < len(sound) < len(whole)
        assert sound == whole[: len(sound)]
        (tmp_path / "b.mkv").unlink()


def test_failed_video_names_the_folder_of_its_finished_frames(
    make_video, function_edit, tmp_path, monkeypatch
):
    monkeypatch.setattr("burnish.video.encode.SEGMENT_SECONDS", 0.1)
    frames = []

    def fail_later(pixels):
        frames.append(pixels)
        if len(frames) > 9:
            raise OutputError("edit", "fails", "fix it")
        return pixels

    with pytest.raises(OutputError) as caught:
        edit_video(function_edit(fail_later), make_video("a.mp4", frames=12), tmp_path / "b.mp4")
    (folder,) = tmp_path.glob(".burnish-*.video")
    assert f"finished frames are kept in {folder}" in str(caught.value)
    shutil.rmtree(folder)
    frames.extend([0] * 10)
    with pytest.raises(OutputError, match=r"fix it$"):
        edit_video(function_edit(fail_later), tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_video_stopped_before_a_finished_segment_leaves_nothing(
    make_video, function_edit, tmp_path
):
    outcome = edit_video(
        function_edit(), make_video("a.mp4"), tmp_path / "b.mp4", should_stop=lambda: True
    )
    assert (outcome.finished, outcome.frames) == (False, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
