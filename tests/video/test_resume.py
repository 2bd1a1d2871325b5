"""A run that is killed or stopped goes on where it was, and comes to the same film."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from burnish.editing.video_file import edit_video
from burnish.errors import OutputError
from burnish.video import segments as stretches
from burnish.video.segment_store import store_folder

# Half a second: what is finished is kept from there on.
SHORT = 0.5


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(stretches, "SEGMENT_SECONDS", SHORT)


def decoded(path):
    with av.open(str(path)) as film:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in film.decode(video=0)]


def packets_of(path):
    """When every packet of every stream comes, and what is in those of sound."""
    with av.open(str(path)) as film:
        packets = [packet for packet in film.demux() if packet.size]
        return [
            (p.stream.index, p.pts, p.dts, p.duration, bytes(p) * (p.stream.type == "audio"))
            for p in packets
        ]


def assert_alike(one, other):
    """The same frames, where the encoder does not encode them alike each time.

    libx265 does not, and on processors with AVX-512 libx264 does not: each run's is the other's to
    some 50 dB, where a neighbouring frame is not.
    """
    ours, theirs = decoded(one), decoded(other)
    assert [stamp for stamp, _ in ours] == [stamp for stamp, _ in theirs]
    for (_, mine), (_, yours) in zip(ours, theirs, strict=True):
        assert decibels(mine, yours) > 45


def decibels(one, other):
    apart = np.subtract(*(np.frombuffer(data, np.uint8).astype(float) for data in (one, other)))
    return 10 * np.log10(255**2 / max(np.mean(apart**2), 1e-9))


def test_a_neighbouring_frame_is_not_alike(clip, unchanged, tmp_path):
    edit_video(unchanged(), clip("a.mp4", frames=60), tmp_path / "b.mp4")
    frames = [data for _, data in decoded(tmp_path / "b.mp4")]
    assert max(map(decibels, frames, frames[1:])) < 45


def test_a_film_that_was_stopped_goes_on_and_equals_one_that_was_not(
    clip, unchanged, tmp_path, short
):
    film = clip("a.mp4", frames=60, sound="aac")
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    told = []
    numbers = []

    def stopping(pixels, progress=None):
        numbers.append(len(told))
        return pixels

    first = edit_video(
        unchanged(stopping),
        film,
        tmp_path / "c.mp4",
        on_frame=lambda done, of: told.append((done, of)),
        should_stop=lambda: len(told) == 31,
    )
    assert not first.finished
    # The frame in hand was done; of what is done, finished stretches are kept.
    assert told[-1] == (31, 60)
    assert first.frames == 26
    assert first.seconds == pytest.approx(26 / 25)
    assert not (tmp_path / "c.mp4").exists()
    assert store_folder(tmp_path / "c.mp4").is_dir()

    told.clear()
    second = edit_video(
        unchanged(), film, tmp_path / "c.mp4", on_frame=lambda done, of: told.append((done, of))
    )
    assert second.finished
    assert second.frames == 60
    assert told[0] == (27, 60)
    assert packets_of(tmp_path / "c.mp4") == packets_of(tmp_path / "b.mp4")
    assert_alike(tmp_path / "c.mp4", tmp_path / "b.mp4")
    assert not store_folder(tmp_path / "c.mp4").exists()


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"])
def test_stretches_of_every_codec_join(clip, unchanged, tmp_path, short, codec):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    format = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    film = clip("a.mkv", codec=codec, format=format, frames=40, options=options)
    edit_video(unchanged(), film, tmp_path / "b.mkv")
    before, after = decoded(film), decoded(tmp_path / "b.mkv")
    assert [stamp for stamp, _ in after] == [stamp for stamp, _ in before]
    count = []
    stop = {"tell": lambda *so_far: count.append(so_far), "stopped": lambda: len(count) == 20}
    assert not edit_video(unchanged(), film, tmp_path / "c.mkv", **stop).finished
    assert edit_video(unchanged(), film, tmp_path / "c.mkv").finished
    if codec == "libx265":
        assert_alike(tmp_path / "c.mkv", tmp_path / "b.mkv")
    else:
        assert decoded(tmp_path / "c.mkv") == after


def test_stretches_join_where_frames_come_irregularly(clip, unchanged, tmp_path, short, seen):
    random = np.random.default_rng(0)
    stamps = np.cumsum(random.choice([1, 2, 15, 90, 400], 60)).tolist()
    film = clip("a.mp4", frames=60, stamps=stamps, options={"bf": "3"})
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    assert seen(tmp_path / "b.mp4").stamps == seen(film).stamps
    times = [packet[2] for packet in packets_of(tmp_path / "b.mp4")]
    assert times == sorted(set(times))


def test_another_film_edit_or_number_begins_anew(clip, unchanged, tmp_path, short):
    from burnish.video.formats import SAME_AS_SOURCE, EncodingOptions

    film = clip("a.mp4", frames=40)
    target = tmp_path / "b.mp4"

    def begun(edit, coding=SAME_AS_SOURCE):
        """Stop after some frames; return the number that it began at."""
        count = []
        edit_video(
            edit,
            film,
            target,
            encoding_options=coding,
            on_frame=lambda done, of: count.append(done),
            should_stop=lambda: len(count) == 16,
        )
        return count[0] - 1

    assert begun(unchanged()) == 0
    assert begun(unchanged()) == 13
    assert begun(unchanged(identity=lambda: "other")) == 0
    assert begun(unchanged(identity=lambda: "other")) == 13
    assert begun(unchanged(), EncodingOptions(crf=30)) == 0
    os.utime(film, (1, 1))
    assert begun(unchanged(), EncodingOptions(crf=30)) == 0


def test_a_stretch_without_its_index_does_not_count(clip, unchanged, tmp_path, short):
    film = clip("a.mp4", frames=40)
    count = []
    stop = {"tell": lambda *so_far: count.append(so_far), "stopped": lambda: len(count) == 30}
    edit_video(unchanged(), film, tmp_path / "b.mp4", **stop)
    indices = sorted(store_folder(tmp_path / "b.mp4").glob("0*.json"))
    assert len(indices) == 2
    indices[1].unlink()
    count.clear()
    edit_video(unchanged(), film, tmp_path / "b.mp4", on_frame=lambda *so_far: count.append(so_far))
    assert count[0] == (14, 40)
    edit_video(unchanged(), film, tmp_path / "c.mp4")
    assert_alike(tmp_path / "b.mp4", tmp_path / "c.mp4")


def test_two_runs_do_not_work_on_one_film(clip, unchanged, tmp_path):
    film = clip("a.mp4")

    def edit_again(pixels, progress=None):
        with pytest.raises(OutputError, match="no other run works on"):
            edit_video(unchanged(), film, tmp_path / "b.mp4")
        return pixels

    assert edit_video(unchanged(edit_again), film, tmp_path / "b.mp4").finished


def test_a_file_of_somebody_elses_in_the_folder_stays(clip, unchanged, tmp_path):
    film = clip("a.mp4")
    folder = store_folder(tmp_path / "b.mp4")
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    edit_video(unchanged(), film, tmp_path / "b.mp4")
    assert [file.name for file in folder.iterdir()] == ["precious.txt"]


# An operator of the user's own that takes its time, so that there is time to be killed in.
SLOW = """
import time
def slowly(pixels):
    time.sleep(0.02)
    return 1 - pixels
