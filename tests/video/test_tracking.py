"""Objects that are followed in films: let go after a while, and still known where a run goes on."""

from dataclasses import dataclass, field

import av
import numpy as np
import pytest

from burnish.detection.instances import Instances
from burnish.editing.masked import MaskedEdit
from burnish.editing.video_file import edit_video
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.video import segments as stretches

LOSSLESS = {"codec": "ffv1", "format": "yuv444p"}


@dataclass
class Square:
    """A finder of one square, which it misses in some frames, as detectors do."""

    missed: tuple[int, ...] = ()
    name: str = "square"
    classes: tuple[str, ...] = ("square",)
    sha256: str = "0" * 64
    device: str = "cpu"
    seen: list[int] = field(default_factory=list)

    def find(self, pixels, source=None):
        number = len(self.seen)
        self.seen.append(number)
        found = [] if number in self.missed else [(20, 10, 60, 50)]
        boxes = np.array(found, np.float32).reshape(-1, 4)
        scores = np.full(len(found), 0.9, np.float32)
        masks = tuple(np.ones((40, 40), np.float32) for _ in found)
        return Instances((96, 64), boxes, ("square",) * len(found), scores, masks)


def negative(pixels, progress=None):
    return 1 - pixels


def frames(path):
    """The samples of every frame, (3, H, W): brightness, blue and red."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray().astype(int) for frame in film.decode(video=0)]


@pytest.fixture
def region():
    return lambda *missed: Region(RegionOptions(only=("square",)), object_source=Square(missed))


def changed(before, after):
    """How many pixels of each frame are other than they were."""
    return [int((b != a).any(axis=0).sum()) for b, a in zip(before, after, strict=True)]


def test_an_object_that_is_gone_for_long_is_let_go(clip, unchanged, region, tmp_path):
    film = clip("a.mkv", frames=12, still=True, **LOSSLESS)
    edit_video(MaskedEdit(unchanged(negative), region(*range(4, 12))), film, tmp_path / "b.mkv")
    counts = changed(frames(film), frames(tmp_path / "b.mkv"))
    assert all(counts[:4])
    assert not any(counts[8:])


def test_a_film_taken_up_is_the_film_done_at_once(clip, unchanged, region, tmp_path, monkeypatch):
    monkeypatch.setattr(stretches, "SEGMENT_SECONDS", 0.3)
    film = clip("a.mkv", frames=30, still=True, **LOSSLESS)
    # Missed where the run goes on: only who remembers the frames before shows it there.
    missed = (16, 17)
    edit_video(MaskedEdit(unchanged(negative), region(*missed)), film, tmp_path / "whole.mkv")
    count = []
    first = edit_video(
        MaskedEdit(unchanged(negative), region(*missed)),
        film,
        tmp_path / "parts.mkv",
        on_frame=lambda *so_far: count.append(so_far),
        should_stop=lambda: len(count) == 18,
    )
    assert not first.finished
    assert first.frames == 16
    edit_video(MaskedEdit(unchanged(negative), region(*missed)), film, tmp_path / "parts.mkv")
    whole, parts = frames(tmp_path / "whole.mkv"), frames(tmp_path / "parts.mkv")
    np.testing.assert_array_equal(np.array(parts), np.array(whole))
    assert all(changed(frames(film), parts))
