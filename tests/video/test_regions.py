"""Edits that show only in a region of a film's pictures."""

import numpy as np
import pytest
from PIL import Image

from burnish.detection.instances import Instances
from burnish.editing.edit import load_edit
from burnish.editing.masked import MaskedEdit, MaskWriter
from burnish.editing.region_edit import RegionEditor
from burnish.editing.video_file import edit_video
from burnish.errors import UsageError
from burnish.regions.maskfile import MaskFile
from burnish.regions.options import RegionOptions
from burnish.regions.region import Region
from burnish.regions.registry import EDITS
from burnish.video.decode import decode_frames
from burnish.video.probe import probe

MASK = np.zeros((64, 96), bool)
MASK[10:40, 20:60] = True


def pictures(path):
    return [pixels for _, pixels in decode_frames(probe(path))]


class Blinking:
    """Finds a person who walks to the right, and misses her in every third picture."""

    name, sha256, classes, device = "blinking", "0" * 64, ("person",), "cpu"

    def __init__(self):
        self.seen = 0

    def find(self, pixels, source=None):
        self.seen += 1
        left = 10 + 2 * self.seen
        box = np.array([[left, 10, left + 24, 50]], np.float32)
        mask = (np.ones((40, 24), np.float32),)
        found = Instances((96, 64), box, ("person",), np.ones(1, np.float32), mask)
        return found.select([] if self.seen % 3 == 0 else [0])


def test_outside_the_mask_a_film_stays_as_it_is(clip, tmp_path):
    film = clip("a.mkv", codec="ffv1", format="yuv444p", frames=5)
    edit_video(
        MaskedEdit(load_edit("l0-smoothing", {}), Region(mask=MASK)), film, tmp_path / "b.mkv"
    )
    edit_video(load_edit("l0-smoothing", {}), film, tmp_path / "whole.mkv")
    before, after, whole = (pictures(p) for p in (film, tmp_path / "b.mkv", tmp_path / "whole.mkv"))
    assert len(before) == len(after) == 5
    for a, b, c in zip(before, after, whole, strict=True):
        np.testing.assert_array_equal(b[~MASK], a[~MASK])
        np.testing.assert_array_equal(b[MASK], c[MASK])
        assert (c[MASK] != a[MASK]).any()


def test_a_filling_does_not_blink_where_the_detector_misses(clip, tmp_path):
    film = clip("a.mkv", codec="ffv1", format="yuv444p", frames=9)
    region = Region(RegionOptions(only=("person",), feather=0), Blinking())
    edit_video(RegionEditor(EDITS["fill"], {}, region), film, tmp_path / "b.mkv")
    black = [int((pixels == 0).all(axis=2).sum()) for pixels in pictures(tmp_path / "b.mkv")]
    assert min(black) > 0.9 * 40 * 24


class Late:
    """Finds a person from a picture on, which may never come."""

    name, sha256, classes, device = "late", "1" * 64, ("person",), "cpu"

    def __init__(self, first):
        self.left = first

    def find(self, pixels, source=None):
        box = np.array([[10, 10, 34, 50]], np.float32)
        mask = (np.ones((40, 24), np.float32),)
        found = Instances((96, 64), box, ("person",), np.ones(1, np.float32), mask)
        self.left -= 1
        return found.select([] if self.left >= 0 else [0])


@pytest.mark.parametrize("name", ["anonymise", "blur", "l0-smoothing"])
def test_a_region_that_is_in_no_picture_is_said_to_be_in_none(clip, tmp_path, name, recwarn):
    film = clip("a.mkv", codec="ffv1", format="yuv444p", frames=5)
    edited = {}
    for first in (4, 5):
        region = Region(RegionOptions(only=("person",), feather=0), Late(first))
        edit = (
            MaskedEdit(load_edit(name, {}), region)
            if name == "l0-smoothing"
            else RegionEditor(EDITS[name], {}, region)
        )
        edit_video(edit, film, tmp_path / f"{first}.mkv")
        edited[first] = [str(warning.message) for warning in recwarn.list]
        recwarn.clear()
    said = f"{film}: the region is found in none of its frames, which stay as they are"
    assert said in edited[5]
    assert said not in edited[4]


def test_every_film_begins_anew(clip, tmp_path):
    film = clip("a.mkv", codec="ffv1", format="yuv444p", frames=3)
    region = Region(RegionOptions(only=("person",), feather=0), Blinking())
    edit = RegionEditor(EDITS["fill"], {}, region)
    one, two = edit.frame_edit(lambda: ()), edit.frame_edit(lambda: ())
    pixels = pictures(film)[0]
    assert (one(pixels, 0, 0.0) == 0).all(axis=2).any()
    region.object_source.seen = 2
    # The other film has seen nobody yet.
    np.testing.assert_array_equal(two(pixels, 0, 0.0), pixels)


def test_a_mask_file_is_part_of_what_a_film_is_taken_up_by(tmp_path):
    path = tmp_path / "mask.png"
    texts = set()
    for mask in (MASK, ~MASK):
        Image.fromarray((mask * 255).astype(np.uint8)).save(path)
        texts.add(
            MaskedEdit(load_edit("l0-smoothing", {}), Region(mask=MaskFile(path))).fingerprint()
        )
        texts.add(RegionEditor(EDITS["blur"], {}, Region(mask=mask)).fingerprint())
    assert len(texts) == 4


def test_clicks_mean_objects_of_the_first_picture():
    pixels = np.zeros((64, 96, 3), np.float32)
    region = Region(RegionOptions(clicks=((20, 20),), feather=0), Blinking())
    frame = RegionEditor(EDITS["fill"], {"colour": "#ffffff"}, region).frame_edit(lambda: ())
    assert frame(pixels, 0, 0.0).any()
    assert frame(pixels, 1, 0.0).any()
    late = RegionEditor(EDITS["fill"], {}, region).frame_edit(lambda: ())
    with pytest.raises(UsageError, match="frame 7"):
        late(pixels, 7, 0.0)


def test_what_a_film_cannot_have(tmp_path):
    masks = Region(mask=MaskFile(tmp_path))
    for edit, got in (
        (RegionEditor(EDITS["cut-out"], {}, Region(mask=MASK)), "cut-out"),
        (MaskedEdit(load_edit("l0-smoothing", {}), masks), "a folder of masks"),
        (MaskedEdit(load_edit("l0-smoothing", {}), masks, MaskWriter(tmp_path)), "--save-mask"),
    ):
        with pytest.raises(UsageError, match=f"^{got}: "):
            edit.frame_edit(lambda: ())
    with pytest.warns(UserWarning, match="the metadata of a video is kept"):
        RegionEditor(EDITS["anonymise"], {}, Region(mask=MASK)).frame_edit(lambda: ())


def test_from_the_command_line(burnish, clip, tmp_path):
    film = clip("a.mkv", codec="ffv1", format="yuv444p", frames=4)
    Image.fromarray((MASK * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    target = tmp_path / "b.mkv"
    order = ("regions", "fill", film, "--mask", tmp_path / "mask.png", "-o", target)
    code, _, err = burnish(*order)
    assert code == 0, err
    for before, after in zip(pictures(film), pictures(target), strict=True):
        np.testing.assert_array_equal(after[~MASK], before[~MASK])
        assert not after[MASK].any()