"""
COMMAND = """
import sys
from burnish.video import segments as stretches
stretches.STRETCH = 0.5
from burnish.cli.app import main
sys.argv = ["burnish", *sys.argv[1:]]
main()
"""


def begin(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "apply", "--slow", "python:own.py:slowly", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_stretches(target: Path, count: int) -> None:
    for _ in range(600):
        if len(list(store_folder(target).glob("0*.json"))) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("no stretch was finished in 30 s")


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_a_process_that_is_killed_or_interrupted_goes_on(clip, tmp_path, number):
    (tmp_path / "own.py").write_text(SLOW)
    film = clip("a.mp4", frames=100, sound="aac")
    whole_run = begin(tmp_path, film.name, "-o", "c.mp4")
    whole_run.communicate(timeout=120)
    assert whole_run.returncode == 0
    run = begin(tmp_path, film.name, "-o", "b.mp4")
    wait_for_stretches(tmp_path / "b.mp4", 2)
    run.send_signal(getattr(signal, number))
    out, err = run.communicate(timeout=60)
    assert out == ""
    assert not (tmp_path / "b.mp4").exists()
    if number == "SIGINT":
        assert run.returncode == 130
        assert "a.mp4: interrupted;" in err
        assert "the same command goes on there" in err
        assert "Traceback" not in err
    kept = len(list(store_folder(tmp_path / "b.mp4").glob("0*.json")))
    assert 2 <= kept < 8
    again = begin(tmp_path, film.name, "-o", "b.mp4", "--json")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert '"frames":100' in out
    assert_alike(tmp_path / "b.mp4", tmp_path / "c.mp4")
    assert not store_folder(tmp_path / "b.mp4").exists()
    assert not list(tmp_path.glob(".burnish-*"))
