"""A run that is stopped or killed resumes, and gives the same video as a run without a stop."""

import os
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest

from burnish.editing.edit import Edit
from burnish.editing.options import WriteOptions
from burnish.editing.video_file import edit_video
from burnish.errors import OutputError
from burnish.video import encode
from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions
from burnish.video.segment_store import store_folder

# At 25 frames per second, a segment has 5 frames.
SEGMENT_SECONDS = 0.19
SEGMENT_FRAMES = 5


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr(encode, "SEGMENT_SECONDS", SEGMENT_SECONDS)


@pytest.fixture
def edit_until(recording_progress):
    """Edits a video and stops after a number of frames; returns the outcome and the progress."""

    def edit_until(edit, source, target, frames, encoding=SAME_AS_SOURCE):
        progress = recording_progress()
        outcome = edit_video(
            edit,
            source,
            target,
            WriteOptions(encoding=encoding),
            progress=progress,
            should_stop=lambda: progress.done[-1] >= frames,
        )
        return outcome, progress

    return edit_until


def decoded_frames(path):
    with av.open(str(path)) as source:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in source.decode(video=0)]


def packet_properties(path):
    """The times of all packets, and the data of sound packets."""
    with av.open(str(path)) as source:
        return [
            (p.stream.index, p.pts, p.dts, p.duration, bytes(p) * (p.stream.type == "audio"))
            for p in source.demux()
            if p.size
        ]


def frame_psnr(first, second):
    images = (np.frombuffer(data, np.uint8).astype(float) for data in (first, second))
    return 10 * np.log10(255**2 / max(np.mean(np.subtract(*images) ** 2), 1e-9))


def assert_same_frames(path, other):
    """Check that two videos have the same frames, up to differences between two encoder runs.

    libx265, and libx264 on processors with AVX-512, do not give the same bits in each run. Their
    frames agree to about 50 dB; neighbouring frames do not.
    """
    first, second = decoded_frames(path), decoded_frames(other)
    assert [pts for pts, _ in first] == [pts for pts, _ in second]
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert frame_psnr(a, b) > 45


def test_neighbouring_frames_differ_by_more_than_the_tolerance(make_video, function_edit, tmp_path):
    edit_video(function_edit(), make_video("a.mp4", frames=20), tmp_path / "b.mp4")
    frames = [data for _, data in decoded_frames(tmp_path / "b.mp4")]
    assert max(map(frame_psnr, frames, frames[1:])) < 45


@pytest.mark.usefixtures("short_segments")
def test_edit_video_after_stop_resumes_and_gives_the_same_video(
    make_video, function_edit, edit_until, tmp_path
):
    video = make_video("a.mp4", frames=20, sound="aac")
    whole, target = tmp_path / "b.mp4", tmp_path / "c.mp4"
    edit_video(function_edit(), video, whole)
    outcome, progress = edit_until(function_edit(), video, target, 12)
    assert not outcome.finished
    assert progress.tasks == [("a.mp4", 20)]
    assert progress.done[-1] == 12
    # Only finished segments are kept.
    assert outcome.frames == 10
    assert outcome.seconds == pytest.approx(10 / 25)
    assert not target.exists()
    assert store_folder(target).is_dir()

    outcome, progress = edit_until(function_edit(), video, target, 100)
    assert outcome.finished
    assert outcome.frames == 20
    assert progress.done[:3] == [0, 10, 11]
    assert packet_properties(target) == packet_properties(whole)
    assert_same_frames(target, whole)
    assert not store_folder(target).exists()


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"])
def test_edit_video_joins_segments_of_every_codec(
    make_video, function_edit, edit_until, tmp_path, codec
):
    format = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    video = make_video("a.mkv", codec=codec, format=format, frames=12)
    whole, target = tmp_path / "b.mkv", tmp_path / "c.mkv"
    edit_video(function_edit(), video, whole)
    before, after = decoded_frames(video), decoded_frames(whole)
    assert [pts for pts, _ in after] == [pts for pts, _ in before]
    assert not edit_until(function_edit(), video, target, 7)[0].finished
    assert edit_video(function_edit(), video, target).finished
    if codec == "libx265":
        assert_same_frames(target, whole)
    else:
        assert decoded_frames(target) == after


@pytest.mark.usefixtures("short_segments")
def test_edit_video_joins_segments_of_variable_rate(
    make_video, function_edit, tmp_path, read_video
):
    random = np.random.default_rng(0)
    pts = np.cumsum(random.choice([1, 2, 15, 90, 400], 30)).tolist()
    video = make_video("a.mp4", frames=30, pts=pts, options={"bf": "3"})
    edit_video(function_edit(), video, tmp_path / "b.mp4")
    assert read_video(tmp_path / "b.mp4").times == read_video(video).times
    dts = [packet[2] for packet in packet_properties(tmp_path / "b.mp4")]
    assert dts == sorted(set(dts))


@pytest.mark.usefixtures("short_segments")
def test_edit_video_restarts_if_edit_encoding_or_source_changes(make_video, edit_until, tmp_path):
    class FingerprintedEdit(Edit):
        def __init__(self, fingerprint):
            super().__init__("same")
            self.fingerprint = lambda: fingerprint

        def run(self, pixels, on_progress=None):
            return pixels

    video = make_video("a.mp4", frames=12)

    def first_frame(fingerprint, encoding=SAME_AS_SOURCE):
        """Stop in the second segment, and return the frame at which the run began."""
        edit = FingerprintedEdit(fingerprint)
        return edit_until(edit, video, tmp_path / "b.mp4", 7, encoding)[1].done[1]

    assert first_frame("one") == 0
    assert first_frame("one") == SEGMENT_FRAMES
    assert first_frame("two") == 0
    assert first_frame("two") == SEGMENT_FRAMES
    assert first_frame("two", EncodingOptions(crf=30)) == 0
    os.utime(video, (1, 1))
    assert first_frame("two", EncodingOptions(crf=30)) == 0


@pytest.mark.usefixtures("short_segments")
def test_edit_video_ignores_a_segment_without_index(
    make_video, function_edit, edit_until, tmp_path
):
    video = make_video("a.mp4", frames=20)
    target, whole = tmp_path / "b.mp4", tmp_path / "c.mp4"
    edit_until(function_edit(), video, target, 12)
    indices = sorted(store_folder(target).glob("0*.json"))
    assert len(indices) == 2
    indices[1].unlink()
    _, progress = edit_until(function_edit(), video, target, 100)
    assert progress.done[1] == SEGMENT_FRAMES
    edit_video(function_edit(), video, whole)
    assert_same_frames(target, whole)


def test_edit_video_while_another_run_works_on_it_raises(make_video, function_edit, tmp_path):
    video = make_video("a.mp4", frames=2)

    def edit_again(pixels):
        with pytest.raises(OutputError, match="another run"):
            edit_video(function_edit(), video, tmp_path / "b.mp4")
        return pixels

    assert edit_video(function_edit(edit_again), video, tmp_path / "b.mp4").finished


def test_edit_video_keeps_foreign_files_in_its_folder(make_video, function_edit, tmp_path):
    folder = store_folder(tmp_path / "b.mp4")
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    edit_video(function_edit(), make_video("a.mp4"), tmp_path / "b.mp4")
    assert [file.name for file in folder.iterdir()] == ["precious.txt"]


# A slow operator, so that there is time to stop the run.
SLOW_OPERATOR = """
import time
def slowly(pixels):
    time.sleep(0.02)
    return 1 - pixels
"""
COMMAND = f"""
import sys
from burnish.video import encode
encode.SEGMENT_SECONDS = {SEGMENT_SECONDS}
from burnish.cli.app import main
sys.argv = ["burnish", *sys.argv[1:]]
main()
"""


def start_process(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "apply", "--slow", "python:own.py:slowly", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def segment_count(target):
    return len(list(store_folder(target).glob("0*.json")))


@pytest.mark.slow
@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGINT"])
def test_process_after_signal_resumes_and_gives_the_same_video(make_video, tmp_path, signal_name):
    (tmp_path / "own.py").write_text(SLOW_OPERATOR)
    video, target = make_video("a.mp4", frames=60, sound="aac"), tmp_path / "b.mp4"
    whole_run = start_process(tmp_path, video.name, "-o", "c.mp4")
    whole_run.communicate(timeout=120)
    assert whole_run.returncode == 0
    run = start_process(tmp_path, video.name, "-o", target.name)
    for _ in range(600):
        if segment_count(target) >= 2:
            break
        time.sleep(0.05)
    run.send_signal(getattr(signal, signal_name))
    out, err = run.communicate(timeout=60)
    assert out == ""
    assert not target.exists()
    if signal_name == "SIGINT":
        assert run.returncode == 130
        assert "a.mp4: interrupted;" in err
        assert "the same command resumes" in err
        assert "Traceback" not in err
    assert 2 <= segment_count(target) < 12
    run = start_process(tmp_path, video.name, "-o", target.name, "--json")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert '"frames":60' in out
    assert_same_frames(target, tmp_path / "c.mp4")
    assert not list(tmp_path.glob(".burnish-*"))
